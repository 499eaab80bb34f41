"""Owns the making of requests: what the async and the sync client both send. Never touches a channel."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from avatar.v1.avatar_service_pb2 import StreamAvatarRequest
from avatar.v1.control_pb2 import Control
from avatar.v1.init_pb2 import (
    AUDIO_ENCODING_ALAW,
    AUDIO_ENCODING_FLOAT32,
    AUDIO_ENCODING_LINEAR16,
    AUDIO_ENCODING_MULAW,
    DEGRADATION_PREFERENCE_UNSPECIFIED,
    SESSION_MODE_UNSPECIFIED,
    AudioFormat,
    DegradationPreference,
    GenerationParameters,
    Init,
    Resume,
    SessionMode,
    VideoFormat,
)
from avatar.v1.media_pb2 import Audio, EndOfAudio, EndOfSegment, Interrupt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_AUDIO_MESSAGE_BYTES: Final = 64 * 1024
_LARGE_PORTRAIT_BYTES: Final = 64 * 1024
"""What lies in flow-control windows anyway; up to that a refusal costs no more than another round trip would."""

_SAMPLE_BYTES: Final = {
    AUDIO_ENCODING_LINEAR16: 2,
    AUDIO_ENCODING_FLOAT32: 4,
    AUDIO_ENCODING_MULAW: 1,
    AUDIO_ENCODING_ALAW: 1,
}


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """Everything a session is opened with.

    Attributes:
        portrait: JPEG, PNG or WebP file, at most 10 MiB; empty if ``avatar_id`` names one that is kept.
        audio: how the speech is encoded.
        video: one or two formats; none means one H.264.
        engine: name as ``capabilities()`` lists it; empty means the server's default.
        mode: when frames are made; 0 means on audio.
        generation: how the picture is animated; ``None`` means the defaults.
        avatar_id: of ``create_avatar``, instead of a portrait.
        resumable: whether the session outlives its call.
        resume: what to go on with instead; ``None`` for a new session.
        degradation_preference: what the session gives up so that more are admitted; 0 means nothing.
    """

    portrait: bytes
    audio: AudioFormat
    video: Sequence[VideoFormat] = field(default=())
    engine: str = ""
    mode: SessionMode = SESSION_MODE_UNSPECIFIED
    generation: GenerationParameters | None = None
    avatar_id: str = ""
    resumable: bool = False
    resume: Resume | None = None
    degradation_preference: DegradationPreference = DEGRADATION_PREFERENCE_UNSPECIFIED

    @property
    def is_large(self) -> bool:
        """Whether the first message should not be sent only to be refused."""
        return self.resume is None and len(self.portrait) > _LARGE_PORTRAIT_BYTES

    def message(self) -> StreamAvatarRequest:
        """Return the first message of the stream."""
        if self.resume is not None:
            return StreamAvatarRequest(init=Init(resume=self.resume))
        init = Init(
            portrait=self.portrait,
            engine=self.engine,
            audio=self.audio,
            video=self.video,
            mode=self.mode,
            generation=self.generation,
            avatar_id=self.avatar_id,
            resumable=self.resumable,
            degradation_preference=self.degradation_preference,
        )
        return StreamAvatarRequest(init=init)


def audio_messages(data: bytes, segment_id: str, audio: AudioFormat) -> Iterator[StreamAvatarRequest]:
    """Split ``data`` into messages of whole samples, at most 64 KiB each.

    A last part of a sample is sent as it is: the server refuses it and says so better than silence would.
    """
    sample_bytes = _SAMPLE_BYTES.get(audio.encoding, 1) * max(1, audio.channels)
    step = MAX_AUDIO_MESSAGE_BYTES // sample_bytes * sample_bytes or sample_bytes
    for start in range(0, len(data), step):
        yield StreamAvatarRequest(audio=Audio(segment_id=segment_id, data=data[start : start + step]))


def end_of_segment(segment_id: str) -> StreamAvatarRequest:
    """Return the message that closes a segment; an empty id means the open one."""
    return StreamAvatarRequest(end_of_segment=EndOfSegment(segment_id=segment_id))


def end_of_audio() -> StreamAvatarRequest:
    """Return the message that ends the session's audio."""
    return StreamAvatarRequest(end_of_audio=EndOfAudio())


def interrupt(segment_id: str) -> StreamAvatarRequest:
    """Return the message that stops speech; an empty id means every unfinished segment."""
    return StreamAvatarRequest(interrupt=Interrupt(segment_id=segment_id))


def control(changes: Control) -> StreamAvatarRequest:
    """Return the message that changes how the avatar looks or how its video is sent."""
    return StreamAvatarRequest(control=changes)

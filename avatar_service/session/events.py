"""Owns the words between a client and a session, in our own types. The transport translates; nothing here acts."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TypeAlias

from avatar_service.audio import AudioFormat
from avatar_service.codec.base import AccessUnit, VideoFormat
from avatar_service.engine.base import Controls, Parameters, PrepareOptions
from avatar_service.pool.messages import SkipReason
from avatar_service.pool.snapshot import FrameKind


@dataclass(frozen=True, slots=True)
class Init:
    """Opens the session. Attributes as in ``pool.messages.Work``; ``engine`` empty is the server's default.

    ``avatar_id`` names a kept avatar, whose portrait and options then stand for those given here.
    """

    portrait: bytes
    audio: AudioFormat
    engine: str = ""
    video: tuple[VideoFormat, ...] = (VideoFormat(),)
    options: PrepareOptions = field(default_factory=PrepareOptions)
    parameters: Parameters = field(default_factory=Parameters)
    chunk_duration_s: float = 1.0
    live: bool = False
    avatar_id: str = ""
    resumable: bool = False
    degradable: bool = False


@dataclass(frozen=True, slots=True)
class Resume:
    """Goes on with a session whose call broke off, in the place of ``Init``.

    Attributes:
        token: the one that ``Ready`` gave.
        received: frames and events that the client got, in all calls of the session.
    """

    token: str
    received: int


@dataclass(frozen=True, slots=True)
class Speech:
    """Raw audio of a segment; an empty id is the open segment, or a new one that the session names.

    ``sequence`` is the message's number among those that carry one, from 1.
    """

    segment_id: str
    content: bytes
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class EndOfSegment:
    """Closes a segment; an empty id is the open one."""

    segment_id: str


@dataclass(frozen=True, slots=True)
class EndOfAudio:
    """No more audio in this session."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Stops a segment at once; an empty id is every unfinished one."""

    segment_id: str


@dataclass(frozen=True, slots=True)
class Warned:
    """The call works, but the client should know."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Control:
    """Changes how the avatar looks or how its video is sent. Attributes as in ``pool.messages.Control``.

    ``avatar_id`` names another avatar to show; empty is no other. ``warnings`` say what of it was not understood and so
    changes nothing.
    """

    controls: Controls | None = None
    bitrate_kbps: int | None = None
    keyframe: bool = False
    paused: bool | None = None
    avatar_id: str = ""
    warnings: tuple[Warned, ...] = ()


ClientEvent: TypeAlias = Init | Resume | Speech | EndOfSegment | EndOfAudio | Interrupt | Control


@dataclass(frozen=True, slots=True)
class Ready:
    """What the session will really do. Durations in seconds, sizes (width, height) in pixels.

    ``resume_token`` is empty where the session cannot be resumed; ``received`` counts the client's messages that the
    session has taken.
    """

    session_id: str
    engine: str
    engine_version: str
    fps: int
    sizes: tuple[tuple[int, int], ...]
    codec_strings: tuple[str, ...]
    hop_s: float
    look_ahead_s: float
    live: bool = False
    resume_token: str = ""
    received: int = 0


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One frame, once for each format. Times in ticks of 1/90000 s; the id is empty where nobody speaks."""

    pts: int
    duration: int
    segment_id: str
    index: int
    units: tuple[AccessUnit, ...]
    kind: FrameKind = FrameKind.SPEECH


@dataclass(frozen=True, slots=True)
class SegmentStarted:
    """The first frame of a segment is next."""

    segment_id: str
    pts: int


@dataclass(frozen=True, slots=True)
class SegmentFinished:
    """No frame of the segment follows; ``played`` counts its shown 16 kHz samples, without padding."""

    segment_id: str
    played: int
    frames: int
    interrupted: bool


@dataclass(frozen=True, slots=True)
class Interrupted:
    """An interrupt took effect; counts are 16 kHz samples of the segments named."""

    segment_ids: tuple[str, ...]
    played: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Idle:
    """The last segment is over, none follows, and the next frame is an idle one."""

    pts: int


@dataclass(frozen=True, slots=True)
class Underrun:
    """A segment that is being shown has no audio for the next frame."""

    segment_id: str
    pts: int


@dataclass(frozen=True, slots=True)
class Degraded:
    """Frames are being left out."""

    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Recovered:
    """No more frames are left out."""

    reason: SkipReason


class State(enum.Enum):
    """What a session is doing."""

    WAITING_FOR_AUDIO = "waiting_for_audio"
    PROCESSING = "processing"
    COMPLETE = "complete"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class StatusReport:
    """How the session stands; times in seconds."""

    state: State
    frames: int
    buffered_s: float
    uptime_s: float
    real_time_factor: float
    received: int = 0
    """Messages of the client's that a resumable session has taken."""


@dataclass(frozen=True, slots=True)
class GoAway:
    """The server is about to end: the session has so many seconds to finish."""

    time_left_s: float


Happening: TypeAlias = SegmentStarted | SegmentFinished | Interrupted | Idle | Underrun | Degraded | Recovered | Warned
"""What becomes an ``event`` on the wire."""
ServerEvent: TypeAlias = Ready | EncodedFrame | Happening | StatusReport | GoAway

"""Owns the way from uploaded chunks to one stream of 48 kHz speech. Decodes in memory; knows no session and no clock.

A chunk is a small file of its own, or raw samples. Chunks of one rate run through one resampler, so that it makes no
difference where the speech was cut into chunks.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from typing import Final

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from avatar_service.errors import InvalidArgumentError
from avatar_service.gateway.hls.tracks import SOUND_RATE_HZ
from avatar_service.recording import MAX_CHANNELS, MAX_OUTPUT_RATE_HZ, MIN_RATE_HZ, read_recording

MAX_CHUNK_S: Final = 10.0
MAX_CHUNK_BYTES: Final = 8 * 1024 * 1024
"""10 s of the largest audio that is read, 96 kHz stereo as 32-bit floats, have 7.7 MB."""

Speech = NDArray[np.int16]

_FIELD: Final = "audio_chunk"
_RAW: Final = {
    "audio/pcm": "<i2",
    "audio/x-pcm": "<i2",
    "audio/raw": "<i2",
    "audio/x-raw": "<i2",
    "application/octet-stream": "<i2",
    "audio/l16": ">i2",  # RFC 2586: network byte order
}
_FILE_STARTS: Final = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"\x1aE\xdf\xa3", b"ID3", b"FORM", b"#EXTM3U", b"ffconcat")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Decoded speech.

    Attributes:
        samples: int16 ``[n]``, mono.
        rate_hz: 8000 to 48000.
    """

    samples: Speech
    rate_hz: int


@dataclass(frozen=True, slots=True)
class Fed:
    """What a feed came to.

    Attributes:
        samples: that wait, at 48 kHz.
        repeated: whether the same had been fed before, so that nothing was added.
    """

    samples: int
    repeated: bool = False


def decode(content: bytes, content_type: str, raw_rate_hz: int) -> Chunk:
    """Return the speech of one uploaded chunk.

    Args:
        content: a file that ``recording`` reads, or 16-bit samples if ``content_type`` says so.
        content_type: e.g. ``audio/wav`` or ``audio/pcm;rate=16000;channels=1``.
        raw_rate_hz: of raw samples whose type names no rate.

    Raises:
        InvalidArgumentError: if it is no audio, or more than 10 s of it.
    """
    if not content:
        return Chunk(np.zeros(0, np.int16), raw_rate_hz)
    media_type = Message()
    media_type["content-type"] = content_type or "application/octet-stream"
    sample_type = _RAW.get(media_type.get_content_type())
    if sample_type is None or content.startswith(_FILE_STARTS) or content[4:8] == b"ftyp":
        try:
            recording = read_recording(content, max_duration_s=MAX_CHUNK_S)
        except InvalidArgumentError as error:
            raise InvalidArgumentError(error.reason, error.message, field=_FIELD) from None
        return Chunk(recording.samples, recording.sample_rate_hz)
    rate_hz = _parameter(media_type, "rate", raw_rate_hz, MIN_RATE_HZ, MAX_OUTPUT_RATE_HZ)
    channels = _parameter(media_type, "channels", 1, 1, MAX_CHANNELS)
    if len(content) % (2 * channels):
        msg = f"{len(content)} bytes end inside a sample of {2 * channels} bytes"
        raise InvalidArgumentError("PARTIAL_SAMPLE", msg, field=_FIELD)
    samples = np.frombuffer(content, sample_type).reshape(-1, channels)
    if len(samples) > MAX_CHUNK_S * rate_hz:
        msg = f"the audio is longer than {MAX_CHUNK_S:g} s; send it in smaller chunks"
        raise InvalidArgumentError("AUDIO_TOO_LONG", msg, field=_FIELD)
    mono = samples[:, 0] if channels == 1 else samples.mean(axis=1, dtype=np.float32).round()
    return Chunk(mono.astype(np.int16), rate_hz)


def _parameter(media_type: Message, name: str, default: int, low: int, high: int) -> int:
    text = media_type.get_param(name, str(default))
    value = int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 10 else -1  # noqa: PLR2004
    if not low <= value <= high:
        msg = f"the content type's {name} must be from {low} to {high}"
        raise InvalidArgumentError("AUDIO_RATE" if name == "rate" else "AUDIO_CHANNELS", msg, field=_FIELD)
    return value


class Joiner:
    """Makes one stream of 48 kHz speech out of chunks.

    ``n`` samples at one rate give ``ceil(n * 48000 / rate)``, however they are cut; a change of rate rounds up too.
    """

    def __init__(self) -> None:
        self._rate_hz = SOUND_RATE_HZ
        self._resampler: AudioResampler | None = None
        self._taken = 0
        self._given = 0

    def join(self, chunk: Chunk) -> Speech:
        """Return the speech that this chunk completes."""
        head = np.zeros(0, np.int16)
        if chunk.rate_hz != self._rate_hz and chunk.samples.size:
            head = self.flush()
            self._rate_hz = chunk.rate_hz
        if self._rate_hz == SOUND_RATE_HZ or not chunk.samples.size:
            return np.concatenate([head, chunk.samples])
        if self._resampler is None:
            self._resampler = AudioResampler(format="s16", layout="mono", rate=SOUND_RATE_HZ)
        frame = av.AudioFrame.from_ndarray(chunk.samples[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = self._rate_hz
        self._taken += chunk.samples.size
        speech = _joined(self._resampler.resample(frame))
        self._given += speech.size
        return np.concatenate([head, speech])

    def flush(self) -> Speech:
        """Return what resampling holds back."""
        if self._resampler is None:
            return np.zeros(0, np.int16)
        missing = -(-self._taken * SOUND_RATE_HZ // self._rate_hz) - self._given
        tail = _joined(self._resampler.resample(None))[:missing]
        self._resampler = None
        self._taken = self._given = 0
        return np.pad(tail, (0, missing - tail.size))


def _joined(frames: list[av.AudioFrame]) -> Speech:
    pieces = [np.asarray(frame.to_ndarray().reshape(-1), np.int16) for frame in frames]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)

"""Owns the way from a client's bytes to 16 kHz PCM.

Nothing here keeps time or knows segments; one ``SpeechDecoder`` serves one segment and is then dropped.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

from avatar_service.errors import InvalidArgumentError
from avatar_service.pcm import PCM, Pcm, Samples, to_pcm
from avatar_service.resampler import Resampler

MIN_RATE_HZ: Final = 8_000
MAX_RATE_HZ: Final = 48_000
MAX_CHANNELS: Final = 2
MAX_MESSAGE_BYTES: Final = 64 * 1024
OPUS_RATE_HZ: Final = 48_000
"""What an Opus decoder gives, whatever was encoded (RFC 6716)."""
LOUDEST_FLOAT: Final = 8.0
"""Float samples beyond this (+18 dBFS) are not audio but another encoding read as floats."""

_FIELD: Final = "audio.data"


class AudioEncoding(enum.Enum):
    """How speech is stored; the value is a sample's size in bytes, or 1, and its name for a person."""

    LINEAR16 = (2, "16-bit integers")
    FLOAT32 = (4, "32-bit floats")
    MULAW = (1, "mu-law")
    ALAW = (1, "A-law")
    OPUS = (1, "Opus packets")

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample of one channel."""
        return self.value[0]


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Raw little-endian samples, channels interleaved; or Opus, one packet a message.

    Attributes:
        encoding: how speech is stored.
        sample_rate_hz: 8000 to 48000; of Opus 48000.
        channels: 1 or 2; two are averaged.

    Raises:
        InvalidArgumentError: ``SAMPLE_RATE`` or ``CHANNELS`` if out of range.
    """

    encoding: AudioEncoding
    sample_rate_hz: int
    channels: int = 1

    def __post_init__(self) -> None:
        if not MIN_RATE_HZ <= self.sample_rate_hz <= MAX_RATE_HZ:
            msg = f"sample_rate_hz is {self.sample_rate_hz}; it must be from {MIN_RATE_HZ} to {MAX_RATE_HZ}"
            raise InvalidArgumentError("SAMPLE_RATE", msg, field="init.audio.sample_rate_hz")
        if self.encoding is AudioEncoding.OPUS and self.sample_rate_hz != OPUS_RATE_HZ:
            msg = f"sample_rate_hz is {self.sample_rate_hz}; of Opus it must be {OPUS_RATE_HZ}"
            raise InvalidArgumentError("SAMPLE_RATE", msg, field="init.audio.sample_rate_hz")
        if not 1 <= self.channels <= MAX_CHANNELS:
            msg = f"channels is {self.channels}; it must be 1 or {MAX_CHANNELS}"
            raise InvalidArgumentError("CHANNELS", msg, field="init.audio.channels")

    @property
    def block_bytes(self) -> int:
        """Bytes of one sample of all channels; 1 for Opus, whose packets have any length."""
        return 1 if self.encoding is AudioEncoding.OPUS else self.encoding.sample_bytes * self.channels


class SpeechDecoder:
    """Turns one segment's bytes into 16 kHz PCM, the same however raw bytes are split into messages.

    Args:
        audio_format: of the bytes.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        self._format = audio_format
        self._opus = _Opus(audio_format.channels) if audio_format.encoding is AudioEncoding.OPUS else None
        self._resampler = Resampler(audio_format.sample_rate_hz)
        self._block_bytes = audio_format.block_bytes
        self._head = b""

    def decode(self, message: bytes) -> Pcm:
        """Return the samples that this message completes.

        Raises:
            InvalidArgumentError: ``AUDIO_TOO_LARGE``, ``PARTIAL_SAMPLE``, ``AUDIO_IS_A_FILE``, ``AUDIO_NOT_FINITE`` or
                ``AUDIO_PACKET``.
        """
        self._check(message)
        pcm = to_mono(message, self._format) if self._opus is None else self._opus.decode(message)
        return self._resampler.push(pcm)

    def flush(self) -> Pcm:
        """Return the last samples; in all there are ``ceil(samples in * 16000 / rate)``."""
        return self._resampler.flush()

    def _check(self, message: bytes) -> None:
        if len(message) > MAX_MESSAGE_BYTES:
            msg = f"an audio message has {len(message)} bytes; send at most {MAX_MESSAGE_BYTES}"
            raise InvalidArgumentError("AUDIO_TOO_LARGE", msg, field=_FIELD)
        if len(message) % self._block_bytes:
            msg = f"an audio message of {len(message)} bytes ends inside a sample of {self._block_bytes} bytes"
            raise InvalidArgumentError("PARTIAL_SAMPLE", msg, field=_FIELD)
        if len(self._head) < _MAGIC_BYTES:
            self._head += message[: _MAGIC_BYTES - len(self._head)]
            refuse_files(self._head)


_MAGIC_BYTES: Final = 12
_FILE_STARTS: Final = {
    b"fLaC": "a FLAC file",
    b"OggS": "an Ogg file",
    b"#EXTM3U": "a playlist",
    b"ffconcat": "a playlist",
    b"<?xml ": "an XML document",
    b"<MPD": "a manifest",
    b"\x1aE\xdf\xa3": "a WebM file",
}


def refuse_files(head: bytes) -> None:
    """Refuse audio that starts like a file: its header would be played as noise, and nobody means that.

    Raises:
        InvalidArgumentError: ``AUDIO_IS_A_FILE``.
    """
    found = next((name for start, name in _FILE_STARTS.items() if head.startswith(start)), None)
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        found = "a WAV file"
    if head[4:8] == b"ftyp":
        found = "an MP4 file"
    if found is not None:
        msg = f"the audio starts like {found}; send raw samples as init.audio says, without a file header"
        raise InvalidArgumentError("AUDIO_IS_A_FILE", msg, field=_FIELD)


def to_mono(message: bytes, audio_format: AudioFormat) -> Pcm:
    """Return one message of raw samples as mono PCM at its own rate.

    Raises:
        InvalidArgumentError: ``AUDIO_NOT_FINITE`` for float samples that are NaN, infinite or beyond 8.
    """
    match audio_format.encoding:
        case AudioEncoding.LINEAR16:
            pcm = message
        case AudioEncoding.FLOAT32:
            pcm = to_pcm(_checked_floats(message))
        case AudioEncoding.MULAW:
            pcm = _MULAW[np.frombuffer(message, np.uint8)].tobytes()
        case AudioEncoding.ALAW:
            pcm = _ALAW[np.frombuffer(message, np.uint8)].tobytes()
        case AudioEncoding.OPUS:
            msg = "packets are not samples"
            raise AssertionError(msg)
    return pcm if audio_format.channels == 1 else _averaged(pcm, audio_format.channels)


def _averaged(pcm: bytes, channels: int) -> Pcm:
    """Return the mean of interleaved channels."""
    return np.asarray(np.rint(np.frombuffer(pcm, PCM).reshape(-1, channels).mean(axis=1)), PCM).tobytes()


def _checked_floats(message: bytes) -> Samples:
    samples = np.frombuffer(message, "<f4")
    if samples.size and not np.abs(samples).max() <= LOUDEST_FLOAT:  # NaN compares false
        msg = f"float samples must be finite and within [-1, 1] (clipped; refused beyond {LOUDEST_FLOAT:g})"
        raise InvalidArgumentError("AUDIO_NOT_FINITE", msg, field=_FIELD)
    return samples


def _mulaw_table() -> NDArray[np.int16]:
    """G.711 mu-law, ITU-T G.711 table 2: complemented bits; sign, 3 bits exponent, 4 bits mantissa; bias 33."""
    code = ~np.arange(256, dtype=np.uint8)
    exponent = (code >> 4) & 7
    magnitude = ((((code & 15).astype(np.int32) << 1) + 33) << exponent) - 33
    return np.asarray(np.where(code & 128, -magnitude, magnitude) << 2, PCM)  # of 14 bits


def _alaw_table() -> NDArray[np.int16]:
    """G.711 A-law, ITU-T G.711 table 1: even bits inverted; sign, 3 bits exponent, 4 bits mantissa."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent = (code >> 4) & 7
    mantissa = ((code & 15).astype(np.int32) << 1) + 1
    magnitude = np.where(exponent == 0, mantissa, (mantissa + 32) << np.maximum(exponent.astype(np.int32) - 1, 0))
    return np.asarray(np.where(code & 128, magnitude, -magnitude) << 3, PCM)  # of 13 bits


_MULAW: Final = _mulaw_table()
_ALAW: Final = _alaw_table()


class _Opus:
    """libopus, which remembers the packets before; one packet is at most 120 ms."""

    def __init__(self, channels: int) -> None:
        context = av.CodecContext.create("libopus", "r")
        assert isinstance(context, AudioCodecContext)
        context.sample_rate = OPUS_RATE_HZ
        context.layout = "mono" if channels == 1 else "stereo"
        self._context = context
        self._channels = channels

    def decode(self, packet: bytes) -> Pcm:
        if not packet:
            return b""
        try:
            frames = self._context.decode(av.Packet(packet))
        except av.error.InvalidDataError:
            msg = "an audio message is no Opus packet; send each packet as it left the encoder, in a message of its own"
            raise InvalidArgumentError("AUDIO_PACKET", msg, field=_FIELD) from None
        heard = b"".join(frame.to_ndarray().astype(PCM).tobytes() for frame in frames)
        return heard if self._channels == 1 else _averaged(heard, self._channels)

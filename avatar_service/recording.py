"""Owns the reading of audio files that strangers made: WAV, MP3, FLAC, Ogg, WebM, MP4/M4A, AAC and AIFF.

A file is known by its first bytes and read through an open file or memory only, so nothing in it can make the
demuxer open another file or an address. What a header declares is checked before anything is decoded, and what
comes out is counted while it is decoded: a small file may claim or hold hours. Nothing here writes or plays.
"""

from __future__ import annotations

import contextlib
import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NoReturn, TypeAlias

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from avatar_service.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

Samples: TypeAlias = NDArray[np.int16]

MIN_RATE_HZ: Final = 8_000
MAX_RATE_HZ: Final = 96_000
MAX_OUTPUT_RATE_HZ: Final = 48_000
"""A file above this rate is resampled to it: more is not in speech, and no session takes it."""

MAX_CHANNELS: Final = 2
MAX_DURATION_S: Final = 4 * 3600.0
LOUDEST_FLOAT: Final = 8.0
"""Float samples beyond this (+18 dBFS) are not audio but another encoding read as floats."""

_FIELD: Final = "audio"
_HEAD_BYTES: Final = 4096
_MAX_WAV_CHUNKS: Final = 64
_FMT_BYTES: Final = 16

# First bytes -> the one demuxer that may see the file.
_MAGIC: Final = (
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"\x1aE\xdf\xa3", "matroska"),
    (b"ID3", "mp3"),
)
_PLAYLISTS: Final = (b"#extm3u", b"ffconcat", b"<?xml", b"<mpd", b"<smil", b"<asx", b"[playlist]", b"v=0")
_SYNC: Final = 0xFFE0
"""The first eleven bits of an MPEG audio frame, for a file that starts with one."""

_UTF8_MARK: Final = b"\xef\xbb\xbf"

# With none of these nothing inside a file is followed; the demuxers chosen above need no other protocol.
_OPEN_OPTIONS: Final = {"protocol_whitelist": "none", "format_whitelist": "wav,flac,ogg,matroska,webm,mp3,mov,aac,aiff"}


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole audio file in memory.

    Attributes:
        samples: int16 ``[n]``, mono; several channels were averaged.
        sample_rate_hz: 8000 to 48000.
    """

    samples: Samples
    sample_rate_hz: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate_hz


class RecordingReader:
    """An open audio file: iterating it once decodes it piece by piece, in memory that does not grow.

    Attributes:
        sample_rate_hz: of the pieces, 8000 to 48000: the file's own rate where that is in range.
    """

    def __init__(self, container: InputContainer, stream: AudioStream, max_duration_s: float) -> None:
        self._container = container
        self._stream = stream
        self._source_rate_hz = stream.codec_context.sample_rate
        self._max_samples = int(max_duration_s * self._source_rate_hz)
        self._max_duration_s = max_duration_s
        self._shape: tuple[str, str] | None = None
        self.sample_rate_hz = min(self._source_rate_hz, MAX_OUTPUT_RATE_HZ)

    def __iter__(self) -> Iterator[Samples]:
        """Yield int16 mono arrays; all together they have ``ceil(n * sample_rate_hz / source rate)`` samples.

        Raises:
            InvalidArgumentError: ``AUDIO_TOO_LONG``, ``AUDIO_NOT_FINITE``, ``AUDIO_RATE``, ``AUDIO_CHANNELS`` or
                ``AUDIO_UNREADABLE`` once the offending place is reached.
        """
        resampler = AudioResampler(format="s16", layout="mono", rate=self.sample_rate_hz)
        taken = given = 0
        for frame in self._frames():
            taken += frame.samples
            if taken > self._max_samples:
                _refuse("AUDIO_TOO_LONG", f"the audio is longer than {self._max_duration_s:g} s")
            frame.pts = None  # gaps between timestamps are no silence: the clock is the sample count
            for piece in resampler.resample(frame):
                given += piece.samples
                yield _samples(piece)
        wanted = -(-taken * self.sample_rate_hz // self._source_rate_hz)
        for piece in resampler.resample(None) if taken else ():
            kept = _samples(piece)[: wanted - given]
            given += len(kept)
            yield kept
        if given < wanted:
            yield np.zeros(wanted - given, np.int16)

    def _frames(self) -> Iterator[AudioFrame]:
        """Decode; packets that cannot be decoded are left out, as players do, unless all are like that."""
        decoded = damaged = False
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                frames = packet.decode() if packet is not None else []
            except av.error.FFmpegError:
                damaged = True
                continue
            if packet is None:
                break
            for frame in frames:
                decoded = True
                self._check(frame)
                yield frame
        if damaged and not decoded:
            _refuse("AUDIO_UNREADABLE", "the file holds no audio that can be decoded")

    def _check(self, frame: AudioFrame) -> None:
        _check_shape(frame.sample_rate, frame.layout.nb_channels)
        if frame.sample_rate != self._source_rate_hz:
            _refuse("AUDIO_RATE", "the sample rate changes within the file")
        self._shape = self._shape or (frame.format.name, frame.layout.name)
        if self._shape != (frame.format.name, frame.layout.name):
            _refuse("AUDIO_CHANNELS", "the channels change within the file")
        if frame.format.name.startswith(("flt", "dbl")) and self._stream.codec_context.name.startswith("pcm_"):
            loudest = np.abs(frame.to_ndarray()).max(initial=0.0)
            if not loudest <= LOUDEST_FLOAT:  # also true of NaN
                _refuse("AUDIO_NOT_FINITE", f"float samples must be finite and at most {LOUDEST_FLOAT:g}")


def read_recording(source: str | Path | bytes, *, max_duration_s: float = MAX_DURATION_S) -> Recording:
    """Decode a whole audio file.

    Args:
        source: path of a regular file, or the file's bytes.
        max_duration_s: longest audio that is accepted, in seconds.

    Raises:
        InvalidArgumentError: with a stable reason: ``AUDIO_UNREADABLE`` (not audio, damaged, no audio in it),
            ``AUDIO_PLAYLIST`` (a list of addresses), ``AUDIO_RATE``, ``AUDIO_CHANNELS``, ``AUDIO_NOT_FINITE``,
            ``AUDIO_TOO_LONG``.
        OSError: if the path cannot be read.
    """
    with open_recording(source, max_duration_s=max_duration_s) as reader:
        pieces = list(reader)
    samples = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
    return Recording(samples, reader.sample_rate_hz)


@contextlib.contextmanager
def open_recording(source: str | Path | bytes, *, max_duration_s: float = MAX_DURATION_S) -> Iterator[RecordingReader]:
    """Open an audio file to be decoded piece by piece; arguments and errors are those of ``read_recording``."""
    with _open(source) as file:
        demuxer = _sniff(file)
        file.seek(0)
        try:
            container = av.open(file, "r", format=demuxer, options=dict(_OPEN_OPTIONS), metadata_errors="replace")
        except av.error.FFmpegError:
            _refuse("AUDIO_UNREADABLE", f"the file looks like {demuxer} but cannot be read")
        with container:
            if not container.streams.audio:
                _refuse("AUDIO_UNREADABLE", "the file has no audio track")
            stream = container.streams.audio[0]
            codec = stream.codec_context
            if codec is None or not codec.sample_rate:
                _refuse("AUDIO_UNREADABLE", "the file's audio encoding is not known")
            _check_shape(codec.sample_rate, codec.layout.nb_channels)
            yield RecordingReader(container, stream, max_duration_s)


def _open(source: str | Path | bytes) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    path = Path(source)
    if path.exists() and not path.is_file():
        # A pipe or a device could keep the reader waiting for ever.
        _refuse("AUDIO_UNREADABLE", "the audio is not a regular file")
    return path.open("rb")


def _sniff(file: BinaryIO) -> str:
    """Return the demuxer for the file, or refuse it."""
    head = file.read(_HEAD_BYTES)
    if head[:4] in {b"RIFF", b"RF64", b"BW64"} and head[8:12] == b"WAVE":
        _check_wav(file)
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}:
        return "aiff"
    if head[4:8] == b"ftyp":
        return "mp4"
    for magic, demuxer in _MAGIC:
        if head.startswith(magic):
            return demuxer
    if len(head) > 1 and head[0] == _SYNC >> 8 and head[1] & _SYNC == _SYNC & 0xFF:
        return "mp3" if head[1] & 0x06 else "aac"
    if head.removeprefix(_UTF8_MARK).lstrip().lower().startswith(_PLAYLISTS):
        _refuse("AUDIO_PLAYLIST", "the file is a playlist or manifest; send the audio itself")
    _refuse("AUDIO_UNREADABLE", "the file is not WAV, MP3, FLAC, Ogg, WebM, MP4, AAC or AIFF audio")
    return None


def _check_wav(file: BinaryIO) -> None:
    """Check rate and channels of a WAV's format chunk, because opening the file already allocates by them."""
    file.seek(12)
    for _ in range(_MAX_WAV_CHUNKS):
        header = file.read(8)
        if len(header) < 8:  # noqa: PLR2004 - a chunk's name and length
            break
        name, length = struct.unpack("<4sI", header)
        if name == b"fmt ":
            body = file.read(_FMT_BYTES)
            if len(body) < _FMT_BYTES:
                break
            _, channels, rate_hz = struct.unpack_from("<HHI", body)
            _check_shape(rate_hz, channels)
            return
        file.seek(length + length % 2, io.SEEK_CUR)
    _refuse("AUDIO_UNREADABLE", "the WAV file has no format chunk")


def _check_shape(rate_hz: int, channels: int) -> None:
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        _refuse("AUDIO_RATE", f"the file's sample rate is {rate_hz} Hz; {MIN_RATE_HZ} to {MAX_RATE_HZ} is read")
    if not 1 <= channels <= MAX_CHANNELS:
        _refuse("AUDIO_CHANNELS", f"the file has {channels} channels; 1 or {MAX_CHANNELS} are read")


def _samples(frame: AudioFrame) -> Samples:
    return np.ascontiguousarray(frame.to_ndarray().reshape(-1), dtype="<i2")


def _refuse(reason: str, message: str) -> NoReturn:
    raise InvalidArgumentError(reason, message, field=_FIELD) from None

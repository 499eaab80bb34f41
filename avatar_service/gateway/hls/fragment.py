"""Owns the bytes of movie fragments: one ``moof`` and one ``mdat`` of ISO/IEC 14496-12 each. Pure.

PyAV's muxer makes the initialisation segment, but not these: it decides by itself where a fragment ends, and only
once the next packet of every track is there. Here a fragment is exactly the pictures that a part of a playlist names,
at the moment when the last of them is there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

_BASE_IS_MOOF: Final = 0x020000
_TRUN_FIELDS: Final = 0x000701
"""Data offset; duration, size and flags of each sample."""

_SYNC: Final = 0x02000000
_NOT_SYNC: Final = 0x01010000
"""Sample flags: depends on no other sample; depends on others and is no sync sample (8.8.3.1)."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One coded picture or AAC frame.

    Attributes:
        content: as the track stores it.
        duration: in ticks of the track.
        keyframe: whether it can be decoded without an earlier one.
    """

    content: bytes
    duration: int
    keyframe: bool = True


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive samples of one track.

    Attributes:
        track: its number.
        decode_time: of the first sample, in ticks of the track.
        samples: at least one.
    """

    track: int
    decode_time: int
    samples: tuple[Sample, ...]

    def earlier(self, ticks: int) -> Run:
        """Return the same samples, ``ticks`` earlier."""
        return replace(self, decode_time=self.decode_time - ticks)


def fragment(sequence: int, runs: Sequence[Run]) -> bytes:
    """Return a fragment that holds ``runs``, numbered ``sequence`` (from 1)."""
    size = len(_moof(sequence, runs, [0] * len(runs)))
    offsets = []
    at = size + 8
    for run in runs:
        offsets.append(at)
        at += sum(len(sample.content) for sample in run.samples)
    content = b"".join(sample.content for run in runs for sample in run.samples)
    return _moof(sequence, runs, offsets) + _box(b"mdat", content)


def parse(content: bytes) -> list[Run]:
    """Return the runs of a fragment that ``fragment`` made."""
    found = []
    for name, at in _boxes(content, 8, _size(content, 0)):
        if name == b"traf":
            inner = dict(_boxes(content, at + 8, at + _size(content, at)))
            (track,) = struct.unpack_from(">I", content, inner[b"tfhd"] + 12)
            (decode_time,) = struct.unpack_from(">Q", content, inner[b"tfdt"] + 12)
            found.append(Run(track, decode_time, tuple(_samples(content, inner[b"trun"]))))
    return found


def _samples(content: bytes, trun: int) -> Iterator[Sample]:
    count, start = struct.unpack_from(">Ii", content, trun + 12)
    for row in range(count):
        duration, size, flags = struct.unpack_from(">III", content, trun + 20 + 12 * row)
        yield Sample(content[start : start + size], duration, flags == _SYNC)
        start += size


def _boxes(content: bytes, at: int, end: int) -> Iterator[tuple[bytes, int]]:
    while at < end:
        yield content[at + 4 : at + 8], at
        at += _size(content, at)


def _size(content: bytes, at: int) -> int:
    size: int = struct.unpack_from(">I", content, at)[0]
    return size


def _moof(sequence: int, runs: Sequence[Run], offsets: Sequence[int]) -> bytes:
    header = _full_box(b"mfhd", 0, struct.pack(">I", sequence))
    trafs = [_traf(run, offset) for run, offset in zip(runs, offsets, strict=True)]
    return _box(b"moof", header, *trafs)


def _traf(run: Run, offset: int) -> bytes:
    head = _full_box(b"tfhd", _BASE_IS_MOOF, struct.pack(">I", run.track))
    decode_time = _box(b"tfdt", struct.pack(">IQ", 1 << 24, run.decode_time))
    rows = [
        struct.pack(">III", sample.duration, len(sample.content), _SYNC if sample.keyframe else _NOT_SYNC)
        for sample in run.samples
    ]
    return _box(
        b"traf",
        head,
        decode_time,
        _full_box(b"trun", _TRUN_FIELDS, struct.pack(">Ii", len(run.samples), offset), *rows),
    )


def _full_box(name: bytes, flags: int, *parts: bytes) -> bytes:
    return _box(name, struct.pack(">I", flags), *parts)


def _box(name: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), name) + content

"""Owns the making of a plain MP4 out of a take's segments, without encoding anything again."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import av

_OPTIONS: Final = {"movflags": "+faststart"}


def write_movie(pieces: Sequence[Path], path: Path) -> None:
    """Write a take as an MP4 with its index in front, which appears at ``path`` when it is done.

    Args:
        pieces: initialisation and segments, in order.
        path: of the movie.


    Raises:
        OSError: if the disk is full, or the take was deleted.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with (
            av.open(io.BufferedReader(_Joined(pieces)), "r", format="mp4") as source,
            av.open(str(part), "w", format="mp4", container_options=dict(_OPTIONS)) as target,
        ):
            streams = {stream: target.add_stream_from_template(stream) for stream in source.streams}
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = streams[packet.stream]
                    target.mux(packet)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class _Joined(io.RawIOBase):
    """Initialisation and segments as one file, read once from front to back."""

    def __init__(self, pieces: Sequence[Path]) -> None:
        self._contents = (piece.read_bytes() for piece in pieces)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._rest:
            self._rest = memoryview(next(self._contents, b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

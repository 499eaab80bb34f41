"""Owns a take as one endless file for ``<video src>``: the same fragments, from one of them on, beginning at 0. Pure.

Chromium's own player is made for files, and two of its habits would cost it a second before the first picture; both
are met for it alone, because they would mislead programs that write the file down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from avatar_service.gateway.hls.fragment import Run, fragment, parse
from avatar_service.gateway.hls.tracks import TICKS_HZ, VIDEO_TRACK

_BLOCK_BYTES: Final = 32 * 1024
"""It hands bytes on in whole blocks of this size (``MultiBuffer``), so what is sent is padded to them."""

_LONG_S: Final = 10
"""Its demuxer reads 20 frames to guess the rate, or as many as last 5 s: so the first one says it lasts 10 s."""

_FREE: Final = b"free"
_HEADER_BYTES: Final = 8


class Progressive:
    """One viewer's file.

    Args:
        start_s: time in the take of the first part that he gets.
        is_chromium: whether his player is Chromium's.
    """

    def __init__(self, start_s: float, *, is_chromium: bool) -> None:
        self._start_s = start_s
        self._is_chromium = is_chromium
        self._sent = 0
        self._sequence = 0

    def begin(self, initialisation: bytes) -> bytes:
        """Return what goes first."""
        self._sent += len(initialisation)
        return initialisation

    def add(self, part: bytes) -> bytes:
        """Return the next part as it goes into this file."""
        runs = [run.earlier(min(run.decode_time, round(self._start_s * TICKS_HZ[run.track]))) for run in parse(part)]
        if self._is_chromium and not self._sequence:
            return b"".join(map(self._fragment, _with_long_first(runs)))
        return self._fragment(runs)

    def _fragment(self, runs: Sequence[Run]) -> bytes:
        self._sequence += 1
        content = fragment(self._sequence, runs)
        self._sent += len(content)
        return content + (self._padding() if self._is_chromium else b"")

    def _padding(self) -> bytes:
        size = _HEADER_BYTES + -(self._sent + _HEADER_BYTES) % _BLOCK_BYTES
        self._sent += size
        return size.to_bytes(4, "big") + _FREE + bytes(size - _HEADER_BYTES)


def _with_long_first(runs: Sequence[Run]) -> list[list[Run]]:
    """Return the runs of two fragments: the first frame, lasting long, and the rest, which starts when it should."""
    video = next(run for run in runs if run.track == VIDEO_TRACK)
    others = [run for run in runs if run.track != VIDEO_TRACK]
    first, *rest = video.samples
    long = replace(first, duration=_LONG_S * TICKS_HZ[VIDEO_TRACK])
    fragments = [[Run(VIDEO_TRACK, video.decode_time, (long,))]]
    remaining = [Run(VIDEO_TRACK, video.decode_time + first.duration, tuple(rest))] if rest else []
    return [*fragments, [*remaining, *others]] if remaining or others else fragments

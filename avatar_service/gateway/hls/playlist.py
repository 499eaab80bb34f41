"""Owns a live playlist: which segments and parts are published, and its text. Pure: dates are arguments.

The rules are those of RFC 8216 and its second edition (draft-pantos-hls-rfc8216bis) for Low-Latency HLS.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

PART_S: Final = 0.2
"""Length of a part: what a viewer is behind for its making."""

SEGMENT_S: Final = 0.6
"""Length of a segment, which is one group of pictures: what a player needs before it shows the first one."""

TARGET_S: Final = 1
"""Bound of that in whole seconds: what a player of plain HLS is behind for, three times."""

_VERSION: Final = 9
_HOLD_BACK_S: Final = 3 * TARGET_S
_PART_HOLD_BACK_S: Final = 3 * PART_S
_SKIP_UNTIL_S: Final = 6 * TARGET_S
_SERVER_CONTROL: Final = (
    f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={_SKIP_UNTIL_S:.1f},"
    f"HOLD-BACK={_HOLD_BACK_S:.1f},PART-HOLD-BACK={_PART_HOLD_BACK_S:.1f}"
)
_SEGMENTS_WITH_PARTS: Final = 3
_AHEAD: Final = 2
"""How far ahead of the list a blocking request may ask."""


class Readiness(enum.Enum):
    """Whether the list holds what a blocking request asks for."""

    THERE = enum.auto()
    COMING = enum.auto()
    TOO_FAR = enum.auto()


@dataclass(frozen=True, slots=True)
class _Segment:
    number: int
    date: datetime
    parts: list[float] = field(default_factory=list)

    @property
    def duration_s(self) -> float:
        return sum(self.parts)


class Playlist:
    """The published media of one take, a window of it.

    Args:
        window_s: media that stays listed.
    """

    def __init__(self, window_s: float) -> None:
        self._window_s = max(window_s, _SKIP_UNTIL_S + _HOLD_BACK_S)
        self._closed: deque[_Segment] = deque()
        self._open: _Segment | None = None
        self._next = 0
        self._listed_s = 0.0
        self.ended = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing was published yet."""
        return not self._closed and self._open is None

    @property
    def first_number(self) -> int:
        """Number of the oldest segment that is listed."""
        return self._closed[0].number if self._closed else self._next

    def add_part(self, duration_s: float, date: datetime) -> None:
        """Publish the next part; ``date`` is that of its first picture."""
        assert not self.ended
        if self._open is None:
            self._open = _Segment(self._next, date)
        self._open.parts.append(duration_s)

    def close_segment(self) -> None:
        """Publish the open segment as a whole, and let the oldest go that the window does not need."""
        assert self._open is not None
        self._closed.append(self._open)
        self._listed_s += self._open.duration_s
        self._next += 1
        self._open = None
        while self._listed_s - self._closed[0].duration_s >= self._window_s:
            self._listed_s -= self._closed.popleft().duration_s

    def end(self) -> None:
        """Say that nothing follows."""
        if self._open is not None:
            self.close_segment()
        self.ended = True

    def readiness(self, segment: int, part: int | None) -> Readiness:
        """Say whether a blocking request for ``segment``, and ``part`` of it, can be answered."""
        if self.ended or segment < self._next:
            return self._past(segment, part)
        if segment > self._next + _AHEAD - (self._open is None):
            return Readiness.TOO_FAR
        open_parts = len(self._open.parts) if self._open else 0
        is_there = segment == self._next and part is not None and part < open_parts
        return Readiness.THERE if is_there else Readiness.COMING

    def _past(self, segment: int, part: int | None) -> Readiness:
        """Answer for a closed segment: a part beyond its last one means the first of the next segment."""
        if self.ended or part is None or segment < self._next - 1 or not self._closed:
            return Readiness.THERE
        beyond = part >= len(self._closed[-1].parts)
        return Readiness.COMING if beyond and self._open is None else Readiness.THERE

    def has_segment(self, segment: int) -> bool:
        """Say whether a segment was published; it stays fetchable when it is no longer listed."""
        return segment < self._next

    def has_part(self, segment: int, part: int) -> Readiness:
        """Say whether a part can be fetched: it is there, or is the one that is hinted at."""
        if segment == self._next:
            count = len(self._open.parts) if self._open else 0
            if part < count:
                return Readiness.THERE
            return Readiness.COMING if part == count and not self.ended else Readiness.TOO_FAR
        return Readiness.THERE if segment < self._next else Readiness.TOO_FAR

    def text(self, prefix: str = "", *, skip: bool = False) -> str:
        """Return the playlist.

        Args:
            prefix: goes before every address.
            skip: leave out what the asker has seen already (``_HLS_skip``).
        """
        closed = list(self._closed)
        skipped = self._skippable(closed) if skip else 0
        lines = [
            "#EXTM3U",
            f"#EXT-X-VERSION:{_VERSION}",
            f"#EXT-X-TARGETDURATION:{TARGET_S}",
            _SERVER_CONTROL,
            f"#EXT-X-PART-INF:PART-TARGET={PART_S:.3f}",
            f"#EXT-X-MEDIA-SEQUENCE:{self.first_number}",
            "#EXT-X-INDEPENDENT-SEGMENTS",
            *([f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}"] if skipped else []),
            f'#EXT-X-MAP:URI="{prefix}init.mp4"',
        ]
        with_parts = self._next - _SEGMENTS_WITH_PARTS
        for segment in closed[skipped:]:
            lines += _segment_lines(segment, prefix, parts=segment.number >= with_parts)
        lines += self._tail(prefix)
        return "\n".join(lines) + "\n"

    def _tail(self, prefix: str) -> Iterator[str]:
        if self.ended:
            yield "#EXT-X-ENDLIST"
            return
        if self._open is not None:
            yield _date_line(self._open)
            yield from _part_lines(self._open, prefix)
        count = len(self._open.parts) if self._open else 0
        yield f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{prefix}{self._next}.{count}.m4s"'

    def _skippable(self, closed: Sequence[_Segment]) -> int:
        """Return how many segments lie before the skip boundary."""
        kept_s = self._open.duration_s if self._open else 0.0
        for skipped in range(len(closed), 0, -1):
            kept_s += closed[skipped - 1].duration_s
            if kept_s > _SKIP_UNTIL_S:
                return skipped - 1
        return 0


def _segment_lines(segment: _Segment, prefix: str, *, parts: bool) -> Iterator[str]:
    yield _date_line(segment)
    if parts:
        yield from _part_lines(segment, prefix)
    yield f"#EXTINF:{segment.duration_s:.5f},"
    yield f"{prefix}{segment.number}.m4s"


def _part_lines(segment: _Segment, prefix: str) -> Iterator[str]:
    for index, duration_s in enumerate(segment.parts):
        mark = ",INDEPENDENT=YES" if index == 0 else ""
        yield f'#EXT-X-PART:DURATION={duration_s:.5f},URI="{prefix}{segment.number}.{index}.m4s"{mark}'


def _date_line(segment: _Segment) -> str:
    return f"#EXT-X-PROGRAM-DATE-TIME:{segment.date.isoformat(timespec='milliseconds')}"


@dataclass(frozen=True, slots=True)
class Variant:
    """One format of a take, for the master playlist.

    Attributes:
        uri: of its playlist.
        codec: RFC 6381 string of the video.
        width: pixels.
        height: pixels.
        fps: frames per second.
        bitrate_kbps: mean rate of the video.
    """

    uri: str
    codec: str
    width: int
    height: int
    fps: int
    bitrate_kbps: int


_AUDIO_KBPS: Final = 64
_PEAK: Final = 1.5
"""The encoder's buffer is half a second, so a second may hold half more than the mean."""


def master(variants: Sequence[Variant]) -> str:
    """Return the master playlist, best format first."""
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{_VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for variant in variants:
        mean = 1000 * (variant.bitrate_kbps + _AUDIO_KBPS)
        peak = round(1000 * (_PEAK * variant.bitrate_kbps + _AUDIO_KBPS))
        attributes = (
            f"BANDWIDTH={peak},AVERAGE-BANDWIDTH={mean}",
            f'CODECS="{variant.codec},mp4a.40.2"',
            f"RESOLUTION={variant.width}x{variant.height}",
            f"FRAME-RATE={variant.fps:.3f}",
        )
        lines += [f"#EXT-X-STREAM-INF:{','.join(attributes)}", variant.uri]
    return "\n".join(lines) + "\n"

"""Owns where frames are cut into parts and segments. Pure: frames in, cuts out.

A segment is exactly one group of pictures, so it starts with a keyframe and every part belongs to one segment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

Frame = TypeVar("Frame")


@dataclass(frozen=True, slots=True)
class Part(Generic[Frame]):
    """Some frames that are published together.

    Attributes:
        segment: number of its segment, from 0.
        index: its number in the segment, from 0.
        start: when its first frame is shown, counted in frames from the start of the take.
        frames: at least one.
        lengths: how long each is shown, counted in frames.
    """

    segment: int
    index: int
    start: int
    frames: tuple[Frame, ...]
    lengths: tuple[int, ...]

    @property
    def length(self) -> int:
        """How long it is, counted in frames."""
        return sum(self.lengths)

    @property
    def independent(self) -> bool:
        """Whether it starts with a keyframe."""
        return self.index == 0


@dataclass(frozen=True, slots=True)
class SegmentEnd:
    """The segment has all its parts."""

    segment: int


Cut: TypeAlias = Part[Frame] | SegmentEnd


class Cutter(Generic[Frame]):
    """Cuts a take.

    Args:
        part_frames: length of a part, counted in frames; the last one of a segment may be shorter.
        segment_frames: frames of a segment: the longest group of pictures that comes.

    Attributes:
        part_frames: as given.
        length: of what was added, counted in frames.
        holds_back: whether a part that is complete waits for the next frame, or for the end.
    """

    def __init__(self, part_frames: int, segment_frames: int) -> None:
        self.part_frames = part_frames
        self._segment_frames = segment_frames
        self._pending: list[tuple[Frame, int]] = []
        self._segment = 0
        self._index = 0
        self._in_segment = 0
        self.length = 0
        self.holds_back = False

    def add(self, frame: Frame, *, keyframe: bool, length: int = 1) -> list[Cut[Frame]]:
        """Return what ends before ``frame``, and with it.

        Args:
            frame: the next one.
            keyframe: whether it is one.
            length: how long it is shown; only a keyframe may be shown for longer than 1, and none longer than a part.

        Raises:
            ValueError: if a segment would start without a keyframe.
        """
        cuts = self.flush() if keyframe or self._is_full else self._whole_part()
        if not keyframe and self._in_segment == 0:
            msg = f"the frame at {self.length} starts a segment and is no keyframe"
            raise ValueError(msg)
        self._pending.append((frame, length))
        self.length += length
        self._in_segment += 1
        if self.holds_back:
            return cuts
        return cuts + (self.flush() if self._is_full else self._whole_part())

    def flush(self) -> list[Cut[Frame]]:
        """Return what ends if no frame of the open segment follows."""
        if not self._in_segment:
            return []
        cuts = [*self._part(), SegmentEnd(self._segment)]
        self._segment += 1
        self._index = self._in_segment = 0
        return cuts

    @property
    def _is_full(self) -> bool:
        return self._in_segment == self._segment_frames

    def _whole_part(self) -> list[Cut[Frame]]:
        return self._part() if sum(length for _, length in self._pending) == self.part_frames else []

    def _part(self) -> list[Cut[Frame]]:
        if not self._pending:
            return []
        frames, lengths = zip(*self._pending, strict=True)
        part = Part(self._segment, self._index, self.length - sum(lengths), frames, lengths)
        self._pending = []
        self._index += 1
        return [part]

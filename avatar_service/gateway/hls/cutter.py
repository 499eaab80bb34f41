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
        first_frame: number of its first frame in the take.
        frames: at least one.
    """

    segment: int
    index: int
    first_frame: int
    frames: tuple[Frame, ...]

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
        part_frames: frames of a part; the last one of a segment may have fewer.
        segment_frames: frames of a segment: the longest group of pictures that comes.
    """

    def __init__(self, part_frames: int, segment_frames: int) -> None:
        self._part_frames = part_frames
        self._segment_frames = segment_frames
        self._pending: list[Frame] = []
        self._segment = 0
        self._index = 0
        self._in_segment = 0
        self.frames = 0

    def add(self, frame: Frame, *, keyframe: bool) -> list[Cut[Frame]]:
        """Return what ends before ``frame``, and with it.

        Raises:
            ValueError: if a segment would start without a keyframe.
        """
        cuts = self.flush() if keyframe else []
        if not keyframe and self._in_segment == 0:
            msg = f"frame {self.frames} starts a segment and is no keyframe"
            raise ValueError(msg)
        self._pending.append(frame)
        self.frames += 1
        self._in_segment += 1
        if self._in_segment == self._segment_frames:
            return cuts + self.flush()
        return cuts + (self._part() if len(self._pending) == self._part_frames else [])

    def flush(self) -> list[Cut[Frame]]:
        """Return what ends if no frame of the open segment follows."""
        if not self._in_segment:
            return []
        cuts = [*self._part(), SegmentEnd(self._segment)]
        self._segment += 1
        self._index = self._in_segment = 0
        return cuts

    def _part(self) -> list[Cut[Frame]]:
        if not self._pending:
            return []
        part = Part(self._segment, self._index, self.frames - len(self._pending), tuple(self._pending))
        self._pending = []
        self._index += 1
        return [part]

"""Owns the audio of one slot that is not yet motion, and cuts it into hops. Pure.

The same samples give the same hops however they were fed: a hop starts at a multiple of the hop's length, is ready
once its look-ahead is there or its segment has ended, and sees silence where the segment has no samples.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from avatar_service import media
from avatar_service.engine.base import EngineSpec


@dataclass(frozen=True, slots=True)
class Hop:
    """Audio for one motion step; fields as in ``MotionStep``, and when each frame is due (monotonic seconds)."""

    segment: int
    first_frame: int
    window: NDArray[np.float32]
    remaining: int
    deadlines: tuple[float, ...]

    @property
    def frames(self) -> int:
        """Rows to make."""
        return len(self.deadlines)


@dataclass(slots=True)
class _Segment:
    """One segment's audio from ``start`` (its first sample still kept) to ``total``."""

    number: int
    began: float
    ended_at: float | None = None
    start: int = 0
    total: int = 0
    frames_made: int = 0
    kept: deque[NDArray[np.float32]] = field(default_factory=deque)
    arrivals: deque[float] = field(default_factory=deque)
    """When the last sample that frame ``frames_made + i`` needs arrived."""


class Track:
    """The audio of one slot, segment by segment.

    Args:
        spec: of the engine, under the session's preset.
        hop_frames: frames a hop makes; less only at the end of a segment.
    """

    def __init__(self, spec: EngineSpec, hop_frames: int) -> None:
        self._spec = spec
        self._hop_frames = hop_frames
        self._segments: deque[_Segment] = deque()

    def feed(self, segment: int, samples: NDArray[np.float32], arrived: float) -> None:
        """Append audio ``[n]`` to the newest segment, or open a new one of that number."""
        newest = self._newest(segment, arrived)
        newest.kept.append(samples)
        newest.total += samples.size
        self._note_arrivals(newest, max(0, newest.total - self._spec.look_ahead) // self._spec.frame_samples, arrived)

    def end(self, segment: int, arrived: float) -> None:
        """No more audio in this segment."""
        newest = self._newest(segment, arrived)
        newest.ended_at = arrived
        self._note_arrivals(newest, media.frames_for(newest.total, self._spec.fps), arrived)

    def cut(self, segments: frozenset[int]) -> None:
        """Forget these segments."""
        self._segments = deque(segment for segment in self._segments if segment.number not in segments)

    @property
    def deadline(self) -> float | None:
        """When the first frame of the next hop is due, or ``None`` if no hop is ready."""
        segment = self._current()
        return None if segment is None else self._due(segment, 0)

    def take(self) -> Hop:
        """Return the next hop, which must be ready, and move on behind it."""
        segment = self._current()
        assert segment is not None, "no hop is ready"
        spec = self._spec
        frames = min(self._hop_frames, len(segment.arrivals))
        first_sample = segment.frames_made * spec.frame_samples
        length = spec.context + frames * spec.frame_samples + spec.look_ahead
        hop = Hop(
            segment=segment.number,
            first_frame=segment.frames_made,
            window=_window(segment, first_sample - spec.context, length),
            remaining=min(segment.total - first_sample, length - spec.context),
            deadlines=tuple(self._due(segment, i) for i in range(frames)),
        )
        segment.frames_made += frames
        for _ in range(frames):
            segment.arrivals.popleft()
        _forget(segment, segment.frames_made * spec.frame_samples - spec.context)
        return hop

    def _newest(self, number: int, arrived: float) -> _Segment:
        if not self._segments or self._segments[-1].number != number:
            self._segments.append(_Segment(number, began=arrived))
        return self._segments[-1]

    def _note_arrivals(self, segment: _Segment, frames: int, arrived: float) -> None:
        missing = frames - segment.frames_made - len(segment.arrivals)
        segment.arrivals.extend([arrived] * missing)

    def _current(self) -> _Segment | None:
        """Return the segment whose next hop is ready; ended segments without frames to make are dropped."""
        while self._segments:
            segment = self._segments[0]
            if len(segment.arrivals) >= self._hop_frames or (segment.ended_at is not None and segment.arrivals):
                return segment
            if segment.ended_at is None:
                return None
            self._segments.popleft()
        return None

    def _due(self, segment: _Segment, i: int) -> float:
        """The later of the frame's time on the segment's clock and the arrival of its last sample."""
        return max(segment.began + (segment.frames_made + i) / self._spec.fps, segment.arrivals[i])


def _window(segment: _Segment, first: int, length: int) -> NDArray[np.float32]:
    """Copy samples ``[first, first + length)`` of the segment; silence where it has none."""
    window = np.zeros(length, np.float32)
    position = segment.start - first
    for piece in segment.kept:
        low, high = max(position, 0), min(position + piece.size, length)
        if low < high:
            window[low:high] = piece[low - position : high - position]
        position += piece.size
    return window


def _forget(segment: _Segment, before: int) -> None:
    """Drop whole pieces that lie before the sample ``before``: nothing will look at them again."""
    while segment.kept and segment.start + segment.kept[0].size <= before:
        segment.start += segment.kept.popleft().size

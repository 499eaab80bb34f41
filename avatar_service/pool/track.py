"""Owns the audio of one slot that is not yet motion, and cuts it into hops. Pure.

The same samples give the same hops however they were fed: a hop starts at a multiple of the hop's length, is ready
once its look-ahead is there or its segment has ended, and sees silence where the segment has no samples. Controls keep
their place among the samples.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar_service import media
from avatar_service.engine.base import Controls, EngineSpec
from avatar_service.pcm import to_samples
from avatar_service.pool.snapshot import SegmentAudio, SegmentMark, Snapshot

JITTER_S: Final = 0.02
"""LIVE: how long speech is held back when it starts, or starts again, so that audio may come so much late."""


@dataclass(frozen=True, slots=True)
class Hop:
    """Audio for one motion step; fields as in ``MotionStep``, and when each frame is due (monotonic seconds).

    ``segment`` is ``None`` where there is no sound; ``controls`` take effect before the step.
    """

    segment: int | None
    first_frame: int
    window: NDArray[np.float32]
    remaining: int
    deadlines: tuple[float, ...]
    controls: Controls | None = None

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
    marks: deque[tuple[int, Controls]] = field(default_factory=deque)
    """Controls and the sample before which they came; one entry a sample at the most."""

    def controls_before(self, sample: int) -> Controls | None:
        """Take the controls that came before ``sample`` or at it."""
        merged = None
        while self.marks and self.marks[0][0] <= sample:
            merged = _then(merged, self.marks.popleft()[1])
        return merged


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
        self._released: Controls | None = None
        self.flowing: int | None = None

    @property
    def fps(self) -> int:
        """Frames per second."""
        return self._spec.fps

    @property
    def released(self) -> Controls | None:
        """What the next hop is to follow, apart from what comes among its audio."""
        return self._released

    @property
    def marks(self) -> tuple[SegmentMark, ...]:
        """How far it is with each segment."""
        return tuple(
            SegmentMark(one.number, one.total, one.frames_made, one.ended_at is not None, tuple(one.marks))
            for one in self._segments
        )

    def resume(self, snapshot: Snapshot, audio: Mapping[int, SegmentAudio], arrived: float) -> None:
        """Go on from where another track was; all audio counts as having arrived just now."""
        self._released, self.flowing = snapshot.controls, snapshot.flowing
        for mark in snapshot.segments:
            heard = audio[mark.number]
            segment = _Segment(
                mark.number,
                began=arrived - mark.frames_made / self._spec.fps,
                ended_at=arrived if mark.ended else None,
                start=heard.start,
                total=mark.total,
                frames_made=mark.frames_made,
                kept=deque([to_samples(heard.pcm)]),
                marks=deque(mark.controls),
            )
            self._segments.append(segment)
            self._note_arrivals(segment, self._allowed(segment), arrived)

    def feed(self, segment: int, samples: NDArray[np.float32], arrived: float) -> None:
        """Append audio ``[n]`` to the newest segment, or open a new one of that number."""
        newest = self._newest(segment, arrived)
        newest.kept.append(samples)
        newest.total += samples.size
        self._note_arrivals(newest, self._allowed(newest), arrived)

    def end(self, segment: int, arrived: float) -> None:
        """No more audio in this segment."""
        newest = self._newest(segment, arrived)
        newest.ended_at = arrived
        self._note_arrivals(newest, self._allowed(newest), arrived)

    def control(self, controls: Controls) -> None:
        """Have the first frame behind the audio so far made with these controls; the next, if that is made already."""
        newest = self._segments[-1] if self._segments else None
        if newest is None or newest.total <= newest.frames_made * self._spec.frame_samples:
            self._release(controls)
        elif newest.marks and newest.marks[-1][0] == newest.total:
            newest.marks[-1] = newest.total, newest.marks[-1][1].then(controls)
        else:
            newest.marks.append((newest.total, controls))

    def cut(self, segments: frozenset[int]) -> None:
        """Forget these segments; what came among their audio to stay is not forgotten."""
        kept: deque[_Segment] = deque()
        for segment in self._segments:
            if segment.number in segments:
                self._drop(segment)
            else:
                kept.append(segment)
        self._segments = kept

    def flows(self, now: float) -> bool:
        """LIVE: say whether the next frame is speech. Asked once a tick."""
        segment = self._current()
        if segment is None:
            self.flowing = None
        elif segment.number != self.flowing:
            waits = segment.ended_at is None and now < segment.arrivals[0] + JITTER_S
            self.flowing = None if waits else segment.number
        return self.flowing is not None

    def idle(self) -> Hop:
        """Return what a frame without sound is made with."""
        segment = self._segments[0] if self._segments else None
        if segment is not None:
            place = segment.frames_made * self._spec.frame_samples if segment.arrivals else segment.total
            self._release(segment.controls_before(place))
        return Hop(None, 0, np.empty(0, np.float32), 0, (0.0,), self._take_released())

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
            controls=_then(self._take_released(), segment.controls_before(first_sample)),
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

    def _allowed(self, segment: _Segment) -> int:
        """Return how many frames the audio so far allows."""
        if segment.ended_at is not None:
            return media.frames_for(segment.total, self._spec.fps)
        return max(0, segment.total - self._spec.look_ahead) // self._spec.frame_samples

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
            self._drop(self._segments.popleft())
        return None

    def _drop(self, segment: _Segment) -> None:
        self._release(segment.controls_before(segment.total))

    def _release(self, controls: Controls | None) -> None:
        self._released = _then(self._released, controls)

    def _take_released(self) -> Controls | None:
        released, self._released = self._released, None
        return released

    def _due(self, segment: _Segment, i: int) -> float:
        """The later of the frame's time on the segment's clock and the arrival of its last sample."""
        return max(segment.began + (segment.frames_made + i) / self._spec.fps, segment.arrivals[i])


def _then(earlier: Controls | None, later: Controls | None) -> Controls | None:
    return earlier.then(later) if earlier is not None and later is not None else earlier or later


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

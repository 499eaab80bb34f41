"""Owns the frames that wait to be sent: their order, their pts, and what is said before them. Pure.

Frames wait here rendered and not yet sent, so those of a dead segment can still be dropped. ON_AUDIO a frame gets its
pts as it leaves, so pts have no gaps; in LIVE its tick is its time, and behind a gap nothing is sent but a keyframe.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import replace
from typing import Final, TypeAlias

from avatar_service import media
from avatar_service.pool.messages import Rendered
from avatar_service.session.events import EncodedFrame, Idle, SegmentStarted, Underrun
from avatar_service.session.segment import Segment

Sent: TypeAlias = EncodedFrame | SegmentStarted | Underrun | Idle


class Delivery:
    """The frames of one session.

    Args:
        fps: frames per second.
        live: whether frames have ticks.
    """

    def __init__(self, fps: int, *, live: bool) -> None:
        self._duration = media.ticks_per_frame(fps)
        self.live: Final = live
        self._frames: deque[tuple[Segment | None, Rendered]] = deque()
        self._next_pts = 0
        self._awaits_keyframe = False
        self._spoke = False
        self._starves = False

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, segment: Segment | None, frame: Rendered) -> bool:
        """Take a frame; return ``False`` if it will not be sent, so that it must be acknowledged at once."""
        if self._awaits_keyframe and frame.units:
            if not _is_key(frame):
                self._keep_time(segment, frame)
                return False
            self._awaits_keyframe = False
        self._frames.append((segment, frame))
        return True

    def refuse(self, frame: Rendered) -> bool:
        """Drop a frame of a dead segment; return ``False`` if it must be acknowledged."""
        self._awaits_keyframe = self._awaits_keyframe or (self.live and bool(frame.units))
        return not frame.units

    def cut(self, segments: Collection[int]) -> int:
        """Drop the frames of these segments, and in LIVE what leans on them; return how many were to be sent."""
        frames, self._frames = self._frames, deque()
        dropped = 0
        for segment, frame in frames:
            if segment is not None and segment.number in segments:
                dropped += bool(frame.units)
                self.refuse(frame)
            else:
                dropped += not self.put(segment, frame)
        return dropped

    def clear(self) -> None:
        """Let go of every frame; in LIVE its time passes all the same."""
        frames, self._frames = self._frames, deque()
        if self.live:
            for segment, frame in frames:
                self._keep_time(segment, frame)

    def pass_over(self) -> bool:
        """Count the next frame as shown if it was left out, and say whether it was."""
        if not self._frames or self._frames[0][1].units:
            return False
        self._count(*self._frames.popleft())
        return True

    def next(self, unfinished: Segment | None) -> Sent | None:
        """Return what is to be sent next, if anything; a frame returned counts as shown.

        Args:
            unfinished: the first segment that is not over.
        """
        if not self._frames:
            return None
        segment, frame = self._frames[0]
        pts = frame.tick * self._duration if self.live else self._next_pts
        before = self._idling(unfinished, pts) if segment is None else _starting(segment, pts)
        if before is not None:
            return before
        self._frames.popleft()
        self._count(segment, frame)
        self._next_pts += self._duration
        if segment is None:
            return EncodedFrame(pts, self._duration, "", 0, frame.units, frame.kind)
        segment.sent += 1
        return EncodedFrame(pts, self._duration, segment.id, frame.index, frame.units, frame.kind)

    def _idling(self, unfinished: Segment | None, pts: int) -> Underrun | Idle | None:
        """Return what is to be said before an idle frame."""
        if unfinished is not None and unfinished.passed:
            if not self._starves:
                self._starves = True
                return Underrun(unfinished.id, pts)
        elif self._spoke:
            self._spoke = self._starves = False
            return Idle(pts)
        return None

    def _count(self, segment: Segment | None, frame: Rendered) -> None:
        if segment is not None:
            segment.passed = frame.index + 1
            self._spoke, self._starves = True, False

    def _keep_time(self, segment: Segment | None, frame: Rendered) -> None:
        """Speech that is not shown still passes."""
        if segment is not None:
            self._frames.append((segment, replace(frame, units=())))


def _starting(segment: Segment, pts: int) -> SegmentStarted | None:
    if segment.started:
        return None
    segment.started = True
    return SegmentStarted(segment.id, pts)


def _is_key(frame: Rendered) -> bool:
    return all(unit.keyframe for unit in frame.units)

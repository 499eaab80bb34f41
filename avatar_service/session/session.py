"""Owns one session: which segment audio belongs to, what is sent next and with which pts. Pure: time is an argument.

Frames wait here, rendered and not yet sent, and get their pts only as they leave; so a frame of a dead segment can
still be dropped, and pts have no gaps.
"""

from __future__ import annotations

import itertools
from collections import deque
from typing import Final

from avatar_service import media
from avatar_service.engine.base import EngineSpec, Preset
from avatar_service.errors import FailedPreconditionError
from avatar_service.pool.messages import Rendered
from avatar_service.session.events import (
    EncodedFrame,
    Interrupted,
    Ready,
    SegmentFinished,
    SegmentStarted,
    ServerEvent,
    State,
    StatusReport,
    Warned,
)
from avatar_service.session.machine import Activity, Event, Lifecycle, Machine
from avatar_service.session.segment import PastIds, Segment, check_id
from avatar_service.session.stopwatch import Stopwatch

_SETTLE_S: Final = 0.5
"""Silence after which a session with an open segment counts as waiting; paced audio comes far more often."""


class Session:
    """What is left when the call's input and output are taken away.

    Args:
        spec: of the engine.
        now: monotonic seconds at which the call began.
    """

    def __init__(self, spec: EngineSpec, now: float) -> None:
        self._spec = spec
        self._fps = spec.fps
        self._hop_frames = spec.hop_frames
        self._prepared = False
        self._announced = False
        self._machine = Machine()
        self._segments: deque[Segment] = deque()
        self._past = PastIds()
        self._events: deque[ServerEvent] = deque()
        self._frames: deque[tuple[Segment, Rendered]] = deque()
        self._next_number = 0
        self._next_pts = 0
        self._frames_sent = 0
        self._began = now
        self._last_speech = now
        self._at_work = Stopwatch()

    def __repr__(self) -> str:
        return f"<Session {self._machine!r}, {len(self._segments)} segments, {len(self._frames)} frames to send>"

    @property
    def lifecycle(self) -> Lifecycle:
        """How far the call has come."""
        return self._machine.lifecycle

    @property
    def is_speaking(self) -> bool:
        """Whether a segment is open."""
        return self._machine.activity is Activity.SPEAKING

    @property
    def hop_s(self) -> float:
        """Seconds of audio that one step of the engine advances by."""
        return self._hop_frames / self._fps

    @property
    def look_ahead(self) -> int:
        """Samples that the engine must see beyond a hop."""
        return self._spec.look_ahead

    @property
    def step_samples(self) -> int:
        """Samples that must be buffered before a frame can be made: a hop and its look-ahead."""
        return self._hop_frames * media.samples_per_frame(self._fps) + self._spec.look_ahead

    @property
    def announced(self) -> bool:
        """Whether ``Ready`` was sent, so that anything else may follow."""
        return self._announced

    @property
    def owes_ready(self) -> bool:
        """Whether ``Ready`` is next; it goes out even before a failure."""
        return self._prepared and not self._announced

    @property
    def buffered(self) -> int:
        """Samples received and not yet shown."""
        return sum(segment.unplayed for segment in self._segments)

    @property
    def unfinished(self) -> int:
        """Segments that are not over."""
        return len(self._segments)

    @property
    def has_news(self) -> bool:
        """Whether there is anything to send but frames, or nothing will be sent any more."""
        return bool(self._events) or self.complete

    @property
    def complete(self) -> bool:
        """Whether everything is out."""
        return self.lifecycle is Lifecycle.CLOSED and not self._events

    def init(self, preset: Preset, chunk_duration_s: float) -> None:
        """The first message came; here and below, what comes at a wrong time raises FailedPreconditionError."""
        self._machine.advance(Event.INIT)
        self._spec = self._spec.under(preset)
        self._hop_frames = self._spec.hop_within(chunk_duration_s)

    def check(self, event: Event) -> None:
        """Raise if ``event`` would be illegal now; change nothing."""
        self._machine.check(event)

    def ready(self, ready: Ready, warnings: tuple[Warned, ...]) -> None:
        """The avatar is prepared."""
        self._machine.advance(Event.READY)
        self._events.extendleft(reversed((ready, *warnings)))
        self._prepared = True
        self._settle()

    def speech(self, segment_id: str) -> tuple[Segment | None, bool]:
        """Audio came: return its segment and whether that is a new one; ``None`` if its segment was cut.

        Raises:
            FailedPreconditionError: ``SEGMENT_OPEN`` or ``SEGMENT_ENDED``.
            InvalidArgumentError: ``SEGMENT_ID``.
        """
        check_id(segment_id, "audio")
        current = self._open_segment()
        if self._past.was_cut(segment_id):
            self._machine.check(Event.SPEECH)
            return None, False
        if current is not None and segment_id not in {"", current.id}:
            msg = f"segment {current.id!r} is still open; send end_of_segment before audio of {segment_id!r}"
            raise FailedPreconditionError("SEGMENT_OPEN", msg, subject=current.id)
        if current is None and self._is_known(segment_id):
            msg = f"segment {segment_id!r} was ended; use a new id"
            raise FailedPreconditionError("SEGMENT_ENDED", msg, subject=segment_id)
        self._machine.advance(Event.SPEECH)
        if current is not None:
            return current, False
        segment = Segment(self._next_number, segment_id or self._new_id(), self._fps)
        self._next_number += 1
        self._segments.append(segment)
        return segment, True

    def allowed(self, segment: Segment) -> int:
        """Return how many frames the segment's audio allows so far."""
        return segment.allowed(self._spec.look_ahead, self._hop_frames)

    def fed(self, segment: Segment, samples: int, now: float) -> None:
        """The segment's audio became this many 16 kHz samples more."""
        segment.samples += samples
        self._last_speech = now
        self._at_work.note(now, has_work=self._has_work())

    def ending(self, segment_id: str) -> Segment | None:
        """Return the segment that ``end_of_segment`` means; ``None`` if there is nothing to end any more.

        Raises:
            FailedPreconditionError: ``SEGMENT_OPEN`` if another segment is open.
        """
        check_id(segment_id, "end_of_segment")
        current = self._open_segment()
        if self._past.was_cut(segment_id):
            self._machine.check(Event.END_OF_SEGMENT)
            return None
        if current is not None and segment_id not in {"", current.id}:
            msg = f"segment {segment_id!r} is not open; {current.id!r} is"
            raise FailedPreconditionError("SEGMENT_OPEN", msg, subject=current.id)
        self._machine.advance(Event.END_OF_SEGMENT)
        if current is None:
            self._events.append(Warned("NO_OPEN_SEGMENT", "end_of_segment came while no segment was open"))
        return current

    def end_of_audio(self) -> Segment | None:
        """No more audio will come; return the segment that was still open."""
        current = self._open_segment()
        self._machine.advance(Event.END_OF_AUDIO)
        self._settle()
        return current

    def ended(self, segment: Segment, now: float) -> None:
        """The segment's last samples are counted."""
        segment.ended = True
        self._last_speech = now
        self._at_work.note(now, has_work=self._has_work())
        self._settle()

    def interrupt(self, segment_id: str, now: float) -> tuple[list[int], int]:
        """Cut one segment or all; return the numbers of those cut, and how many frames were dropped here."""
        check_id(segment_id, "interrupt")
        dead = [segment for segment in self._segments if segment_id in {"", segment.id}]
        self._machine.advance(Event.INTERRUPT if self._open_segment() in dead else Event.INTERRUPT_EARLIER)
        numbers = [segment.number for segment in dead]
        kept = deque(pair for pair in self._frames if pair[0].number not in numbers)
        dropped_frames = len(self._frames) - len(kept)
        self._frames = kept
        self._segments = deque(segment for segment in self._segments if segment.number not in numbers)
        played, dropped = sum(s.played for s in dead), sum(s.unplayed for s in dead)
        self._events.append(Interrupted(tuple(s.id for s in dead), played, dropped))
        for segment in dead:
            self._finish(segment, interrupted=True)
        self._at_work.note(now, has_work=self._has_work())
        self._settle()
        return numbers, dropped_frames

    def discard(self) -> None:
        """Let go of the frames that will never be sent; whoever still holds the session then holds little."""
        self._frames.clear()

    def rendered(self, frame: Rendered) -> bool:
        """A frame was made; return ``False`` if its segment is dead, so that it must be acknowledged at once."""
        segment = next((segment for segment in self._segments if segment.number == frame.segment), None)
        if segment is None:
            return False
        self._frames.append((segment, frame))
        return True

    def next_event(self, now: float) -> ServerEvent | None:
        """Return what is to be sent next, or ``None`` if there is nothing. A frame returned counts as played."""
        if not self._prepared:
            return None
        if self._events:
            self._announced = True
            return self._events.popleft()
        if not self._frames:
            return None
        segment, frame = self._frames[0]
        if not segment.started:
            segment.started = True
            return SegmentStarted(segment.id, self._next_pts)
        self._frames.popleft()
        duration = media.ticks_per_frame(self._fps)
        event = EncodedFrame(self._next_pts, duration, segment.id, frame.index, frame.units)
        self._next_pts += duration
        self._frames_sent += 1
        segment.sent += 1
        self._at_work.note(now, has_work=self._has_work())
        self._settle()
        return event

    def status(self, now: float) -> StatusReport:
        """Return how the session stands."""
        busy = self._at_work.seconds(now)
        shown = self._frames_sent / self._fps
        return StatusReport(
            state=self._state(now),
            frames=self._frames_sent,
            buffered_s=self.buffered / media.SAMPLE_RATE_HZ,
            uptime_s=now - self._began,
            real_time_factor=shown / busy if busy > 0 else 0.0,
        )

    def _state(self, now: float) -> State:
        if self.lifecycle is Lifecycle.CLOSED:
            return State.COMPLETE
        open_segment = self._open_segment()
        waits = open_segment is not None and not self._at_work.is_running and now - self._last_speech > _SETTLE_S
        return State.PROCESSING if self._segments and not waits else State.WAITING_FOR_AUDIO

    def _open_segment(self) -> Segment | None:
        return self._segments[-1] if self.is_speaking else None

    def _is_known(self, segment_id: str) -> bool:
        return segment_id in self._past or any(segment.id == segment_id for segment in self._segments)

    def _new_id(self) -> str:
        """Return a name that is free, for a segment that the client did not name."""
        names = (f"segment-{number}" for number in itertools.count(self._next_number + 1))
        return next(name for name in names if not self._is_known(name))

    def _settle(self) -> None:
        """Finish the segments at the head that are complete, and the session after the last one."""
        if not self._prepared:
            return
        while self._segments and self._segments[0].complete:
            self._finish(self._segments.popleft(), interrupted=False)
        if self.lifecycle is Lifecycle.ENDING and not self._segments:
            self._machine.advance(Event.FINISHED)

    def _finish(self, segment: Segment, *, interrupted: bool) -> None:
        self._events.append(SegmentFinished(segment.id, segment.played, segment.sent, interrupted))
        self._past.add(segment.id, cut=interrupted)

    def _has_work(self) -> bool:
        """Say whether the audio allows a frame that is not yet sent."""
        return any(self.allowed(segment) > segment.sent for segment in self._segments)

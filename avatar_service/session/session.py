"""Owns one session: which segment audio belongs to, and what is sent next. Pure: time is an argument."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Final

from avatar_service import media
from avatar_service.engine.base import EngineSpec
from avatar_service.errors import FailedPreconditionError
from avatar_service.pool.messages import Rendered
from avatar_service.session.delivery import Delivery
from avatar_service.session.events import (
    Control,
    EncodedFrame,
    Init,
    Interrupted,
    Ready,
    SegmentFinished,
    ServerEvent,
    State,
    StatusReport,
    Warned,
)
from avatar_service.session.machine import Activity, Event, Lifecycle, Machine
from avatar_service.session.segment import Segment, Segments, check_id
from avatar_service.session.stopwatch import Stopwatch

_MOST_SEGMENTS: Final = 64
_MOST_EVENTS: Final = 256
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
        self._hop_frames = spec.hop_frames
        self._prepared = False
        self._announced = False
        self._machine = Machine()
        self._segments = Segments(spec.frame_samples, spec.hop_frames, spec.look_ahead)
        self._events: deque[ServerEvent] = deque()
        self._delivery = Delivery(spec.fps, live=False)
        self._paused = False
        self._frames_sent = 0
        self._began = self._last_speech = now
        self._at_work = Stopwatch()

    def __repr__(self) -> str:
        return f"<Session {self._machine!r}, {len(self._segments)} segments, {len(self._delivery)} frames to send>"

    @property
    def lifecycle(self) -> Lifecycle:
        """How far the call has come."""
        return self._machine.lifecycle

    @property
    def open_segment(self) -> Segment | None:
        """The segment that audio goes to, if one is open."""
        return self._segments.newest if self._machine.activity is Activity.SPEAKING else None

    @property
    def needs_no_audio(self) -> bool:
        """Whether frames are made without anything to show."""
        return self._delivery.live and not self._paused

    @property
    def is_paused(self) -> bool:
        """Whether no frames are made because nobody watches."""
        return self._paused

    @property
    def step_samples(self) -> int:
        """Samples that must be buffered before a frame can be made: a hop and its look-ahead."""
        return self._hop_frames * media.samples_per_frame(self._spec.fps) + self._spec.look_ahead

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
        return sum([segment.unplayed for segment in self._segments])

    def is_full(self, most_samples: int) -> bool:
        """Say whether so much waits that nothing more should be read; short segments need a bound of their own."""
        if len(self._segments) > _MOST_SEGMENTS or len(self._events) > _MOST_EVENTS:
            return True
        return self.buffered > most_samples

    @property
    def has_news(self) -> bool:
        """Whether there is anything to send but frames, or nothing will be sent any more."""
        return bool(self._events) or self._machine.lifecycle is Lifecycle.CLOSED

    @property
    def complete(self) -> bool:
        """Whether everything is out."""
        return self._machine.lifecycle is Lifecycle.CLOSED and not self._events

    def init(self, init: Init) -> None:
        """The first message came; here and below, what comes at a wrong time raises FailedPreconditionError."""
        self._machine.advance(Event.INIT)
        self._spec = self._spec.under(init.parameters.preset)
        self._hop_frames = self._spec.hop_within(init.chunk_duration_s)
        self._segments = Segments(self._spec.frame_samples, self._hop_frames, self._spec.look_ahead)
        self._delivery = Delivery(self._spec.fps, live=init.live)

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
        current = self.open_segment
        if current is not None and segment_id in {"", current.id}:
            self._machine.advance(Event.SPEECH)
            return current, False
        if self._segments.was_cut(segment_id):
            self._machine.check(Event.SPEECH)
            return None, False
        if current is not None:
            msg = f"segment {current.id!r} is still open; send end_of_segment before audio of {segment_id!r}"
            raise FailedPreconditionError("SEGMENT_OPEN", msg, subject=current.id)
        if self._segments.is_known(segment_id):
            msg = f"segment {segment_id!r} was ended; use a new id"
            raise FailedPreconditionError("SEGMENT_ENDED", msg, subject=segment_id)
        self._machine.advance(Event.SPEECH)
        return self._segments.begin(segment_id), True

    def fed(self, segment: Segment, samples: int, now: float) -> bool:
        """The segment's audio became this many 16 kHz samples more; say whether that allows a frame more."""
        self._last_speech = now
        if not segment.hear(samples):
            return False
        self._at_work.note(now, has_work=True)
        return True

    def ending(self, segment_id: str) -> Segment | None:
        """Return the segment that ``end_of_segment`` means; ``None`` if there is nothing to end any more.

        Raises:
            FailedPreconditionError: ``SEGMENT_OPEN`` if another segment is open.
        """
        check_id(segment_id, "end_of_segment")
        current = self.open_segment
        if self._segments.was_cut(segment_id):
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
        current = self.open_segment
        self._machine.advance(Event.END_OF_AUDIO)
        self._settle()
        return current

    def ended(self, segment: Segment, now: float) -> None:
        """The segment's last samples are counted."""
        segment.end()
        self._last_speech = now
        self._moved_on(now)

    def interrupt(self, segment_id: str, now: float) -> tuple[list[int], int]:
        """Cut one segment or all; return the numbers of those cut, and how many frames were dropped here."""
        check_id(segment_id, "interrupt")
        dead = [segment for segment in self._segments if segment_id in {"", segment.id}]
        self._machine.advance(Event.INTERRUPT if self.open_segment in dead else Event.INTERRUPT_EARLIER)
        numbers = [segment.number for segment in dead]
        dropped_frames = self._delivery.cut(numbers)
        played, dropped = sum(s.played for s in dead), sum(s.unplayed for s in dead)
        self._events.append(Interrupted(tuple(s.id for s in dead), played, dropped))
        for segment in dead:
            self._finish(segment, interrupted=True)
        self._moved_on(now)
        return numbers, dropped_frames

    def control(self, control: Control) -> Control:
        """The client changes something; return what of it is to be done."""
        self._machine.advance(Event.CONTROL)
        self._events.extend(control.warnings)
        if control.paused is not None and not self._delivery.live:
            self._events.append(Warned("PAUSE_NEEDS_LIVE", "paused means something in LIVE sessions only"))
            return replace(control, paused=None)
        self._paused = self._paused if control.paused is None else control.paused
        return control

    def tell(self, event: ServerEvent) -> None:
        """There is something to say that nothing here brought about."""
        self._events.append(event)

    def is_unfinished(self, number: int) -> bool:
        """Say whether the segment of this number is not over."""
        return self._segments.find(number) is not None

    def discard(self) -> None:
        """Let go of the frames that will never be sent; whoever still holds the session then holds little."""
        self._delivery.clear()

    def rendered(self, frame: Rendered) -> bool:
        """A frame was made; return ``False`` if it will not be sent, so that it must be acknowledged at once."""
        if frame.segment is None:
            return self._delivery.put(None, frame)
        segment = self._segments.find(frame.segment)
        return self._delivery.refuse(frame) if segment is None else self._delivery.put(segment, frame)

    def next_event(self, now: float) -> ServerEvent | None:
        """Return what is to be sent next, or ``None`` if there is nothing. A frame returned counts as played."""
        if not self._prepared:
            return None
        while not self._events and self._delivery.pass_over():
            self._moved_on(now)
        if self._events:
            self._announced = True
            return self._events.popleft()
        event = self._delivery.next(self._segments.first)
        if isinstance(event, EncodedFrame):
            self._frames_sent += 1
            self._moved_on(now)
        return event

    def status(self, now: float) -> StatusReport:
        """Return how the session stands."""
        busy = self._at_work.seconds(now)
        shown = self._frames_sent / self._spec.fps
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
        open_segment = self.open_segment
        waits = open_segment is not None and not self._at_work.is_running and now - self._last_speech > _SETTLE_S
        return State.PROCESSING if self._segments and not waits else State.WAITING_FOR_AUDIO

    def _settle(self) -> None:
        """Finish the segments at the head that are complete, and the session after the last one."""
        if not self._prepared:
            return
        while (first := self._segments.first) is not None and first.complete:
            self._finish(first, interrupted=False)
        if self._machine.lifecycle is Lifecycle.ENDING and not self._segments:
            self._machine.advance(Event.FINISHED)

    def _moved_on(self, now: float) -> None:
        """The audio allows more, or less is left to show."""
        has_work = any(segment.allowed > segment.passed for segment in self._segments)
        self._at_work.note(now, has_work=has_work)
        self._settle()

    def _finish(self, segment: Segment, *, interrupted: bool) -> None:
        self._events.append(SegmentFinished(segment.id, segment.played, segment.sent, interrupted))
        self._segments.finish(segment, cut=interrupted)

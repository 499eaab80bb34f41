"""A session without its call: what it says, in which order, and with which pts. Time is an argument."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar_service.audio import AudioEncoding, AudioFormat
from avatar_service.codec.base import AccessUnit
from avatar_service.engine.base import Controls, EngineSpec, Parameters, Preset
from avatar_service.engine.fake import FakeEngine
from avatar_service.errors import AvatarError, FailedPreconditionError, InvalidArgumentError
from avatar_service.pool.messages import Rendered, SlotKey
from avatar_service.session.events import (
    Control,
    EncodedFrame,
    Init,
    Interrupted,
    Ready,
    SegmentFinished,
    SegmentStarted,
    ServerEvent,
    State,
    Warned,
)
from avatar_service.session.machine import Event, Lifecycle
from avatar_service.session.segment import Segment
from avatar_service.session.session import Session

SPEC: EngineSpec = FakeEngine(look_ahead=1600).spec
READY = Ready("id", "fake", "1", 25, ((128, 128),), ("image/png",), 0.04, 0.1)
INIT = Init(b"", AudioFormat(AudioEncoding.LINEAR16, 16_000))
UNIT = (AccessUnit(b"x", keyframe=True),)
KEY = SlotKey(0, 0)


class Drive:
    """A session, a worker that renders what its audio allows, and all that was sent."""

    def __init__(self, *, ready: bool = True) -> None:
        self.session = Session(SPEC, 0.0)
        self.session.init(INIT)
        self.sent: list[ServerEvent] = []
        self.received: Counter[str] = Counter()
        self.rendered: Counter[int] = Counter()
        self.known: dict[int, Segment] = {}
        self.in_flight: list[Rendered] = []
        if ready:
            self.ready()

    def ready(self) -> None:
        """The avatar is prepared."""
        self.session.ready(READY, ())

    def say(self, segment_id: str, samples: int, now: float = 0.0) -> Segment | None:
        """Speak."""
        segment, is_new = self.session.speech(segment_id)
        if segment is not None:
            if is_new:
                self.known[segment.number] = segment
            self.session.fed(segment, samples, now)
            self.received[segment.id] += samples
        return segment

    def end(self, segment_id: str = "", now: float = 0.0) -> None:
        """Close the open segment."""
        segment = self.session.ending(segment_id)
        if segment is not None:
            self.session.ended(segment, now)

    def over(self, now: float = 0.0) -> None:
        """Say that no more audio comes."""
        segment = self.session.end_of_audio()
        if segment is not None:
            self.session.ended(segment, now)

    def render(self, count: int = 10**6) -> None:
        """Render what is allowed, oldest segment first; the frames are then on their way."""
        for number, segment in self.known.items():
            while count > 0 and self.rendered[number] < segment.allowed:
                self.in_flight.append(Rendered(KEY, number, self.rendered[number], UNIT))
                self.rendered[number] += 1
                count -= 1

    def arrive(self) -> list[bool]:
        """The frames on their way arrive; return which were wanted."""
        arrived, self.in_flight = self.in_flight, []
        return [self.session.rendered(frame) for frame in arrived]

    def send(self, count: int = 10**6, now: float = 0.0) -> list[ServerEvent]:
        """Send at most so many events."""
        new: list[ServerEvent] = []
        while len(new) < count and (event := self.session.next_event(now)) is not None:
            new.append(event)
        self.sent += new
        return new

    def of(self, kind: type) -> list[Any]:
        """Return what was sent of one kind."""
        return [event for event in self.sent if isinstance(event, kind)]


def names(events: Sequence[ServerEvent]) -> list[str]:
    """Return the kinds of some events."""
    return [type(event).__name__ for event in events]


def test_a_segment_is_announced_shown_and_finished() -> None:
    """Ready, started, frames, finished: each once, in this order."""
    drive = Drive()
    drive.say("a", 1_281)
    drive.end()
    drive.render()
    drive.arrive()
    assert drive.send() == [
        READY,
        SegmentStarted("a", 0),
        EncodedFrame(0, 3600, "a", 0, UNIT),
        EncodedFrame(3600, 3600, "a", 1, UNIT),
        EncodedFrame(7200, 3600, "a", 2, UNIT),
        SegmentFinished("a", 1_281, 3, interrupted=False),
    ]


def test_pts_run_on_over_segments() -> None:
    """The second segment starts where the first ended, in time as in the order of events."""
    drive = Drive()
    for name in ("a", "b"):
        drive.say(name, 640)
        drive.end()
    drive.render()
    drive.arrive()
    drive.send()
    assert [event.pts for event in drive.of(SegmentStarted)] == [0, 3600]
    assert [event.pts for event in drive.of(EncodedFrame)] == [0, 3600]
    kinds = ["Ready", *["SegmentStarted", "EncodedFrame", "SegmentFinished"] * 2]
    assert names(drive.sent) == kinds


@pytest.mark.parametrize(
    ("samples", "kinds"),
    [(0, ["Ready", "SegmentFinished"]), (1, ["Ready", "SegmentStarted", "EncodedFrame", "SegmentFinished"])],
)
def test_the_shortest_segments_are_finished(samples: int, kinds: list[str]) -> None:
    """One sample is a frame; no audio is none, and what shows none never started."""
    drive = Drive()
    drive.say("a", samples)
    drive.over()
    drive.render()
    drive.arrive()
    assert names(drive.send()) == kinds
    assert drive.session.complete


def test_nothing_is_sent_before_ready() -> None:
    """Audio may come while the portrait is prepared; what it causes waits."""
    drive = Drive(ready=False)
    drive.say("a", 640)
    drive.session.interrupt("", 0.0)
    assert drive.send() == []
    drive.ready()
    assert names(drive.send()) == ["Ready", "Interrupted", "SegmentFinished"]


def test_warnings_follow_ready() -> None:
    """What the engine wants the caller to know comes first of all events."""
    drive = Drive(ready=False)
    drive.session.interrupt("", 0.0)
    drive.session.ready(READY, (Warned("SEVERAL_FACES", "text"), Warned("B", "text")))
    assert [getattr(event, "reason", type(event).__name__) for event in drive.send()] == [
        "Ready",
        "SEVERAL_FACES",
        "B",
        "Interrupted",
    ]


def test_a_session_without_audio_ends_at_once() -> None:
    """End of audio before ready: ready, and it is over."""
    drive = Drive(ready=False)
    drive.over()
    assert not drive.session.complete
    drive.ready()
    assert not drive.session.complete
    assert names(drive.send()) == ["Ready"]
    assert drive.session.complete


# Interrupting ----------------------------------------------------------------------------------------------------


def test_interrupt_drops_what_is_not_sent() -> None:
    """Frames that wait are dropped and counted; frames on their way are refused when they arrive."""
    drive = Drive()
    drive.say("a", 16_000)
    drive.end()
    drive.render(10)
    drive.arrive()
    drive.send(5)  # ready, started, three frames
    drive.render(2)
    assert drive.session.interrupt("", 0.0) == ([0], 7)
    assert drive.arrive() == [False, False]
    assert drive.send() == [
        Interrupted(("a",), 1_920, 14_080),
        SegmentFinished("a", 1_920, 3, interrupted=True),
    ]


def test_interrupt_before_the_first_frame_wins() -> None:
    """No frame is sent; the segment is finished without having started."""
    drive = Drive()
    drive.say("a", 16_000)
    drive.render()
    drive.arrive()
    drive.session.interrupt("", 0.0)
    assert names(drive.send()) == ["Ready", "Interrupted", "SegmentFinished"]


@pytest.mark.parametrize("name", ["a", "b"])
def test_interrupt_of_one_of_two_leaves_the_other(name: str) -> None:
    """Of two queued segments only the one named is cut; pts have no gap."""
    drive = Drive()
    for each in ("a", "b"):
        drive.say(each, 1_280)
        drive.end()
    drive.render()
    drive.arrive()
    assert drive.session.interrupt(name, 0.0)[1] == 2
    drive.send()
    frames = drive.of(EncodedFrame)
    assert {frame.segment_id for frame in frames} == {"a", "b"} - {name}
    assert [frame.pts for frame in frames] == [0, 3600]
    assert {event.segment_id: event.interrupted for event in drive.of(SegmentFinished)} == {
        each: each == name for each in ("a", "b")
    }


def test_interrupting_an_earlier_segment_leaves_the_open_one_open() -> None:
    """Speech goes on in the open segment."""
    drive = Drive()
    drive.say("a", 640)
    drive.end()
    drive.say("b", 640)
    drive.session.interrupt("a", 0.0)
    drive.say("", 640)
    drive.over()
    drive.render()
    drive.arrive()
    drive.send()
    assert [(event.segment_id, event.played) for event in drive.of(SegmentFinished)] == [("a", 0), ("b", 1_280)]


@pytest.mark.parametrize("name", ["", "unknown", "done"])
def test_an_interrupt_of_nothing_is_answered(name: str) -> None:
    """With nothing to cut the answer names no segment."""
    drive = Drive()
    drive.say("done", 640)
    drive.end()
    drive.render()
    drive.arrive()
    drive.send()
    drive.session.interrupt(name, 0.0)
    assert drive.send() == [Interrupted((), 0, 0)]


def test_late_audio_of_a_cut_segment_is_ignored() -> None:
    """What was on its way when the interrupt came is neither an error nor a new segment."""
    drive = Drive()
    drive.say("a", 640)
    drive.session.interrupt("a", 0.0)
    assert drive.say("a", 640) is None
    drive.end("a")
    drive.say("b", 640)
    assert drive.say("a", 640) is None
    drive.end("a")
    assert drive.session.buffered == 640
    drive.over()
    assert drive.session.buffered == 640


def test_interrupt_still_works_while_ending() -> None:
    """After end of audio a cut completes the session."""
    drive = Drive()
    drive.say("a", 64_000)
    drive.over()
    drive.session.interrupt("", 0.0)
    drive.send()
    assert drive.session.complete


# Segment ids -----------------------------------------------------------------------------------------------------


def test_unnamed_segments_are_named_by_the_server() -> None:
    """An empty id is the open segment, or a new one."""
    drive = Drive()
    first, again = drive.say("", 640), drive.say("", 640)
    drive.end()
    second = drive.say("", 640)
    assert first is again
    assert first is not None
    assert second is not None
    assert (first.id, second.id) == ("segment-1", "segment-2")


def test_names_given_by_the_server_are_never_taken() -> None:
    """A client that uses such a name itself gets another one for its unnamed segment."""
    drive = Drive()
    drive.say("segment-2", 640)
    drive.end()
    unnamed = drive.say("", 640)
    assert unnamed is not None
    assert unnamed.id != "segment-2"


def test_an_ended_segment_stays_ended() -> None:
    """Its id cannot be used again, before its last frame or after."""
    drive = Drive()
    drive.say("a", 640)
    drive.end()
    for _ in range(2):
        with pytest.raises(FailedPreconditionError) as caught:
            drive.say("a", 640)
        assert (caught.value.reason, caught.value.subject) == ("SEGMENT_ENDED", "a")
        drive.render()
        drive.arrive()
        drive.send()


def test_segments_do_not_overlap() -> None:
    """A second segment may start only once the first is ended."""
    drive = Drive()
    drive.say("a", 640)
    for wrong in (lambda: drive.say("b", 640), lambda: drive.end("b")):
        with pytest.raises(FailedPreconditionError) as caught:
            wrong()
        assert (caught.value.reason, caught.value.subject) == ("SEGMENT_OPEN", "a")
    drive.end("a")
    drive.say("b", 640)


def test_ids_have_a_length() -> None:
    """128 characters pass, one more does not."""
    drive = Drive()
    drive.say("x" * 128, 640)
    drive.end()
    with pytest.raises(InvalidArgumentError) as caught:
        drive.say("x" * 129, 640)
    assert (caught.value.reason, caught.value.field) == ("SEGMENT_ID", "audio.segment_id")


def test_ending_nothing_is_a_warning() -> None:
    """An end of segment without a segment is told, and harmless."""
    drive = Drive()
    drive.end()
    assert [event.reason for event in drive.send()[1:]] == ["NO_OPEN_SEGMENT"]


def test_memory_of_ids_is_bounded() -> None:
    """Thousands of segments leave a bounded memory behind."""
    drive = Drive()
    for number in range(3_000):
        drive.say(f"s{number}", 0)
        drive.end()
        drive.send()
    assert len(drive.session._segments._past._cut) <= 1024
    assert len(drive.session._segments) == 0


# LIVE ------------------------------------------------------------------------------------------------------------


def test_controls_are_handed_on_and_their_warnings_told() -> None:
    """At any time behind init; what only LIVE knows is a warning on audio."""
    drive = Drive(ready=False)
    told = Control(controls=Controls(head_motion=1.0), paused=True, warnings=(Warned("CONTROL_UNKNOWN", "text"),))
    assert drive.session.control(told) == replace(told, paused=None)
    assert not drive.session.is_paused
    drive.ready()
    reasons = [event.reason for event in drive.send() if isinstance(event, Warned)]
    assert reasons == ["CONTROL_UNKNOWN", "PAUSE_NEEDS_LIVE"]


def test_a_live_session_may_pause() -> None:
    """It needs no audio for its frames, and while it is paused no frames."""
    session = Session(SPEC, 0.0)
    session.init(replace(INIT, live=True))
    assert session.needs_no_audio
    for paused in (True, None, False):
        session.control(Control(paused=paused))
        assert session.is_paused is (paused is not False)
        assert session.needs_no_audio is (paused is False)


def test_what_is_left_out_ends_its_segment_too() -> None:
    """The last frames of a segment may be left out; it finishes all the same, and so does the session."""
    session = Session(SPEC, 0.0)
    session.init(replace(INIT, live=True))
    session.ready(READY, ())
    segment, _ = session.speech("a")
    assert segment is not None
    session.fed(segment, 640 * 3, 0.0)
    ending = session.end_of_audio()
    assert ending is segment
    session.ended(segment, 0.0)
    for index in range(3):
        session.rendered(Rendered(KEY, 0, index, UNIT if index == 0 else (), tick=index))
    sent = []
    while (event := session.next_event(0.0)) is not None:
        sent.append(event)
    assert names(sent) == ["Ready", "SegmentStarted", "EncodedFrame", "SegmentFinished"]
    assert sent[-1] == SegmentFinished("a", 3 * 640, 1, interrupted=False)
    assert session.complete


def test_a_client_that_only_makes_mistakes_is_read_no_more() -> None:
    """Warnings that nobody reads do not pile up."""
    drive = Drive()
    while not drive.session.is_full(10**9):
        drive.session.control(Control(warnings=(Warned("CONTROL_UNKNOWN", "text"),)))
    assert len(drive.session._events) < 1_000
    drive.send()
    assert not drive.session.is_full(10**9)


# Status ----------------------------------------------------------------------------------------------------------


def test_states_follow_the_work() -> None:
    """Waiting, processing while a frame is due, waiting once all that the audio allows is sent and it stays still."""
    drive = Drive()
    assert drive.session.status(0.0).state is State.WAITING_FOR_AUDIO
    drive.say("a", 640 + 1_600, now=1.0)
    assert drive.session.status(9.0).state is State.PROCESSING
    drive.render()
    drive.arrive()
    drive.send(now=9.0)
    assert drive.session.status(9.1).state is State.WAITING_FOR_AUDIO
    drive.over(now=10.0)
    assert drive.session.status(20.0).state is State.PROCESSING
    drive.render()
    drive.arrive()
    drive.send(now=20.0)
    assert drive.session.status(20.0).state is State.COMPLETE


@pytest.mark.parametrize("samples", [1, 639, 640 + 1_599])
def test_audio_that_allows_no_frame_is_waited_for(samples: int) -> None:
    """A client that stops within a frame is waited for; the engine has nothing to do."""
    drive = Drive()
    drive.say("a", samples, now=1.0)
    assert drive.session.status(1.1).state is State.PROCESSING
    assert drive.session.status(5.0).state is State.WAITING_FOR_AUDIO


def test_a_rest_behind_the_last_frame_is_waited_for() -> None:
    """The same in the middle of a segment, after frames were sent."""
    drive = Drive()
    drive.say("a", 640 + 1_600, now=0.0)
    drive.render()
    drive.arrive()
    drive.send(now=0.1)
    drive.say("a", 320, now=0.2)
    assert drive.session.status(5.0).state is State.WAITING_FOR_AUDIO


def test_real_time_factor_counts_busy_time_only() -> None:
    """Frames shown over time with work; waiting for the client does not count."""
    drive = Drive()
    assert drive.session.status(5.0).real_time_factor == 0
    drive.say("a", 25 * 640 + 1_600, now=10.0)
    drive.render()
    drive.arrive()
    drive.send(now=10.5)
    for now in (10.5, 100.0):
        assert drive.session.status(now).real_time_factor == pytest.approx(2.0)
    drive.say("a", 320, now=100.0)
    assert drive.session.status(200.0).real_time_factor == pytest.approx(2.0)
    drive.over(now=200.0)
    drive.render()
    drive.arrive()
    drive.send(now=200.5)
    assert drive.session.status(300.0).real_time_factor == pytest.approx((25 + 3) / 25 / 1.0)


def test_status_counts() -> None:
    """Frames, buffered audio and uptime are those of now."""
    drive = Drive()
    drive.say("a", 16_000, now=1.0)
    drive.render(5)
    drive.arrive()
    drive.send(now=2.0)
    status = drive.session.status(3.0)
    assert (status.frames, status.uptime_s) == (5, 3.0)
    assert status.buffered_s == pytest.approx(0.8)


def test_what_a_step_needs_is_known() -> None:
    """A hop that waits for long audio says how much."""
    session = Session(FakeEngine(hop_frames=250, look_ahead=1600).spec, 0.0)
    session.init(replace(INIT, chunk_duration_s=10.0))
    assert session.step_samples == 160_000 + 1_600


def test_a_preset_decides_what_a_step_needs() -> None:
    """With another preset a session waits for that preset's look-ahead."""
    session = Session(SPEC, 0.0)
    session.init(replace(INIT, parameters=Parameters(preset=Preset.LOWEST_LATENCY)))
    assert session.step_samples == 640 + 800
    segment, _ = session.speech("a")
    assert segment is not None
    assert not session.fed(segment, 640 + 799, 0.0)
    assert segment.allowed == 0
    assert session.fed(segment, 1, 0.0)
    assert segment.allowed == 1


# Walks -----------------------------------------------------------------------------------------------------------

_IDS = st.sampled_from(["", "a", "b", "c", "segment-2"])
_ACTIONS = st.one_of(
    st.tuples(st.just("say"), _IDS, st.integers(0, 5_000)),
    st.tuples(st.just("end"), _IDS),
    st.tuples(st.just("interrupt"), _IDS),
    st.tuples(st.just("render"), st.integers(1, 6)),
    st.tuples(st.just("arrive")),
    st.tuples(st.just("send"), st.integers(1, 6)),
    st.tuples(st.just("ready")),
    st.tuples(st.just("over")),
)


def act(drive: Drive, action: tuple[Any, ...]) -> None:
    """Do one thing; what is illegal must change nothing."""
    before = (repr(drive.session), drive.session.buffered, list(drive.session._events))
    try:
        match action:
            case ("interrupt", name):
                drive.session.interrupt(name, 0.0)
            case (name, *arguments):
                getattr(drive, name)(*arguments)
    except AvatarError:
        assert (repr(drive.session), drive.session.buffered, list(drive.session._events)) == before


@settings(max_examples=300)
@given(actions=st.lists(_ACTIONS, max_size=40))
def test_any_walk_keeps_the_promises(actions: list[tuple[Any, ...]]) -> None:
    """Whatever comes in any order: pts without gap, one start and one finish a segment, every sample accounted for."""
    drive = Drive(ready=False)
    for action in actions:
        act(drive, action)
    finish(drive)
    check(drive)


def finish(drive: Drive) -> None:
    """Bring a session to its end."""
    if not drive.session.announced and not drive.session.owes_ready:
        drive.ready()
    if drive.session.lifecycle is Lifecycle.OPEN:
        drive.over()
    drive.render()
    drive.arrive()
    drive.send()
    assert drive.session.complete


def check(drive: Drive) -> None:
    """Check all that was sent in a session that is over."""
    frames, finished = drive.of(EncodedFrame), drive.of(SegmentFinished)
    assert isinstance(drive.sent[0], Ready)
    assert [frame.pts for frame in frames] == [3600 * i for i in range(len(frames))]
    names_used = [segment.id for segment in drive.known.values()]
    assert len(set(names_used)) == len(names_used)
    shown = {frame.segment_id for frame in frames}
    assert Counter(event.segment_id for event in drive.of(SegmentStarted)) <= Counter(names_used)
    assert shown <= {event.segment_id for event in drive.of(SegmentStarted)}
    assert Counter(event.segment_id for event in finished) == Counter(names_used)
    for event in finished:
        check_segment(drive, event)
    dropped = sum(event.dropped for event in drive.of(Interrupted))
    assert sum(event.played for event in finished) + dropped == sum(drive.received.values())


def check_segment(drive: Drive, end: SegmentFinished) -> None:
    """Check one segment's place in all that was sent."""
    own = [event for event in drive.sent if getattr(event, "segment_id", None) == end.segment_id]
    assert own[-1] is end
    if end.frames:
        assert isinstance(own[0], SegmentStarted)
    frames = [event for event in own[:-1] if not isinstance(event, SegmentStarted)]
    assert [frame.index for frame in frames] == list(range(end.frames))
    received = drive.received[end.segment_id]
    assert end.played == min(received, 640 * end.frames)
    if not end.interrupted:
        assert (end.played, end.frames) == (received, -(-received // 640))
    cuts = [event for event in drive.of(Interrupted) if end.segment_id in event.segment_ids]
    assert len(cuts) == end.interrupted
    if cuts:
        after = drive.sent[drive.sent.index(cuts[0]) :]
        assert not [event for event in after if event in frames]


def test_checking_an_event_changes_nothing() -> None:
    """A question about what is legal is only a question."""
    session = Session(SPEC, 0.0)
    with pytest.raises(FailedPreconditionError):
        session.check(Event.SPEECH)
    assert session.lifecycle is Lifecycle.NEW

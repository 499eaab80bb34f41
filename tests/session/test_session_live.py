"""A LIVE session and its worker, joined by queues that take their time; all in virtual time."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from concurrent.futures import Future
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from avatar_service.audio import AudioEncoding, AudioFormat
from avatar_service.codec.base import Codec, VideoFormat
from avatar_service.config import Settings
from avatar_service.engine.base import Avatar, Controls
from avatar_service.engine.fake import FakeEngine
from avatar_service.errors import AvatarError
from avatar_service.picture import decode_picture
from avatar_service.pool.avatars import Avatars
from avatar_service.pool.messages import Degraded, Open, Opened, Rendered, SlotKey
from avatar_service.pool.pool import Lease
from avatar_service.pool.worker import Worker
from avatar_service.session import events as said
from avatar_service.session.events import (
    Control,
    EncodedFrame,
    EndOfAudio,
    EndOfSegment,
    Init,
    Interrupt,
    Interrupted,
    SegmentFinished,
    SegmentStarted,
    ServerEvent,
    Speech,
)
from avatar_service.session.listener import Listener
from avatar_service.session.opening import ready_of, work_of
from avatar_service.session.session import Session

KEY = SlotKey(0, 0)
STEP_S = 0.01


class Joined:
    """A client, a session and a worker.

    Attributes:
        sent: what the client was sent.
        said: 16 kHz samples of each segment.
        reads: whether the client reads.
    """

    def __init__(self, photo: bytes, transit_s: float) -> None:
        self.engine = FakeEngine()
        self.now = 50.0
        self.reads = True
        self.sent: list[ServerEvent] = []
        self.said: Counter[str] = Counter()
        self._transit_s = transit_s
        self._results: deque[tuple[float, Any]] = deque()
        self._commands: deque[tuple[float, Any]] = deque()
        formats = (VideoFormat(codec=Codec.H264, width=64, keyframe_interval_s=60),)
        self.init = Init(photo, AudioFormat(AudioEncoding.LINEAR16, 16_000), video=formats, live=True)
        self.session = Session(self.engine.spec, self.now)
        self.session.init(self.init)
        self._worker = Worker(self.engine, lambda _order: None, self._deliver)
        lease = Lease(KEY, self._command, lambda _key, _sink: None, lambda _key: None, Avatars([], 0, 0).find)
        self._lease = lease
        self.listener = Listener(self.session, self.init.audio, lease)
        order = Open(KEY, work_of(self.init, Settings(window_frames=10)))
        self._worker.receive(order)
        future: Future[Avatar] = Future()
        future.set_result(self.engine.prepare(decode_picture(photo), self.init.options))
        self._worker.prepared(order, future)

    def _command(self, command: Any) -> None:
        self._commands.append((self.now + self._transit_s, command))

    def _deliver(self, results: list[Any]) -> None:
        self._results += [(self.now + self._transit_s, result) for result in results]

    def run(self, steps: int) -> None:
        """Let time pass."""
        for _ in range(steps):
            while self._commands and self._commands[0][0] <= self.now:
                self._worker.receive(self._commands.popleft()[1])
            while self._worker.work(self.now):
                pass
            while self._results and self._results[0][0] <= self.now:
                self._take(self._results.popleft()[1])
            while self.reads and (event := self.session.next_event(self.now)) is not None:
                self.sent.append(event)
                if isinstance(event, EncodedFrame):
                    self._lease.acknowledge(1)
            self.now += STEP_S

    def _take(self, result: Any) -> None:
        match result:
            case Opened():
                self.session.ready(ready_of("id", self.engine.spec, self.init, result), ())
            case Rendered():
                if not self.session.rendered(result):
                    self._lease.acknowledge(1)
            case Degraded(_, reason):
                self.session.tell(said.Degraded(reason))
            case _:
                raise AssertionError(result)

    def act(self, action: tuple[Any, ...]) -> None:
        """Do one thing; what is illegal is refused."""
        match action:
            case ("run", steps):
                self.run(steps)
            case ("read", reads):
                self.reads = reads
            case ("cut unread", steps, interrupt):
                self.reads = False
                self.run(steps)
                self._apply(interrupt)
                self.reads = True
            case ("say", name, samples):
                with_name = Speech(name, bytes(2 * samples))
                if not self.session._segments.was_cut(name) and self._apply(with_name):
                    self.said[name] += samples
            case ("do", event):
                self._apply(event)

    def _apply(self, event: Any) -> bool:
        try:
            self.listener.apply(event, self.now)
        except AvatarError:
            return False
        return True

    def of(self, kind: type) -> list[Any]:
        """Return what was sent of one kind."""
        return [event for event in self.sent if isinstance(event, kind)]


_NAMES = st.sampled_from(["a", "b", "c", "d"])
_ACTIONS = st.one_of(
    st.tuples(st.just("run"), st.integers(1, 40)),
    st.tuples(st.just("say"), _NAMES, st.integers(0, 6_000)),
    st.tuples(st.just("do"), _NAMES.map(EndOfSegment)),
    st.tuples(st.just("do"), st.one_of(_NAMES, st.just("")).map(Interrupt)),
    st.tuples(
        st.just("do"), st.builds(Control, st.just(Controls(head_motion=0.5)), paused=st.sampled_from([None, 0, 1]))
    ),
    st.tuples(st.just("read"), st.booleans()),
    st.tuples(st.just("cut unread"), st.integers(1, 40), _NAMES.map(Interrupt)),
)


@settings(max_examples=80)
@given(actions=st.lists(_ACTIONS, max_size=30), transit_s=st.sampled_from([0.0, 0.01, 0.05]))
def test_any_conversation_keeps_the_promises(photo: bytes, actions: list[tuple[Any, ...]], transit_s: float) -> None:
    """Whatever is said, cut, paused or left unread: time only grows, every segment has one end and its right length."""
    call = Joined(photo, transit_s)
    for action in actions:
        call.act(action)
    call.reads = True
    call.act(("do", Control(paused=False)))
    call.act(("do", EndOfAudio()))
    call.run(600)
    assert call.session.complete
    frames = call.of(EncodedFrame)
    places = [frame.pts // 3600 for frame in frames]
    assert all(frame.pts % 3600 == 0 for frame in frames)
    assert places == sorted(set(places))
    excused = any(action[0] == "read" or isinstance(action[-1], Interrupt | Control) for action in actions)
    assert excused or places == list(range(len(places)))
    check_gaps(frames)
    finished = call.of(SegmentFinished)
    assert len({event.segment_id for event in finished}) == len(finished)
    assert {name for name, samples in call.said.items() if samples} <= {event.segment_id for event in finished}
    for event in finished:
        check_segment(call, event)


def check_gaps(frames: list[EncodedFrame]) -> None:
    """Check that a keyframe stands behind every gap."""
    for before, frame in itertools.pairwise(frames):
        if frame.pts - before.pts > 3600:
            assert frame.units[0].keyframe


def check_segment(call: Joined, end: SegmentFinished) -> None:
    """Check one segment's place in all that was sent."""
    own = [event for event in call.sent if getattr(event, "segment_id", None) == end.segment_id]
    shown = [event for event in own if isinstance(event, EncodedFrame)]
    assert own.index(end) == max(number for number, event in enumerate(own) if event in shown or event is end)
    assert len(shown) == end.frames
    assert [event.index for event in shown] == sorted({event.index for event in shown})
    assert len([event for event in own if isinstance(event, SegmentStarted)]) == bool(shown)
    said = call.said[end.segment_id]
    last = shown[-1].index + 1 if shown else 0
    assert end.played >= min(640 * last, said)
    if not end.interrupted:
        assert end.played == said
    cut = [event for event in call.of(Interrupted) if end.segment_id in event.segment_ids]
    assert len(cut) == end.interrupted
    if cut:
        assert not [event for event in call.sent[call.sent.index(cut[0]) :] if event in shown]

"""LIVE slots, driven in virtual time: one frame a tick, whatever is said, cut, paused or left unread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar_service.codec.base import Codec, VideoFormat
from avatar_service.engine.base import Controls, Emotion, MotionStep, Parameters
from avatar_service.engine.fake import FakeEngine
from avatar_service.pcm import to_pcm
from avatar_service.pool.messages import (
    Acknowledge,
    Control,
    Cut,
    Degraded,
    End,
    Failed,
    Feed,
    Halve,
    Halved,
    Rendered,
    SkipReason,
    SlotKey,
)
from avatar_service.pool.snapshot import FrameKind

MakeBench = Callable[..., Any]
SMALL = (VideoFormat(codec=Codec.JPEG, width=64, quality=10),)
H264 = (VideoFormat(codec=Codec.H264, keyframe_interval_s=60),)
TICK_S = 0.04


class Recording(FakeEngine):
    """Keeps what it was asked to move.

    Attributes:
        rows: of every step with sound, in order.
        steps: all of them.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.rows: list[Any] = []
        self.steps: list[MotionStep] = []

    def motion(self, steps: Any) -> Any:
        """Note, and do."""
        made = super().motion(steps)
        self.steps += steps
        self.rows += [row for step, rows in zip(steps, made, strict=True) for row in rows if not step.idle]
        return made


class Live:
    """A worker with one LIVE slot, and a clock.

    Attributes:
        bench: the worker.
        key: of the slot.
        now: the time.
    """

    def __init__(self, bench: Any, **fields: Any) -> None:
        self.bench = bench
        self.now = 100.0
        self.key = bench.open(0, live=True, **{"video": SMALL, **fields})

    def run(self, ticks: float = 1) -> None:
        """Let time pass, in steps of a quarter of a tick."""
        for _ in range(round(4 * ticks)):
            self.bench.run(now=self.now)
            self.now += TICK_S / 4

    def feed(self, frames: float, segment: int = 0) -> None:
        """Speak."""
        noise = np.random.default_rng(segment).uniform(-0.5, 0.5, round(frames * 640)).astype(np.float32)
        self.tell(Feed(self.key, segment, to_pcm(noise), self.now))

    def end(self, segment: int = 0) -> None:
        """End the segment."""
        self.tell(End(self.key, segment, self.now))

    def tell(self, command: Any) -> None:
        """Tell the worker."""
        self.bench.worker.receive(command)

    def read(self) -> None:
        """Acknowledge all that is unread."""
        self.tell(Acknowledge(self.key, len(self.bench.worker._slots[self.key.index].unread)))

    @property
    def frames(self) -> list[Rendered]:
        """What came for its ticks."""
        return self.bench.frames(self.key)

    @property
    def kinds(self) -> str:
        """The first letter of each frame's kind; small if it was left out."""
        return "".join(
            frame.kind.value[0].upper() if frame.units else frame.kind.value[0].lower() for frame in self.frames
        )


def test_the_first_frame_comes_at_once_and_then_one_each_tick(bench: MakeBench) -> None:
    """Idle frames, numbered by their ticks, at rest."""
    live = Live(bench())
    live.bench.run(now=live.now)
    assert [(frame.tick, frame.kind, frame.segment) for frame in live.frames] == [(0, FrameKind.IDLE, None)]
    live.run(10)
    assert [frame.tick for frame in live.frames] == list(range(10))
    assert live.kinds == "I" * 10


def test_the_loop_is_told_when_the_next_frame_is_due(bench: MakeBench) -> None:
    """Only LIVE sessions have ticks; a slot without an avatar has none yet."""
    made = bench()
    made.open(1)
    assert made.worker.next_tick(5.0) is None
    made.open(0, live=True, prepare=False)
    assert made.worker.next_tick(5.0) is None
    made.prepare()
    assert made.worker.next_tick(6.0) == 6.0
    made.run(now=6.0)
    assert made.worker.next_tick(6.01) == pytest.approx(6.04)


def test_speech_fed_at_once_is_shown_one_frame_a_tick(bench: MakeBench) -> None:
    """There is no burst, and behind the last frame the face comes to rest over some frames."""
    live = Live(bench())
    live.run(3)
    live.feed(8)
    live.end()
    live.run(14)
    assert live.kinds == "III" + "S" * 8 + "TIIIII"
    assert [frame.index for frame in live.frames if frame.segment == 0] == list(range(8))


def test_speech_waits_for_its_jitter_allowance_once(bench: MakeBench) -> None:
    """A frame whose audio came 10 ms before a tick waits for the next one; those behind it no longer."""
    live = Live(bench())
    live.run(2.75)
    live.feed(1 + 1600 / 640)
    live.run(2)
    assert live.kinds == "IIIIS"
    live.feed(1)
    live.run(1)
    assert live.kinds == "IIIISS"


def test_an_ended_segment_waits_for_nothing(bench: MakeBench) -> None:
    """All that can be heard of it is there."""
    live = Live(bench())
    live.run(2.75)
    live.feed(0.5)
    live.end()
    live.run(1)
    assert live.kinds == "IIIS"


def test_after_a_cut_the_next_frame_is_idle_a_keyframe_and_shuts_the_lips(bench: MakeBench) -> None:
    """What was rendered may never arrive, so nothing leans on it; the engine is told to be quick."""
    engine = Recording()
    live = Live(bench(engine), video=H264)
    live.run(2)
    live.feed(20)
    live.run(6)
    live.tell(Cut(live.key, frozenset({0})))
    live.run(4)
    assert live.kinds[8:] == "TIII"
    assert [frame.units[0].keyframe for frame in live.frames[8:]] == [True, False, False, False]
    assert [step.cut for step in engine.steps if step.idle] == [False] * 3 + [True] * 4


def test_a_segment_behind_a_cut_one_starts_at_once(bench: MakeBench) -> None:
    """It does not wait for the lips, and its first frame is number 0."""
    live = Live(bench())
    live.run(1)
    live.feed(20)
    live.run(5)
    live.tell(Cut(live.key, frozenset({0})))
    live.feed(3, segment=1)
    live.end(1)
    live.run(4)
    assert [(frame.segment, frame.index) for frame in live.frames[6:]] == [(1, 0), (1, 1), (1, 2), (None, 0)]


def test_a_pause_passes_ticks_and_speech_and_ends_with_a_keyframe(bench: MakeBench) -> None:
    """Nothing is rendered, and nobody is told that frames are missing: the client wanted it."""
    engine = Recording()
    live = Live(bench(engine), video=H264)
    live.run(2)
    live.tell(Control(live.key, paused=True))
    live.run(3)
    live.feed(6)
    live.end()
    live.run(4)
    live.tell(Control(live.key, paused=False))
    live.run(3)
    shown = [frame for frame in live.frames if frame.units]
    assert [frame.tick for frame in shown] == [0, 1, 9, 10, 11]
    assert [frame.index for frame in live.frames if not frame.units] == [0, 1, 2, 3]
    assert shown[2].index == 4
    assert shown[2].units[0].keyframe
    assert len([step for step in engine.steps if step.idle]) == 2 + 1
    assert not [result for result in live.bench.results if isinstance(result, Degraded)]


def test_an_unread_window_leaves_ticks_out_and_says_so_once(bench: MakeBench) -> None:
    """Ticks pass unrendered until the client reads; then a keyframe comes, at its own time."""
    live = Live(bench(), video=H264, window_frames=5)
    live.run(20)
    assert [frame.tick for frame in live.frames] == [0, 1, 2, 3, 4]
    live.read()
    live.run(3)
    assert [frame.tick for frame in live.frames[5:]] == [20, 21, 22]
    assert live.frames[5].units[0].keyframe
    told = [result for result in live.bench.results if isinstance(result, Degraded)]
    assert told == [Degraded(live.key, SkipReason.SLOW_CONSUMER)]


def test_a_late_worker_catches_up(bench: MakeBench) -> None:
    """Half a second is made good, frame by frame."""
    live = Live(bench())
    live.run(2)
    live.now += 0.4
    live.run(1)
    assert [frame.tick for frame in live.frames] == list(range(13))


def test_a_very_late_worker_leaves_ticks_out(bench: MakeBench) -> None:
    """Speech passes with them, so that it stays in time with its sound."""
    live = Live(bench())
    live.run(1)
    live.feed(60)
    live.run(2)
    live.now += 1.0
    live.run(1)
    shown = [frame for frame in live.frames if frame.units]
    assert [frame.tick for frame in shown] == [0, 1, 2, 28]
    assert [frame.index for frame in live.frames if frame.segment == 0] == list(range(len(live.frames) - 2))
    assert shown[-1].index == 26
    assert Degraded(live.key, SkipReason.OVERLOADED) in live.bench.results


@pytest.mark.parametrize("hop_frames", [1, 5])
def test_live_beside_a_whole_file_misses_no_tick(bench: MakeBench, hop_frames: int) -> None:
    """With one micro-batch a millisecond, a minute of speech fed at once delays no tick by more than one of them."""
    made = bench(FakeEngine(hop_frames=hop_frames))
    live = Live(made)
    whole = made.open(1, video=SMALL)
    made.speak(whole, 1_500, at=live.now)
    began = live.now
    for _ in range(1_000):
        before = len(live.frames)
        made.run(1, now=live.now)
        if len(live.frames) > before:
            assert live.now - (began + live.frames[-1].tick * TICK_S) <= 0.002
        live.now += 0.001
    assert [frame.tick for frame in live.frames] == list(range(25))
    assert len(made.frames(whole)) > 900


def test_a_reader_that_comes_back_does_not_push_live_aside(bench: MakeBench) -> None:
    """The frames of a file that was not read for seconds are due at the pace of speech from then on, not at once."""
    made = bench()
    live = Live(made)
    whole = made.open(1, video=SMALL, window_frames=25)
    made.speak(whole, 500, at=live.now)
    live.run(150)
    for _ in range(300):
        before = len(live.frames)
        made.worker.receive(Acknowledge(whole, len(made.worker._slots[1].unread)))
        made.run(1, now=live.now)
        if len(live.frames) > before:
            assert live.now - 100.0 - live.frames[-1].tick * TICK_S <= 0.011
        live.now += 0.01
    assert [frame.tick for frame in live.frames] == list(range(len(live.frames)))


# Controls --------------------------------------------------------------------------------------------------------

LEFT, RIGHT = Controls(gaze=(-0.3, 0.0)), Controls(gaze=(0.3, 0.0))
SMILE = Controls(emotion=(Emotion.HAPPY, 1.0))


def told(engine: Recording) -> list[tuple[bool, int, Controls | None]]:
    """Return the steps that changed something: idle or not, first frame, and what."""
    return [(step.idle, step.first_frame, step.controls) for step in engine.steps if step.controls is not None]


def test_controls_keep_their_place_among_the_audio(bench: MakeBench) -> None:
    """What was said after two frames of speech is done in the third, though all of it came at once."""
    engine = Recording()
    live = Live(bench(engine))
    live.run(1)
    live.feed(2)
    live.tell(Control(live.key, LEFT))
    live.feed(8)
    live.tell(Control(live.key, SMILE))
    live.end()
    live.run(14)
    assert told(engine) == [(False, 2, LEFT), (True, 0, SMILE)]


def test_controls_without_audio_are_done_at_once(bench: MakeBench) -> None:
    """In the next idle frame, together; the last of each kind counts."""
    engine = Recording()
    live = Live(bench(engine))
    live.run(2)
    for controls in (LEFT, SMILE, RIGHT):
        live.tell(Control(live.key, controls))
    live.run(2)
    assert told(engine) == [(True, 0, SMILE.then(RIGHT))]


def test_controls_wait_for_no_audio_that_does_not_come(bench: MakeBench) -> None:
    """Where a segment starves, what was said behind its audio is done while it does."""
    engine = Recording()
    live = Live(bench(engine))
    live.feed(8)
    live.tell(Control(live.key, LEFT))
    live.run(9)
    assert told(engine) == [(True, 0, LEFT)]


def test_controls_outlive_the_segment_that_they_came_in(bench: MakeBench) -> None:
    """A cut takes the speech back, not the smile."""
    engine = Recording()
    live = Live(bench(engine))
    live.feed(50)
    live.tell(Control(live.key, SMILE))
    live.run(3)
    live.tell(Cut(live.key, frozenset({0})))
    live.run(2)
    assert told(engine) == [(True, 0, SMILE)]


def test_controls_work_on_audio_too(bench: MakeBench) -> None:
    """From the same frame on, however the audio was split."""
    made: list[list[tuple[bool, int, Controls | None]]] = []
    for sizes in ([10], [1] * 10, [3, 7]):
        engine = Recording()
        driven = bench(engine)
        key = driven.open(0, video=SMALL)
        fed = 0
        for size in sizes:
            for part in range(size):
                if fed == 3:
                    driven.worker.receive(Control(key, LEFT))
                driven.feed(key, 1, seed=part)
                fed += 1
                driven.run(1)
        driven.worker.receive(End(key, 0, 0.0))
        driven.run()
        made.append(told(engine))
    assert made == [[(False, 3, LEFT)]] * 3


def test_a_forced_keyframe_is_one(bench: MakeBench) -> None:
    """In either mode, the next frame only."""
    for fields in ({"live": True}, {}):
        made = bench()
        key = made.open(0, video=H264, **fields)
        made.speak(key, 8)
        made.run(3)
        made.worker.receive(Control(key, keyframe=True))
        made.run(now=0.19)
        units = [frame.units[0].keyframe for frame in made.frames(key)]
        assert units.count(True) == 2
        assert units[0]


def test_a_bitrate_is_followed_from_a_keyframe_on(bench: MakeBench) -> None:
    """Also one that is told before the portrait is prepared; stills have none."""
    made = bench()
    for index, video in enumerate((H264, SMALL, (H264[0], SMALL[0]))):
        key = made.open(index, video=video, prepare=False)
        made.worker.receive(Control(key, bitrate_kbps=200))
        made.prepare()
        made.speak(key, 4)
        made.run()
        made.worker.receive(Control(key, bitrate_kbps=0))
        made.speak(key, 4, segment=1)
        made.run()
        assert len(made.frames(key)) == 8
        assert not [result for result in made.results if isinstance(result, Failed)]


# Half the rate ---------------------------------------------------------------------------------------------------

RAW = (VideoFormat(codec=Codec.RAW_RGB, width=64),)


def halvings(live: Live) -> list[bool]:
    """Return what was said of the rate."""
    return [result.halved for result in live.bench.results if isinstance(result, Halved) and result.key == live.key]


def conversation(live: Live, halving: Sequence[int] = ()) -> list[Rendered]:
    """Idle, speak, be cut, speak again and rest, halving or not from these ticks on by turns; return all frames."""
    for tick in range(60):
        if tick in halving:
            live.tell(Halve(halving.index(tick) % 2 == 0))
        match tick:
            case 4:
                live.feed(20)
            case 9:
                live.tell(Control(live.key, SMILE))
            case 17:
                live.tell(Cut(live.key, frozenset({0})))
            case 24:
                live.feed(12.3, segment=1)
                live.end(1)
        live.run(1)
        live.read()
    return live.frames


@given(halving=st.lists(st.integers(0, 59), unique=True, max_size=4).map(sorted))
@settings(max_examples=30)
def test_half_the_rate_shows_every_second_frame_of_the_same(bench: MakeBench, halving: list[int]) -> None:
    """Those that are shown are the same bits on the same ticks, and the others pass: the grid has no hole."""
    whole = conversation(Live(bench(), video=RAW))
    halved = conversation(Live(bench(), video=RAW, degradable=True), halving)
    assert [(one.tick, one.segment, one.index, one.kind) for one in halved] == [
        (one.tick, one.segment, one.index, one.kind) for one in whole
    ]
    rests = [tick % 2 == 1 and sum(begin <= tick for begin in halving) % 2 == 1 for tick in range(60)]
    for mine, other, is_left_out in zip(halved, whole, rests, strict=True):
        assert mine.units == (() if is_left_out else other.units)


@pytest.mark.parametrize("video", [RAW, H264])
@given(neighbours=st.integers(1, 3), halving=st.lists(st.integers(0, 59), unique=True, max_size=4).map(sorted))
@settings(max_examples=10)
def test_a_strict_session_never_notices(
    bench: MakeBench, video: tuple[VideoFormat, ...], neighbours: int, halving: list[int]
) -> None:
    """Beside degradable neighbours, halved or not, its frames are the same bits on the same ticks as alone."""
    alone = conversation(Live(bench(), video=video))
    beside = Live(bench(), video=video)
    others = [beside.bench.open(1 + number, live=True, video=SMALL, degradable=True) for number in range(neighbours)]
    assert conversation(beside, halving) == alone
    for key in others:
        assert [frame.tick for frame in beside.bench.frames(key)] == list(range(60))
    assert halvings(beside) == []


def test_the_rate_is_told_at_first_and_when_it_changes(bench: MakeBench) -> None:
    """Before the first frame that it concerns."""
    live = Live(bench(), degradable=True)
    live.run(2)
    live.tell(Halve(halving=True))
    live.tell(Halve(halving=False))
    live.run(2)
    assert halvings(live) == [False]
    live.tell(Halve(halving=True))
    live.run(5)
    live.tell(Halve(halving=False))
    live.run(3)
    assert halvings(live) == [False, True, False]
    own = [result for result in live.bench.results if isinstance(result, Halved | Rendered)]
    change = own.index(Halved(live.key, halved=True))
    assert [bool(frame.units) for frame in own[change + 1 : change + 6]] == [True, False, True, False, True]
    assert live.kinds == "IIIIIiIiIIII"


def test_a_slot_that_opens_in_a_crowd_shows_its_first_frame_at_once(bench: MakeBench) -> None:
    """It is halved from its second tick on."""
    made = bench()
    made.worker.receive(Halve(halving=True))
    live = Live(made, degradable=True)
    live.run(5)
    assert halvings(live) == [True]
    assert live.kinds == "IiIiI"


def test_no_keyframe_follows_what_half_the_rate_leaves_out_but_a_segment_begins_with_one(bench: MakeBench) -> None:
    """Its first frame, or its second, if the first one is left out."""
    for idle in (4, 5):
        live = Live(bench(), video=H264, degradable=True)
        live.tell(Halve(halving=True))
        live.run(idle)
        live.feed(8)
        live.end()
        live.run(12)
        keys = [frame.index for frame in live.frames if frame.units and frame.units[0].keyframe]
        assert keys == [0, idle % 2]
        begun = next(frame for frame in live.frames if frame.segment == 0)
        assert bool(begun.units) == (idle % 2 == 0)


def test_a_pause_and_an_unread_window_count_at_half_the_rate_too(bench: MakeBench) -> None:
    """Ticks that nobody sees are left out whichever they are."""
    live = Live(bench(), video=SMALL, degradable=True, window_frames=3)
    live.tell(Halve(halving=True))
    live.run(9)
    assert live.kinds == "IiIiI"
    live.read()
    live.tell(Control(live.key, paused=True))
    live.run(4)
    live.tell(Control(live.key, paused=False))
    live.run(3)
    assert [frame.tick for frame in live.frames if frame.units] == [0, 2, 4, 14]
    assert Degraded(live.key, SkipReason.SLOW_CONSUMER) in live.bench.results


# Walks -----------------------------------------------------------------------------------------------------------

_ACTIONS = st.one_of(
    st.tuples(st.just("run"), st.integers(1, 30)),
    st.tuples(st.just("feed"), st.floats(0.1, 12)),
    st.tuples(st.just("end")),
    st.tuples(st.just("cut")),
    st.tuples(st.just("pause"), st.booleans()),
    st.tuples(st.just("stall"), st.floats(0.05, 2)),
    st.tuples(st.just("control")),
)


def walk(live: Live, actions: list[tuple[Any, ...]]) -> dict[int, float]:
    """Do all that; return the frames fed to each segment."""
    segment, fed, ended = 0, Counter[int](), True
    for action in actions:
        match action:
            case ("run", ticks):
                live.run(ticks / 4)
            case ("feed", frames):
                live.feed(frames, segment)
                fed[segment] += round(frames * 640)
                ended = False
            case ("end",) if not ended:
                live.end(segment)
                segment, ended = segment + 1, True
            case ("cut",):
                live.tell(Cut(live.key, frozenset(range(segment + 1))))
                segment, ended = segment + 1, True
            case ("pause", paused):
                live.tell(Control(live.key, paused=paused))
            case ("stall", seconds):
                live.now += seconds
            case ("control",):
                live.tell(Control(live.key, LEFT))
        live.read()
    if not ended:
        live.end(segment)
    live.tell(Control(live.key, paused=False))
    live.run(120)
    return fed


@settings(max_examples=60)
@given(actions=st.lists(_ACTIONS, max_size=25), hop_frames=st.sampled_from([1, 1, 4]))
def test_any_walk_keeps_the_grid(bench: MakeBench, actions: list[tuple[Any, ...]], hop_frames: int) -> None:
    """No tick twice, none missing but for a pause or a stall; speech without a gap of its own, up to its end."""
    live = Live(bench(FakeEngine(hop_frames=hop_frames)))
    fed = walk(live, actions)
    frames = live.frames
    ticks = [frame.tick for frame in frames]
    assert ticks == sorted(set(ticks))
    excused = any(action[0] == "pause" or (action[0] == "stall" and action[1] > 0.4) for action in actions)
    if not excused:
        assert ticks == list(range(len(ticks)))
        assert all(frame.units for frame in frames)
    for segment, samples in fed.items():
        own = [frame.index for frame in frames if frame.segment == segment]
        assert own == list(range(len(own)))
        if not any(action[0] == "cut" for action in actions):
            assert len(own) == -(-samples // 640)


@settings(max_examples=30)
@given(
    pieces=st.lists(st.tuples(st.floats(0.05, 9), st.integers(0, 40)), min_size=1, max_size=8),
    hop_frames=st.sampled_from([1, 3]),
)
def test_speech_is_the_same_bits_however_it_is_waited_for(
    bench: MakeBench, pieces: list[tuple[float, int]], hop_frames: int
) -> None:
    """Idle ticks between, and silence around it, change no speech row against ON_AUDIO."""
    engines = [Recording(hop_frames=hop_frames) for _ in range(2)]
    live, file = Live(bench(engines[0]), parameters=Parameters(seed=5)), bench(engines[1])
    key = file.open(0, video=SMALL, parameters=Parameters(seed=5))
    for number, (frames, ticks) in enumerate(pieces):
        noise = np.random.default_rng(number).uniform(-0.5, 0.5, round(frames * 640)).astype(np.float32)
        live.tell(Feed(live.key, 0, to_pcm(noise), live.now))
        file.worker.receive(Feed(key, 0, to_pcm(noise), 0.0))
        live.run(ticks / 4)
    live.end()
    file.worker.receive(End(key, 0, 0.0))
    live.run(100)
    file.run()
    np.testing.assert_array_equal(engines[0].rows, engines[1].rows)


def test_a_closed_slot_has_no_ticks(bench: MakeBench) -> None:
    """The loop may sleep for ever."""
    live = Live(bench())
    live.run(1)
    live.bench.worker.receive(Cut(SlotKey(7, 0), frozenset()))
    live.bench.worker._slots.clear()
    assert live.bench.worker.next_tick(live.now) is None

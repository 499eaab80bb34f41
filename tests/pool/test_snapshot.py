"""A slot that goes on in another worker: it makes what the first one would have made."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar_service.engine.base import STATE_BYTES, Controls, Emotion, MotionStep, Parameters, PrepareOptions
from avatar_service.engine.fake import FakeEngine
from avatar_service.engine.portrait.engine import create
from avatar_service.pcm import PCM_BYTES, to_pcm
from avatar_service.picture import decode_picture
from avatar_service.pool.journal import Journal
from avatar_service.pool.messages import Command, Control, End, Feed, Moved, Open, Rendered, SlotKey, Work
from avatar_service.pool.snapshot import Row
from avatar_service.pool.ticks import Ticks

if TYPE_CHECKING:
    from tests.pool.conftest import Bench

KEY = SlotKey(0, 0)


def commands(frames: list[int]) -> list[Command]:
    """Return what a slot is told: segments of so many frames, in pieces, with a change amid each."""
    told: list[Command] = []
    for number, length in enumerate(frames):
        samples = np.random.default_rng(number).uniform(-0.5, 0.5, length * 640).astype(np.float32)
        pcm = to_pcm(samples)
        for start in range(0, len(pcm), 1_000 * PCM_BYTES):
            told.append(Feed(KEY, number, pcm[start : start + 1_000 * PCM_BYTES], 0.0))
            if start == 0:
                told.append(Control(KEY, Controls(emotion=(Emotion.SAD, number / 4))))
        told.append(End(KEY, number, 0.0))
    return told


def pictures(results: list[Rendered]) -> list[tuple[int | None, int, bytes]]:
    """Return what frames show."""
    return [(frame.segment, frame.index, frame.units[0].content) for frame in results]


@settings(max_examples=40)
@given(
    frames=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    hop=st.sampled_from([1, 3]),
    told=st.integers(0, 60),
    steps=st.integers(0, 25),
)
def test_another_slot_goes_on_where_a_slot_was_lost(
    bench: Callable[..., Bench], frames: list[int], hop: int, told: int, steps: int
) -> None:
    """Whatever it had been told and had made by then, and whatever of that its results had said."""
    words = commands(frames)
    whole = bench(FakeEngine(hop_frames=hop))
    key = whole.open(0)
    for word in words:
        whole.worker.receive(word)
    whole.run()

    lost, journal, rows = bench(FakeEngine(hop_frames=hop)), Journal(FakeEngine().spec), list[Row]()
    lost.open(0, resumable=True)
    for word in words[:told]:
        journal.tell(word)
        lost.worker.receive(word)
    lost.run(steps)
    for word in words[told:]:
        journal.tell(word)
    for result in lost.results:
        match result:
            case Moved(_, made, snapshot):
                rows += made
                journal.move(snapshot)
            case Rendered(_, segment, index):
                assert (rows[0].segment, rows[0].index) == (segment, index)
                del rows[0]

    other = bench(FakeEngine(hop_frames=hop))
    resumption = journal.resumption(rows, lambda _: True, 5.0)
    there = SlotKey(3, 1)
    other.worker.receive(Open(there, whole_work(other), carried(resumption)))
    other.prepare()
    for word in journal.rest(there):
        other.worker.receive(word)
    other.run(now=5.0)
    assert pictures(lost.frames(KEY)) + pictures(other.frames(there)) == pictures(whole.frames(key))


def carried(resumption: object) -> Any:
    """Return what arrives in another process."""
    return pickle.loads(pickle.dumps(resumption))  # noqa: S301 - made here


def whole_work(bench: Bench) -> Work:
    """Return the work that a bench orders."""
    key = bench.open(7, resumable=True, prepare=False)
    return next(order.work for order in bench.waiting if isinstance(order, Open) and order.key == key)


def test_a_snapshot_is_made_though_nothing_is_to_be_made(bench: Callable[..., Bench]) -> None:
    """Else a client that only changes its mind would fill the journal."""
    busy = bench()
    busy.open(0, resumable=True)
    for number in range(200):
        busy.worker.receive(Control(KEY, Controls(head_motion=number / 200)))
    told = [result.snapshot.told for result in busy.results if isinstance(result, Moved)]
    assert told == [64, 128, 192]


def test_a_session_that_is_not_resumable_makes_no_snapshot(bench: Callable[..., Bench]) -> None:
    """It pays for nothing it did not ask for."""
    plain = bench()
    key = plain.open(0)
    plain.speak(key, 3)
    plain.run()
    assert not any(isinstance(result, Moved) for result in plain.results)


@pytest.mark.parametrize("make", [FakeEngine, create])
def test_a_pickled_state_goes_on_as_the_state_itself(make: Callable[[], FakeEngine], photo: bytes) -> None:
    """And is small: at most 64 KiB, which every engine promises."""
    engine = make()
    avatar = engine.prepare(decode_picture(photo), PrepareOptions(crop=False))
    state = engine.open(avatar, Parameters(seed=5))
    length = engine.spec.context + engine.spec.frame_samples + engine.spec.look_ahead
    sound = np.random.default_rng(1).uniform(-0.5, 0.5, (60, length)).astype(np.float32)

    def step(of: object, number: int) -> np.ndarray:
        controls = Controls(pose=(0.1, 0.1, 0.0), emotion=(Emotion.ANGRY, 1.0)) if number == 20 else None
        [rows] = engine.motion([MotionStep(of, sound[number], 1, number, 10**6, controls)])
        return rows

    for number in range(60):
        content = pickle.dumps(state, pickle.HIGHEST_PROTOCOL)
        assert len(content) <= STATE_BYTES
        again = pickle.loads(content)  # noqa: S301 - made a line above
        np.testing.assert_array_equal(step(again, number), step(state, number))


def test_a_grid_goes_on_behind_what_has_passed() -> None:
    """A tick that was due has been; none comes twice, and none is late at once."""
    first = Ticks(25)
    first.due(100.0)
    assert [first.advance() for _ in range(3)] == [0, 1, 2]
    later = Ticks(25, first.began)
    assert later.due(101.0) == pytest.approx(101.04)
    assert later.hopeless(101.0) == 0
    assert later.advance() == 26

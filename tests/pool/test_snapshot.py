"""A slot that goes on in another worker: it makes what the first one would have made."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from avatar_service.engine.base import STATE_BYTES, Controls, Emotion, MotionStep, Parameters, Portrait, PrepareOptions
from avatar_service.engine.fake import FakeAvatar, FakeEngine, FakeState
from avatar_service.engine.portrait.engine import create
from avatar_service.pcm import PCM_BYTES, to_pcm
from avatar_service.picture import decode_picture
from avatar_service.pool.journal import Journal
from avatar_service.pool.messages import (
    AvatarKey,
    Command,
    Control,
    End,
    Feed,
    Moved,
    Open,
    Rendered,
    Result,
    SlotKey,
    Switch,
    Unswitched,
    Work,
)
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
    follow(lost.results, journal, rows)

    other = bench(FakeEngine(hop_frames=hop))
    resumption = journal.resumption(rows, lambda _: True, 5.0)
    there = SlotKey(3, 1)
    other.worker.receive(Open(there, whole_work(other), carried(resumption)))
    other.prepare()
    for word in journal.rest(there):
        other.worker.receive(word)
    other.run(now=5.0)
    assert pictures(lost.frames(KEY)) + pictures(other.frames(there)) == pictures(whole.frames(key))


class Shaped(FakeEngine):
    """Its avatars have the shape of their portraits, and its state counts the switches."""

    def prepare(self, portrait: Portrait, options: PrepareOptions) -> FakeAvatar:
        """Keep the portrait's shape."""
        del options
        return FakeAvatar(portrait, (portrait.shape[1], portrait.shape[0]))

    def switch(self, state: FakeState, avatar: FakeAvatar) -> FakeState:
        """Return a state that differs."""
        return replace(super().switch(state, avatar), controls=state.controls + 1)


def picture(level: int) -> bytes:
    """Return a small plain picture."""
    content = io.BytesIO()
    Image.new("L", (64, 64), level).save(content, "PNG")
    return content.getvalue()


FACES = {"a": picture(9), "b": picture(99)}


@settings(max_examples=40)
@given(
    frames=st.lists(st.integers(1, 9), min_size=1, max_size=2),
    hop=st.sampled_from([1, 3]),
    at=st.lists(st.integers(0, 40), min_size=1, max_size=2, unique=True),
    told=st.tuples(st.integers(0, 40), st.integers(0, 40)),
    steps=st.tuples(st.integers(0, 9), st.integers(0, 9)),
)
def test_another_slot_goes_on_with_the_avatar_that_was_switched_to(
    bench: Callable[..., Bench],
    frames: list[int],
    hop: int,
    at: list[int],
    told: tuple[int, int],
    steps: tuple[int, int],
) -> None:
    """Though its worker does not know it by name, and its own frames would have another size."""
    words = commands(frames)
    for place, name in zip(at, FACES, strict=False):
        words.insert(place, Switch(KEY, AvatarKey(name)))
    first, second = sorted(told)
    parts = [(words[:first], steps[0]), (words[first:second], steps[1])]
    whole, lost = (begun(bench(Shaped(hop_frames=hop)), parts) for _ in range(2))
    for word in words[second:]:
        whole.worker.receive(word)
    whole.run()

    journal, rows = journalled(words), list[Row]()
    follow(lost.results, journal, rows)
    assert journal.shown == next(iter(named(reversed(words[:second]))), None)

    other, there = bench(Shaped(hop_frames=hop)), SlotKey(3, 1)
    for name in named(journal.rest(KEY)):
        other.keep(name, FACES[name])
    work = whole_work(other)
    if journal.shown is not None:
        work = replace(work, portrait=FACES[journal.shown], kept=AvatarKey(journal.shown))
    other.worker.receive(Open(there, work, carried(journal.resumption(rows, lambda _: True, 0.0))))
    other.prepare()
    for word in journal.rest(there):
        other.worker.receive(word)
    other.run()
    assert pictures(lost.frames(KEY)) + pictures(other.frames(there)) == pictures(whole.frames(KEY))


def begun(made: Bench, parts: list[tuple[list[Command], int]]) -> Bench:
    """Return a bench that keeps all faces, and whose slot was told each part and made so many steps then."""
    for name, face in FACES.items():
        made.keep(name, face)
    made.open(0, resumable=True)
    for words, steps in parts:
        for word in words:
            made.worker.receive(word)
        made.run(steps)
    return made


def journalled(words: list[Command]) -> Journal:
    """Return the journal of a slot that was told this."""
    journal = Journal(FakeEngine().spec)
    for word in words:
        journal.tell(word)
    return journal


def named(words: Iterable[Command]) -> list[str]:
    """Return the names of the avatars that are to be shown."""
    return [word.avatar.avatar_id for word in words if isinstance(word, Switch)]


def follow(results: list[Result], journal: Journal, rows: list[Row]) -> None:
    """Note what results say: rows that were made and not drawn stay."""
    for result in results:
        match result:
            case Moved(_, made, snapshot):
                rows += made
                journal.move(snapshot)
            case Rendered(_, segment, index):
                assert (rows[0].segment, rows[0].index) == (segment, index)
                del rows[0]


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_switch_is_noted_at_once(bench: Callable[..., Bench], *, is_kept: bool) -> None:
    """Shown or refused: another slot is neither to be told again nor to say a second time that it cannot."""
    made = bench()
    if is_kept:
        made.keep("a", picture(9))
    made.open(0, resumable=True)
    made.batches.clear()
    made.worker.receive(Switch(KEY, AvatarKey("a")))
    [batch] = made.batches
    *refusal, moved = batch
    assert [type(each) for each in refusal] == ([] if is_kept else [Unswitched])
    assert isinstance(moved, Moved)
    assert (moved.rows, moved.snapshot.told) == ((), 1)
    assert moved.snapshot.avatar_id == ("a" if is_kept else None)


def test_a_switch_that_a_resumed_slot_refuses_leaves_the_avatar_that_it_shows(bench: Callable[..., Bench]) -> None:
    """And a third slot still knows which that is."""
    first, second = bench(), bench()
    first.keep("a", picture(9))
    first.open(0, resumable=True)
    first.speak(KEY, 3)
    first.run(1)
    first.worker.receive(Switch(KEY, AvatarKey("a")))
    journal = Journal(FakeEngine().spec)
    follow(first.results, journal, [])
    work = replace(whole_work(first), portrait=picture(9), kept=AvatarKey("a"))
    second.worker.receive(Open(KEY, work, journal.resumption([], lambda _: True, 0.0)))
    second.worker.receive(Switch(KEY, AvatarKey("b")))
    second.prepare()
    follow(second.results, journal, [])
    assert [result.error.reason for result in second.results if isinstance(result, Unswitched)] == ["AVATAR_NOT_READY"]
    assert journal.shown == "a"


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

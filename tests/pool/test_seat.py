"""A seat and the workers that come and go on it, in time that passes as fast as it can."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar_service.engine.base import EngineSpec
from avatar_service.engine.fake import FakeEngine
from avatar_service.errors import UnavailableError
from avatar_service.pool.carrier import END_WITHIN_S
from avatar_service.pool.loop import Answer
from avatar_service.pool.messages import (
    Alive,
    Close,
    Command,
    Failed,
    Halve,
    Opened,
    Ping,
    Rendered,
    Result,
    SlotKey,
    Warm,
)
from avatar_service.pool.seat import HEARTBEAT_S, HUNG_AFTER_BEATS, Seat

P = ParamSpec("P")
SPEC = FakeEngine().spec
HUNG_S = HEARTBEAT_S * HUNG_AFTER_BEATS


class Skipping(selectors.DefaultSelector):
    """Does not wait: the clock jumps to where the waiting would have ended."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready."""
        assert timeout is not None, "the test waits for what will never happen"
        self.now += timeout
        return super().select(0)


class SwiftLoop(asyncio.SelectorEventLoop):
    """A loop whose seconds pass as soon as nothing else is to be done."""

    def __init__(self) -> None:
        self.selector = Skipping()
        super().__init__(self.selector)

    def time(self) -> float:
        """Return the seconds since the loop began."""
        return self.selector.now


def swift(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Run a test on a swift loop."""

    @functools.wraps(test)
    def run(*arguments: P.args, **fields: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=SwiftLoop) as runner:
            runner.run(test(*arguments, **fields))

    return run


def now() -> float:
    """Return the loop's time."""
    return asyncio.get_running_loop().time()


@dataclass(eq=False)
class ScriptedCarrier:
    """A worker that does what the test says.

    Attributes:
        failure: what starting raises.
        starting: whether starting never ends.
        stopping: whether stopping never ends, the first time.
        answers: whether heartbeats are answered.
        given: its share of the time.
        spec: of its engine.
    """

    failure: Exception | None = None
    starting: bool = False
    stopping: bool = False
    answers: bool = True
    given: float = 1.0
    spec: EngineSpec = SPEC
    sent: list[Command | Ping] = field(default_factory=list)
    stops: int = 0
    patience_s: list[float] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    deliver: Callable[[list[Answer]], None] = print

    async def start(self, deliver: Callable[[list[Answer]], None]) -> Warm:
        """Get warm at once, or never, or fail."""
        self.deliver = deliver
        if self.starting:
            await asyncio.sleep(1e6)
        if self.failure is not None:
            raise self.failure
        return Warm(self.spec, 3)

    def send(self, command: Command | Ping) -> None:
        """Note the command; answer a heartbeat."""
        self.sent.append(command)
        if isinstance(command, Ping) and self.answers:
            self.deliver([Alive()])

    def share(self) -> float:
        """Return what the test says."""
        return self.given

    async def ended(self) -> None:
        """Return once the test says so."""
        await self.gone.wait()

    async def stop(self, patience_s: float = END_WITHIN_S) -> None:
        """Note it."""
        self.patience_s.append(patience_s)
        self.stops += 1
        if self.stopping and self.stops == 1:
            await asyncio.sleep(1e6)

    @property
    def commands(self) -> list[Command]:
        """What was sent beside heartbeats."""
        return [command for command in self.sent if not isinstance(command, Ping)]


class Place:
    """A seat with its scripted workers, and a note of every change.

    Args:
        capacity: of the seat.
        script: the workers in order; behind them come workers without a fault.
    """

    def __init__(self, *script: ScriptedCarrier, capacity: int = 2) -> None:
        self._script = list(script)
        self.carriers: list[ScriptedCarrier] = []
        self.created_at: list[float] = []
        self.changes: list[tuple[float, bool]] = []
        self._changed = asyncio.Event()
        self.renewed: list[Seat] = []
        self.seat = Seat(self._create, capacity, self._note, self.renewed.append)

    def _create(self) -> ScriptedCarrier:
        number = len(self.carriers)
        self.carriers.append(self._script[number] if number < len(self._script) else ScriptedCarrier())
        self.created_at.append(now())
        return self.carriers[-1]

    def _note(self) -> None:
        self.changes.append((now(), self.seat.serving))
        self._changed.set()

    async def until(self, *, serving: bool) -> None:
        """Return once the seat serves, or does not."""
        while self.seat.serving is not serving:
            self._changed.clear()
            await self._changed.wait()

    async def replaced(self, carrier: ScriptedCarrier) -> None:
        """Lose a worker; return once another has its place."""
        carrier.gone.set()
        await self.until(serving=False)
        await self.until(serving=True)

    def take(self) -> tuple[SlotKey, list[Result]]:
        """Return a slot and the results that come for it."""
        key, results = self.seat.acquire(), list[Result]()
        assert key is not None
        self.seat.listen(key, results.append)
        return key, results


async def started(*script: ScriptedCarrier, capacity: int = 2) -> Place:
    """Return a place whose seat has started."""
    place = Place(*script, capacity=capacity)
    await place.seat.start()
    return place


def opened(key: SlotKey) -> Opened:
    """Return a result."""
    return Opened(key, ((8, 8),), ("",), ())


@pytest.mark.parametrize(("capacity", "slots"), [(0, 3), (2, 2), (5, 5)])
@swift
async def test_a_seat_has_the_slots_given_or_else_measured(capacity: int, slots: int) -> None:
    """Nought means what the first worker says of itself; nothing is free before it is warm."""
    place = Place(capacity=capacity)
    assert not place.seat.serving
    await place.seat.start()
    assert place.seat.serving
    assert (place.seat.free, place.seat.slots.capacity, place.seat.spec) == (slots, slots, SPEC)
    assert place.changes == [(0.0, True)]
    await place.seat.stop()


@swift
async def test_a_first_worker_that_cannot_start_is_told() -> None:
    """The error is the worker's own; stopping ends what is left of it, and nobody tries again."""
    place = Place(ScriptedCarrier(failure=LookupError("no model")))
    with pytest.raises(LookupError, match="no model"):
        await place.seat.start()
    assert not place.seat.serving
    await place.seat.stop()
    assert [carrier.stops for carrier in place.carriers] == [1]
    assert asyncio.all_tasks() == {asyncio.current_task()}


@swift
async def test_a_seat_that_never_started_can_be_stopped() -> None:
    """There is nothing to end."""
    await Place().seat.stop()


# Losing a worker -------------------------------------------------------------------------------------------------


@swift
async def test_a_worker_that_ends_is_replaced() -> None:
    """At once; the old one is stopped, and whoever follows health is told of both changes."""
    place = await started()
    await asyncio.sleep(10)
    await place.replaced(place.carriers[0])
    assert [carrier.stops for carrier in place.carriers] == [1, 0]
    assert place.changes == [(0.0, True), (10.0, False), (10.0, True)]
    await place.seat.stop()


@swift
async def test_a_worker_that_answers_no_heartbeat_is_replaced() -> None:
    """After four in a row, two seconds from the first."""
    place = await started(ScriptedCarrier(answers=False))
    await place.until(serving=False)
    await place.until(serving=True)
    assert place.changes == [(0.0, True), (HUNG_S, False), (HUNG_S, True)]
    assert place.carriers[0].sent == [Ping()] * HUNG_AFTER_BEATS
    assert place.carriers[0].patience_s == [0.0], "who hangs will not end by itself"
    await place.seat.stop()


@swift
async def test_a_worker_that_the_machine_gives_little_time_has_the_more_of_it() -> None:
    """Each beat counts by what the worker had of it, so one that hangs is found all the same."""
    place = await started(ScriptedCarrier(answers=False, given=0.125))
    await place.until(serving=False)
    assert place.changes == [(0.0, True), (8 * HUNG_S, False)]
    await place.seat.stop()


@swift
async def test_an_engine_of_long_steps_is_given_the_time_that_it_declares() -> None:
    """A network on a CPU computes for seconds, and does not hang."""
    slow = replace(SPEC, step_within_s=30.0)
    place = await started(ScriptedCarrier(answers=False, spec=slow))
    await place.until(serving=False)
    assert place.changes == [(0.0, True), (30.0, False)]
    await place.seat.stop()


@swift
async def test_a_worker_that_answers_stays() -> None:
    """A minute of answered heartbeats changes nothing."""
    place = await started()
    await asyncio.sleep(60)
    assert len(place.carriers) == 1
    assert len(place.carriers[0].sent) == pytest.approx(60 / HEARTBEAT_S, abs=1)
    await place.seat.stop()


@pytest.mark.parametrize("answer", [Alive(), opened(SlotKey(0, 0))], ids=["alive", "result"])
@swift
async def test_any_answer_is_a_sign_of_life(answer: Answer) -> None:
    """A busy worker that is late with its heartbeats, but still says something, is not replaced."""
    place = await started(ScriptedCarrier(answers=False))
    for _ in range(10):
        await asyncio.sleep(HUNG_S - HEARTBEAT_S)
        place.carriers[0].deliver([answer])
    assert place.changes == [(0.0, True)]
    await place.until(serving=False)
    await place.seat.stop()


@swift
async def test_replacing_is_tried_again_with_pauses() -> None:
    """At once, then ever more rarely, and for ever; meanwhile nobody is admitted."""
    place = await started(ScriptedCarrier(), *(ScriptedCarrier(failure=OSError("no memory")) for _ in range(7)))
    place.carriers[0].gone.set()
    await place.until(serving=False)
    assert (place.seat.free, place.seat.acquire()) == (0, None)
    await place.until(serving=True)
    assert place.created_at == [0.0, 0.0, 0.5, 1.5, 3.5, 8.5, 13.5, 18.5, 23.5]
    assert place.changes == [(0.0, True), (0.0, False), (23.5, True)]
    await place.seat.stop()


@swift
async def test_the_pauses_begin_anew_with_every_loss() -> None:
    """A worker that got warm has paid off the failures before it."""
    failing = [ScriptedCarrier(failure=OSError("no memory")) for _ in range(3)]
    place = await started(ScriptedCarrier(), *failing)
    await place.replaced(place.carriers[0])
    lost_at = now()
    await place.replaced(place.carriers[-1])
    assert now() == lost_at
    await place.seat.stop()


# Sessions --------------------------------------------------------------------------------------------------------


@swift
async def test_results_go_to_whom_they_are_for() -> None:
    """Each session hears its own, one that is closed hears nothing, and the worker is told."""
    place = await started()
    (first, heard), (second, other) = place.take(), place.take()
    place.carriers[0].deliver([opened(second), opened(first), Rendered(first, 0, 0, ())])
    assert heard == [opened(first), Rendered(first, 0, 0, ())]
    assert other == [opened(second)]
    place.seat.release(second)
    place.seat.release(second)
    assert place.carriers[0].commands == [Close(second)]
    place.carriers[0].deliver([Rendered(second, 0, 0, ())])
    assert other == [opened(second)]
    await place.seat.stop()


@swift
async def test_the_sessions_of_a_lost_worker_are_told_once() -> None:
    """Even one that is slow to leave, so that it is still there when the next worker is lost too."""
    place = await started()
    taken = [place.take(), place.take()]
    for number in range(3):
        await place.replaced(place.carriers[number])
    for key, results in taken:
        (failed,) = results
        assert isinstance(failed, Failed)
        assert failed.key == key
        assert isinstance(failed.error, UnavailableError)
        assert (failed.error.reason, failed.error.retry_after_s) == ("WORKER_LOST", 1.0)
    await place.seat.stop()


@swift
async def test_a_session_that_opens_after_the_loss_is_told_at_once() -> None:
    """It got its slot just before; the next loss is none of its business any more."""
    place = await started(ScriptedCarrier(), ScriptedCarrier(failure=OSError("no memory")))
    key, results = place.seat.acquire(), list[Result]()
    assert key is not None
    place.carriers[0].gone.set()
    await place.until(serving=False)
    place.seat.listen(key, results.append)
    assert [type(result) for result in results] == [Failed]
    await place.until(serving=True)
    await place.replaced(place.carriers[-1])
    assert len(results) == 1
    await place.seat.stop()


@swift
async def test_slots_of_a_lost_worker_are_free_once_released() -> None:
    """Neither before, nor twice, and the next user's key is a new one."""
    place = await started()
    old = [place.take()[0], place.take()[0]]
    await place.replaced(place.carriers[0])
    assert (place.seat.free, place.seat.acquire()) == (0, None)
    for key in (*old, *old):
        place.seat.release(key)
    new = [place.take()[0], place.take()[0]]
    assert place.seat.acquire() is None
    assert {key.index for key in new} == {key.index for key in old}
    assert not set(new) & set(old)
    await place.seat.stop()


def halvings(carrier: ScriptedCarrier) -> list[bool]:
    """Return what a worker was told of the degradable slots."""
    return [command.halving for command in carrier.commands if isinstance(command, Halve)]


@swift
async def test_degradable_sessions_share_what_is_left() -> None:
    """Once there are more sessions than places their worker is told, before the newest opens, and when that ends."""
    place = await started(capacity=2)
    keys = [place.seat.acquire(degradable=True), place.seat.acquire()]
    assert halvings(place.carriers[0]) == []
    keys.append(place.seat.acquire(degradable=True))
    assert halvings(place.carriers[0]) == [True]
    assert not place.seat.has_room(degradable=True)
    for key in keys:
        assert key is not None
        place.seat.release(key)
    assert halvings(place.carriers[0]) == [True, False]
    await place.seat.stop()


@swift
async def test_a_new_worker_is_told_how_its_sessions_share() -> None:
    """It knows nothing of what its predecessor was told; slots that are not yet released count."""
    place = await started(capacity=1)
    keys = [place.seat.acquire(degradable=True) for _ in range(2)]
    await place.replaced(place.carriers[0])
    assert halvings(place.carriers[1]) == [True]
    assert keys[0] is not None
    place.seat.release(keys[0])
    await place.replaced(place.carriers[1])
    assert halvings(place.carriers[1]) == [True, False]
    assert halvings(place.carriers[2]) == []
    await place.seat.stop()


@given(st.lists(st.sampled_from(["take", "release", "release again", "lose"]), max_size=40), st.randoms())
@swift
async def test_no_slot_is_ever_given_out_twice(deeds: list[str], random: Any) -> None:
    """However sessions and workers come and go: each slot has one user, and no key comes back."""
    place = await started(capacity=3)
    held: list[SlotKey] = []
    past: list[SlotKey] = []
    for deed in deeds:
        if deed == "take" and (key := place.seat.acquire()) is not None:
            place.seat.listen(key, lambda _: None)
            assert key not in past
            assert key.index not in {other.index for other in held}
            held.append(key)
        elif deed == "release" and held:
            past.append(held.pop(random.randrange(len(held))))
            place.seat.release(past[-1])
        elif deed == "release again" and past:
            place.seat.release(random.choice(past))
        elif deed == "lose":
            await place.replaced(place.carriers[-1])
        assert place.seat.free == 3 - len(held)
    await place.seat.stop()


@swift
async def test_a_worker_that_was_given_up_reaches_nobody() -> None:
    """Late results come to no user of a slot, and are no sign of life of the next worker."""
    place = await started(ScriptedCarrier(answers=False), ScriptedCarrier(answers=False), capacity=1)
    key, heard = place.take()
    await place.until(serving=False)
    await place.until(serving=True)
    told = list(heard)
    old, new = place.carriers
    old.deliver([opened(key), Rendered(key, 0, 0, ())])
    place.seat.release(key)
    follower, follower_heard = place.take()
    old.deliver([Rendered(key, 0, 1, ()), Rendered(follower, 0, 0, ())])
    assert heard == told
    assert follower_heard == []
    replaced_at = now()
    while place.seat.serving:
        old.deliver([Alive()])
        await asyncio.sleep(HEARTBEAT_S)
    assert now() - replaced_at <= HUNG_S + HEARTBEAT_S
    assert new.stops == 1
    await place.seat.stop()


@swift
async def test_sessions_that_are_dismissed_are_told_once() -> None:
    """With the reason given; no result and no loss of a worker reaches them after that."""
    place = await started()
    (key, heard), (other, other_heard) = place.take(), place.take()
    place.seat.release(other)
    error = UnavailableError("DRAINING", "text")
    place.seat.dismiss(error)
    place.seat.dismiss(error)
    place.carriers[0].deliver([opened(key)])
    await place.replaced(place.carriers[0])
    (failed,) = heard
    assert isinstance(failed, Failed)
    assert (failed.key, failed.error, other_heard) == (key, error, [])
    assert place.seat.free == 1
    await place.seat.stop()


@swift
async def test_commands_go_to_the_present_worker() -> None:
    """While there is none they go nowhere."""
    place = await started(ScriptedCarrier(), ScriptedCarrier(failure=OSError("no memory")))
    keys = [SlotKey(0, number) for number in range(3)]
    place.seat.send(Close(keys[0]))
    place.carriers[0].gone.set()
    await place.until(serving=False)
    place.seat.send(Close(keys[1]))
    await place.until(serving=True)
    place.seat.send(Close(keys[2]))
    assert [carrier.commands for carrier in place.carriers] == [[Close(keys[0])], [], [Close(keys[2])]]
    await place.seat.stop()


# Stopping --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        (ScriptedCarrier,),
        (lambda: ScriptedCarrier(stopping=True),),
        (ScriptedCarrier, lambda: ScriptedCarrier(failure=OSError("no memory"))),
        (ScriptedCarrier, lambda: ScriptedCarrier(starting=True)),
    ],
    ids=["at work", "ending the old one", "pausing", "starting the new one"],
)
@swift
async def test_stopping_leaves_nothing(script: tuple[Callable[[], ScriptedCarrier], ...]) -> None:
    """At whatever point of a replacement: no task, and every worker but those that failed to start was stopped."""
    place = await started(*(create() for create in script))
    if len(script) > 1 or place.carriers[0].stopping:
        place.carriers[0].gone.set()
        await place.until(serving=False)
    await asyncio.sleep(0.25)
    await place.seat.stop()
    assert not place.seat.serving
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert place.carriers[0].stops
    assert place.carriers[-1].stops
    assert len(place.carriers) == len(script)


@swift
async def test_the_sessions_are_not_told_of_stopping() -> None:
    """They have been drained before; what the worker still says goes nowhere."""
    place = await started()
    key, results = place.take()
    await place.seat.stop()
    place.carriers[0].deliver([opened(key)])
    assert results == []
    assert repr(place.seat) == "<Seat down, <SlotTable 1 of 2 taken>>"

"""A worker on a thread, and the pool that places sessions on it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from avatar_service.codec.base import Codec, VideoFormat
from avatar_service.engine.base import Engine, Frame, RenderStep
from avatar_service.engine.fake import FakeEngine
from avatar_service.errors import ResourceExhaustedError, UnavailableError
from avatar_service.pool.appointments import RATE_HZ
from avatar_service.pool.carrier import ThreadCarrier
from avatar_service.pool.messages import Failed, Opened, Rendered, Result, Work
from avatar_service.pool.pool import Lease, Pool

RAW = (VideoFormat(codec=Codec.RAW_RGB),)


class ColdEngine(FakeEngine):
    """Cannot warm up."""

    def warmup(self) -> None:
        """Fail."""
        msg = "no model"
        raise RuntimeError(msg)


class DyingEngine(FakeEngine):
    """Breaks the contract: returns fewer frames than steps, which ends the worker."""

    def render(self, steps: Sequence[RenderStep]) -> list[Frame]:  # noqa: ARG002 - the contract's
        """Return nothing."""
        return []


class Sink:
    """Takes a session's results and lets a test wait for them."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        self._came = asyncio.Event()

    def __call__(self, result: Result) -> None:
        """Take a result."""
        self.results.append(result)
        self._came.set()

    async def until(self, count: int, kind: type = Rendered) -> list[Any]:
        """Return the results of one kind once there are so many."""
        async with asyncio.timeout(10):
            while len(found := [result for result in self.results if isinstance(result, kind)]) < count:
                self._came.clear()
                await self._came.wait()
        return found


@asynccontextmanager
async def running(create: Callable[[], Engine] = FakeEngine, capacity: int = 2) -> AsyncIterator[Pool]:
    """Run a pool while the context lasts."""
    pool = Pool([lambda: ThreadCarrier(create)], capacity)
    await pool.start()
    try:
        yield pool
    finally:
        await pool.stop()


def speak(lease: Lease, frames: int) -> None:
    """Feed a whole segment."""
    lease.feed(0, bytes(frames * 1_280), 0.0)
    lease.end(0, 0.0)


async def test_frames_come_back_on_the_event_loop(photo: bytes) -> None:
    """From admission to the last frame, and the loop's own thread hands out each result."""
    async with running() as pool:
        sink, threads = Sink(), set()

        def listen(result: Result) -> None:
            threads.add(threading.get_ident())
            sink(result)

        lease = pool.admit()
        lease.open(Work(photo, video=RAW), listen)
        speak(lease, 6)
        frames = await sink.until(6)
        assert [frame.index for frame in frames] == list(range(6))
        assert isinstance(sink.results[0], Opened)
        assert threads == {threading.get_ident()}


async def test_the_engine_belongs_to_one_thread() -> None:
    """It is created and warmed up off the event loop."""
    threads = []

    def create() -> Engine:
        threads.append(threading.get_ident())
        return FakeEngine()

    async with running(create) as pool:
        assert pool.spec.name == "fake"
    assert threads != [threading.get_ident()]


async def test_stopping_ends_the_threads() -> None:
    """Nothing is left behind."""
    before = set(threading.enumerate())
    async with running():
        assert {thread.name.partition("_")[0] for thread in set(threading.enumerate()) - before} >= {"worker"}
    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert not [name for name in left if name.startswith(("worker", "prepare"))]


@pytest.mark.parametrize("create", [ColdEngine, lambda: {}["model"]])
async def test_an_engine_that_cannot_start_is_told(create: Callable[[], Engine]) -> None:
    """Starting raises the engine's own error, and stopping afterwards still works."""
    pool = Pool([lambda: ThreadCarrier(create)], 1)
    async with asyncio.timeout(10):
        with pytest.raises((RuntimeError, KeyError), match="model"):
            await pool.start()
        with pytest.raises(UnavailableError):
            pool.admit()
        await pool.stop()


# Admission -------------------------------------------------------------------------------------------------------


async def test_a_full_pool_refuses_at_once() -> None:
    """The one too many is told when to come again; a freed slot is admitted."""
    async with running(capacity=2) as pool:
        first, _ = pool.admit(), pool.admit()
        with pytest.raises(ResourceExhaustedError) as caught:
            pool.admit()
        assert caught.value.reason == "POOL_FULL"
        assert caught.value.retry_after_s is not None
        assert 2.0 <= caught.value.retry_after_s < 2.0 + 1 / RATE_HZ
        assert (pool.free, pool.sessions, pool.capacity) == (0, 2, 2)
        first.close()
        first.close()
        assert pool.free == 1
        pool.admit()


async def test_those_who_are_refused_are_told_to_come_one_by_one() -> None:
    """The longer the queue, the later; it is the same whether they were looked at or not."""
    async with running(capacity=1) as pool:
        pool.admit()
        waits = []
        for ask in (pool.admit, pool.check_room) * 10:
            with pytest.raises(ResourceExhaustedError) as caught:
                ask()
            waits.append(caught.value.retry_after_s or 0.0)
        assert waits == sorted(waits)
        assert waits[-1] - waits[0] == pytest.approx(19 / RATE_HZ, abs=2 / RATE_HZ)


async def test_a_degradable_session_finds_room_where_a_strict_one_does_not() -> None:
    """It goes where the most is left, be that half a place of somebody else."""
    pool = Pool([lambda: ThreadCarrier(FakeEngine)] * 2, 4)
    await pool.start()
    strict = [pool.admit() for _ in range(3)]
    degradable = [pool.admit(degradable=True) for _ in range(2)]
    assert (pool.free, pool.sessions, pool.capacity) == (0, 5, 4)
    for ask in (pool.admit, pool.check_room, lambda: pool.admit(degradable=True)):
        with pytest.raises(ResourceExhaustedError):
            ask()
    degradable[0].close()
    with pytest.raises(ResourceExhaustedError):
        pool.admit()
    pool.check_room()
    degradable[1].close()
    assert pool.free == 1
    strict[0].close()
    pool.admit(), pool.admit()
    await pool.stop()


async def test_a_pool_that_has_not_started_refuses() -> None:
    """No session before the engine is warm."""
    pool = Pool([lambda: ThreadCarrier(FakeEngine)], 1)
    with pytest.raises(UnavailableError) as caught:
        pool.admit()
    assert caught.value.reason == "NOT_READY"
    assert pool.free == 0
    await pool.start()
    assert pool.free == 1
    await pool.stop()


async def test_a_draining_pool_refuses_and_waits() -> None:
    """Draining ends when the last session does."""
    async with running() as pool:
        lease = pool.admit()
        drained = asyncio.create_task(pool.drain(10.0))
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError) as caught:
            pool.admit()
        assert (caught.value.reason, caught.value.retry_after_s) == ("DRAINING", 1.0)
        assert pool.free == 0
        assert repr(pool) == "<Pool [<Seat up, <SlotTable 1 of 2 taken>>], draining>"
        assert not drained.done()
        lease.close()
        async with asyncio.timeout(5):
            await drained


async def test_draining_has_an_end() -> None:
    """A session that goes on is left behind after the grace."""
    async with running() as pool, asyncio.timeout(5):
        pool.admit()
        await pool.drain(0.05)
        assert pool.sessions == 1


async def test_a_closed_session_hears_nothing_more(photo: bytes) -> None:
    """Results on their way when the slot was freed reach neither the old user nor the next one."""
    async with running(capacity=1) as pool:
        old, new = Sink(), Sink()
        lease = pool.admit()
        lease.open(Work(photo, video=RAW), old)
        speak(lease, 20)
        await old.until(1)
        lease.close()
        heard = len(old.results)
        follower = pool.admit()
        follower.open(Work(photo, video=RAW), new)
        speak(follower, 3)
        await new.until(3)
        assert len(old.results) == heard
        assert {result.key for result in new.results} == {follower.key}
        assert follower.key.index == lease.key.index


class Counting(FakeEngine):
    """Counts what it renders, at a millisecond a frame."""

    def __init__(self) -> None:
        super().__init__(cost_ms=1.0)
        self.rendered = 0

    def render(self, steps: Sequence[RenderStep]) -> list[Frame]:
        """Count."""
        self.rendered += len(steps)
        return super().render(steps)


async def test_nothing_is_made_for_a_closed_session(photo: bytes) -> None:
    """The engine stops with the session, and works for the others alone."""
    engine = Counting()
    async with running(lambda: engine) as pool:
        left, stays = Sink(), Sink()
        lease, other = pool.admit(), pool.admit()
        for each, sink in ((lease, left), (other, stays)):
            each.open(Work(photo, video=RAW, window_frames=10_000, window_bytes=2**40), sink)
        await stays.until(1, Opened)
        speak(lease, 3_000)
        await left.until(1)
        lease.close()
        before = engine.rendered
        speak(other, 200)
        await stays.until(200)
        # Some steps may have been under way.
        assert engine.rendered - before <= 200 + 50


async def test_a_lost_worker_is_told_to_every_session(photo: bytes) -> None:
    """All sessions learn of it, and their slots are free for the worker that takes its place."""
    async with running(DyingEngine) as pool:
        sinks = [Sink(), Sink()]
        leases = [pool.admit() for _ in sinks]
        for lease, sink in zip(leases, sinks, strict=True):
            lease.open(Work(photo, video=RAW), sink)
        for sink in sinks:
            await sink.until(1, Opened)
        speak(leases[0], 1)
        for sink in sinks:
            (failed,) = await sink.until(1, Failed)
            assert isinstance(failed.error, UnavailableError)
            assert failed.error.reason == "WORKER_LOST"
        for lease in leases:
            lease.close()
        async with asyncio.timeout(10):
            while not pool.serving:
                await pool.changed()
        assert pool.free == pool.capacity
        assert pool.spec.name == "fake"
        pool.admit().close()

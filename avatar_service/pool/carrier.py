"""Owns what carries a worker, and the carrier on a thread of this process, for an engine that leaves the lock alone."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Protocol

from avatar_service.engine.base import Engine
from avatar_service.pool.loop import Answer, Inbox, Stop, run_worker
from avatar_service.pool.messages import Command, Ping, Warm

END_WITHIN_S: Final = 2.0


class Carrier(Protocol):
    """What carries a worker. One carrier carries one worker, once."""

    async def start(self, deliver: Callable[[list[Answer]], None]) -> Warm:
        """Start and warm up the worker; return what it says of itself.

        Args:
            deliver: called on the event loop with the results of each batch.
        """

    def send(self, command: Command | Ping) -> None:
        """Hand a command to the worker; never blocks."""

    def share(self) -> float:
        """Return how much of the time since the last call the worker had, from 0 to 1.

        All of it, unless it wants a core: then what it was given of one.
        """

    async def ended(self) -> None:
        """Return once the worker is gone."""

    async def stop(self, patience_s: float = END_WITHIN_S) -> None:
        """End the worker and wait for it; harmless in any state, and twice.

        Args:
            patience_s: how long it may take to end by itself; then force is used where that is possible.
        """


class ThreadCarrier:
    """Carries a worker on a thread.

    Args:
        create_engine: called on the worker's thread, so that the engine belongs to it.
        head_room: share of the measured speed that is kept free, 0 to 1; ``None`` measures nothing.
    """

    def __init__(self, create_engine: Callable[[], Engine], head_room: float | None = None) -> None:
        self._create_engine = create_engine
        self._head_room = head_room
        self._inbox: Inbox = queue.SimpleQueue()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker")
        self._running: asyncio.Future[None] | None = None

    async def start(self, deliver: Callable[[list[Answer]], None]) -> Warm:
        """Start the thread; return once the engine is warm.

        Raises:
            Exception: whatever the engine raises before it is warm.
        """
        loop = asyncio.get_running_loop()
        warm: Future[Warm] = Future()

        def post(answers: list[Answer]) -> None:
            if warm.done():
                loop.call_soon_threadsafe(deliver, answers)
            elif isinstance(answers[0], Warm):
                warm.set_result(answers[0])

        run = self._thread.submit(run_worker, self._create_engine, self._inbox, post, self._head_room)
        running = self._running = asyncio.wrap_future(run)
        first = asyncio.ensure_future(asyncio.wrap_future(warm))
        running.add_done_callback(lambda _: first.cancel())
        await asyncio.wait({first})
        if first.cancelled():
            running.result()
        return first.result()

    def send(self, command: Command | Ping) -> None:
        """Put the command into the inbox."""
        self._inbox.put(command)

    def share(self) -> float:
        """Return 1: what a thread is given is not known."""
        return 1.0

    async def ended(self) -> None:
        """Return once the thread is done."""
        if self._running is not None:
            await asyncio.wait({self._running})

    async def stop(self, patience_s: float = END_WITHIN_S) -> None:
        """Ask the thread to end and wait for it; one that hangs cannot be ended, and is left behind."""
        if self._running is not None:
            self._inbox.put(Stop())
            await asyncio.wait({self._running}, timeout=patience_s)
            self._thread.shutdown(wait=self._running.done())

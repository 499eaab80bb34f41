"""Owns how a worker is carried: its thread, its inbox, and the way back to the event loop.

A process carries the same worker in the same way, with pipes for queues: nothing but messages crosses here, once per
batch.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

from avatar_service.engine.base import Avatar, Engine, EngineSpec
from avatar_service.pool.messages import Command, Result, SlotKey, Work
from avatar_service.pool.preparer import Preparer
from avatar_service.pool.worker import Worker


class Carrier(Protocol):
    """What the pool needs of a carrier."""

    async def start(self, deliver: Callable[[list[Result]], None], lost: Callable[[], None]) -> EngineSpec:
        """Start and warm up the worker; return its engine's spec.

        Args:
            deliver: called on the event loop with the results of each batch.
            lost: called on the event loop if the worker ends without being asked to.
        """

    def send(self, command: Command) -> None:
        """Hand a command to the worker; never blocks."""

    async def stop(self) -> None:
        """End the worker and wait for it."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    key: SlotKey
    avatar: Future[Avatar]


@dataclass(frozen=True, slots=True)
class _Stop:
    pass


_CACHED_AVATARS: Final = 16


class ThreadCarrier:
    """Carries a worker on a thread of this process.

    The inbox has no bound of its own: sessions bound what they send (buffered audio, one open, one close), and the
    pool bounds the sessions.

    Args:
        create_engine: called on the worker's thread, so that the engine belongs to it.
    """

    def __init__(self, create_engine: Callable[[], Engine]) -> None:
        self._create_engine = create_engine
        self._inbox: queue.SimpleQueue[Command | _Prepared | _Stop] = queue.SimpleQueue()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker")
        self._ended: Future[None] | None = None

    async def start(self, deliver: Callable[[list[Result]], None], lost: Callable[[], None]) -> EngineSpec:
        """Start the thread; return once the engine is warm."""
        loop = asyncio.get_running_loop()
        warm: Future[EngineSpec] = Future()

        def post(results: list[Result]) -> None:
            loop.call_soon_threadsafe(deliver, results)

        self._ended = self._thread.submit(self._run, warm, post)

        def on_end(ended: Future[None]) -> None:
            error = ended.exception()
            if error is None:
                return
            if warm.done():
                loop.call_soon_threadsafe(lost)
            else:
                warm.set_exception(error)

        self._ended.add_done_callback(on_end)
        return await asyncio.wrap_future(warm)

    def send(self, command: Command) -> None:
        """Put the command into the inbox."""
        self._inbox.put(command)

    async def stop(self) -> None:
        """Ask the thread to end and wait for it."""
        self._inbox.put(_Stop())
        await asyncio.to_thread(self._thread.shutdown, wait=True)

    def _run(self, warm: Future[EngineSpec], post: Callable[[list[Result]], None]) -> None:
        engine = self._create_engine()
        engine.warmup()
        preparer = Preparer(engine, _CACHED_AVATARS)

        def prepare(key: SlotKey, work: Work) -> None:
            preparer.prepare(work).add_done_callback(lambda avatar: self._inbox.put(_Prepared(key, avatar)))

        worker = Worker(engine, prepare, post)
        warm.set_result(engine.spec)
        try:
            while self._take_in(worker, wait=not worker.work()):
                pass
        finally:
            preparer.close()

    def _take_in(self, worker: Worker, *, wait: bool) -> bool:
        """Hand the worker all that lies in the inbox; with ``wait``, at least one thing. Return whether to go on."""
        while wait or not self._inbox.empty():
            match self._inbox.get():
                case _Stop():
                    return False
                case _Prepared(key, avatar):
                    worker.prepared(key, avatar)
                case command:
                    worker.receive(command)
            wait = False
        return True

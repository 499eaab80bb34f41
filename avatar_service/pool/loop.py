"""Owns the life of a worker behind any carrier: warm up, measure, then take in, work, take in, work.

The inbox has no bound of its own: sessions bound what they send (buffered audio, one open, one close), and the pool
bounds the sessions.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final, TypeAlias

from avatar_service.engine.base import Avatar, Engine
from avatar_service.pool.measure import measured_sessions
from avatar_service.pool.messages import Alive, Command, Ping, Result, SlotKey, Warm, Work
from avatar_service.pool.preparer import Preparer
from avatar_service.pool.worker import Worker


@dataclass(frozen=True, slots=True)
class Prepared:
    """The preparer is done with a slot's portrait."""

    key: SlotKey
    avatar: Future[Avatar]


@dataclass(frozen=True, slots=True)
class Stop:
    """End the worker."""


Inbox: TypeAlias = "queue.SimpleQueue[Command | Ping | Prepared | Stop]"
Answer: TypeAlias = Result | Warm | Alive
Post: TypeAlias = Callable[[list[Answer]], None]

_AVATAR_BYTES: Final = 256 * 1024 * 1024


def run_worker(create_engine: Callable[[], Engine], inbox: Inbox, post: Post, head_room: float | None) -> None:
    """Run a worker until ``Stop`` comes; the first result posted is ``Warm``.

    Args:
        create_engine: called on this thread, so that the engine belongs to it.
        inbox: where commands come from.
        post: takes the results of one batch.
        head_room: share of the measured speed that is kept free, 0 to 1; ``None`` measures nothing.
    """
    engine = create_engine()
    avatar = engine.warmup()
    preparer = Preparer(engine, _AVATAR_BYTES)

    def prepare(key: SlotKey, work: Work) -> None:
        preparer.prepare(work).add_done_callback(lambda avatar: inbox.put(Prepared(key, avatar)))

    def deliver(results: list[Result]) -> None:
        post([*results])

    worker = Worker(engine, prepare, deliver)
    sessions = 0 if head_room is None else measured_sessions(engine, avatar, head_room)
    post([Warm(engine.spec, sessions)])
    try:
        while _take_in(inbox, worker, post, wait=not worker.work()):
            pass
    finally:
        preparer.close()


def _take_in(inbox: Inbox, worker: Worker, post: Post, *, wait: bool) -> bool:
    """Hand the worker all that lies in the inbox; with ``wait``, at least one thing. Return whether to go on."""
    while wait or not inbox.empty():
        match inbox.get():
            case Stop():
                return False
            case Ping():
                post([Alive()])
            case Prepared(key, avatar):
                worker.prepared(key, avatar)
            case command:
                worker.receive(command)
        wait = False
    return True

"""Owns the life of a worker behind any carrier: warm up, measure, then take in, work, take in, work.

The inbox has no bound of its own: sessions bound what they send (buffered audio, one open, one close), and the pool
bounds the sessions.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

from avatar_service.engine.base import Avatar, Engine
from avatar_service.pool.measure import measured_sessions
from avatar_service.pool.messages import Alive, Command, Open, Order, Ping, Result, Unfit, Warm
from avatar_service.pool.preparer import Preparer
from avatar_service.pool.worker import Worker


@dataclass(frozen=True, slots=True)
class Prepared:
    """The preparer is done with what this order asks for."""

    order: Order
    avatar: Future[Avatar]


@dataclass(frozen=True, slots=True)
class Stop:
    """End the worker."""


Inbox: TypeAlias = "queue.SimpleQueue[Command | Ping | Prepared | Stop]"
Answer: TypeAlias = Result | Warm | Unfit | Alive
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

    def prepare(order: Order) -> None:
        asked = order.work if isinstance(order, Open) else order
        avatar = preparer.prepare(asked.portrait, asked.options)
        avatar.add_done_callback(lambda avatar: inbox.put(Prepared(order, avatar)))

    def deliver(results: list[Result]) -> None:
        post([*results])

    worker = Worker(engine, prepare, deliver)
    sessions = 0 if head_room is None else measured_sessions(engine, avatar, head_room)
    post([Warm(engine.spec, sessions)])
    try:
        while _take_in(inbox, worker, post, _patience(worker)):
            pass
    finally:
        preparer.close()


def _patience(worker: Worker) -> float | None:
    """Have the worker work; return the seconds until it must again, ``None`` if only a command makes it."""
    if worker.work(time.monotonic()):
        return 0.0
    now = time.monotonic()
    tick = worker.next_tick(now)
    return None if tick is None else max(0.0, tick - now)


def _take_in(inbox: Inbox, worker: Worker, post: Post, patience_s: float | None) -> bool:
    """Hand the worker all that lies in the inbox; wait so long for the first thing. Return whether to go on."""
    with suppress(queue.Empty):
        thing = inbox.get(timeout=patience_s)
        while _hand_over(thing, worker, post):
            thing = inbox.get_nowait()
        return False
    return True


def _hand_over(thing: Command | Ping | Prepared | Stop, worker: Worker, post: Post) -> bool:
    match thing:
        case Stop():
            return False
        case Ping():
            post([Alive()])
        case Prepared(order, avatar):
            worker.prepared(order, avatar)
        case command:
            worker.receive(command)
    return True

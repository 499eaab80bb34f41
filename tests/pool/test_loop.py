"""The life of a worker, driven through its inbox as any carrier drives it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

from avatar_service.codec.base import Codec, VideoFormat
from avatar_service.engine.base import Engine, Portrait, PrepareOptions
from avatar_service.engine.fake import FakeAvatar, FakeEngine
from avatar_service.pool.loop import Answer, Inbox, Stop, run_worker
from avatar_service.pool.messages import (
    Alive,
    Close,
    Command,
    End,
    Feed,
    Open,
    Opened,
    Ping,
    Rendered,
    SlotKey,
    Warm,
    Work,
)

OLD, NEW = SlotKey(0, 0), SlotKey(0, 1)
WAIT_S = 10.0


class Driven:
    """A worker on a thread, and both ends of its queues.

    Attributes:
        inbox: what the worker takes.
        heard: what was read of its answers.
        ended: done when the worker is.
    """

    def __init__(
        self, thread: ThreadPoolExecutor, create: Callable[[], Engine], first: tuple[Command | Ping, ...]
    ) -> None:
        self.inbox: Inbox = queue.SimpleQueue()
        self.heard: list[Answer] = []
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self.tell(*first)
        self.ended: Future[None] = thread.submit(run_worker, create, self.inbox, self._post, None)

    def _post(self, answers: list[Answer]) -> None:
        for answer in answers:
            self._answers.put(answer)

    def tell(self, *commands: Command | Ping) -> None:
        """Put commands into the inbox."""
        for command in commands:
            self.inbox.put(command)

    def until(self, kind: type, count: int = 1) -> list[Answer]:
        """Return the answers heard, once there are so many of one kind."""
        while sum(isinstance(answer, kind) for answer in self.heard) < count:
            self.heard.append(self._answers.get(timeout=WAIT_S))
        return self.heard


@contextmanager
def driven(create: Callable[[], Engine] = FakeEngine, *first: Command | Ping) -> Iterator[Driven]:
    """Run a worker while the context lasts; ``first`` lies in the inbox before it begins."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        worker = Driven(thread, create, first)
        try:
            yield worker
        finally:
            worker.inbox.put(Stop())
        worker.ended.result(WAIT_S)


def work(photo: bytes) -> Work:
    """Return an order that no reader holds back."""
    return Work(photo, video=(VideoFormat(codec=Codec.JPEG, width=64),), window_frames=10_000)


def speech(key: SlotKey, frames: int) -> list[Command]:
    """Return a whole segment."""
    return [Feed(key, 0, bytes(frames * 1_280), 0.0), End(key, 0, 0.0)]


def test_warm_comes_first(photo: bytes) -> None:
    """Whatever lay in the inbox before; and nothing is measured where no head room is given."""
    with driven(FakeEngine, Ping(), Open(OLD, work(photo)), *speech(OLD, 2)) as worker:
        heard = worker.until(Rendered, 2)
    assert heard[0] == Warm(FakeEngine().spec, 0)
    assert heard[1] == Alive()
    assert [type(answer) for answer in heard[2:]] == [Opened, Rendered, Rendered]


def test_heartbeats_are_answered_between_steps(photo: bytes) -> None:
    """A worker with much to do answers long before it is done."""
    with driven(lambda: FakeEngine(cost_ms=2), Open(OLD, work(photo)), *speech(OLD, 100)) as worker:
        worker.until(Rendered)
        for count in range(1, 4):
            worker.tell(Ping())
            worker.until(Alive, count)
        assert sum(isinstance(answer, Rendered) for answer in worker.heard) < 90
        worker.until(Rendered, 100)


@pytest.mark.parametrize("frames", [0, 5_000], ids=["idle", "busy"])
def test_stop_ends_the_worker(frames: int, photo: bytes) -> None:
    """At once, with nothing to do or in the midst of it."""
    with driven(lambda: FakeEngine(cost_ms=2), Open(OLD, work(photo)), *speech(OLD, frames)) as worker:
        worker.until(Rendered if frames else Opened)
        worker.inbox.put(Stop())
        worker.ended.result(WAIT_S)
        assert sum(isinstance(answer, Rendered) for answer in worker.heard) < 1_000


def test_what_lies_behind_stop_is_not_done(photo: bytes) -> None:
    """The worker takes nothing any more."""
    with driven() as worker:
        worker.until(Warm)
        worker.inbox.put(Stop())
        worker.tell(Ping(), Open(OLD, work(photo)))
        worker.ended.result(WAIT_S)
        assert worker._answers.empty()


def test_a_live_slot_wakes_the_worker_by_itself(photo: bytes) -> None:
    """Nobody says anything, and frames come; heartbeats are answered between them, and stop is obeyed."""
    live = replace(work(photo), live=True)
    with driven(FakeEngine, Open(OLD, live)) as worker:
        worker.until(Rendered, 4)
        worker.tell(Ping())
        worker.until(Alive)
        ticks = [answer.tick for answer in worker.heard if isinstance(answer, Rendered)]
        assert ticks == list(range(len(ticks)))
        assert len(ticks) < 25


class Slow(FakeEngine):
    """Prepares only when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()
        self.may = threading.Event()

    def prepare(self, portrait: Portrait, options: PrepareOptions) -> FakeAvatar:
        """Wait, but for the warm-up."""
        if portrait.shape[0] != self._size:
            self.begun.set()
            assert self.may.wait(WAIT_S)
        return super().prepare(portrait, options)


def test_a_portrait_of_a_closed_slot_is_dropped(photo: bytes) -> None:
    """Its preparation ends after the session has: nobody is told, and the worker goes on."""
    engine = Slow()
    with driven(lambda: engine, Open(OLD, work(photo))) as worker:
        assert engine.begun.wait(WAIT_S)
        worker.tell(Close(OLD), Ping())
        worker.until(Alive)
        engine.may.set()
        worker.tell(Open(NEW, work(photo)), *speech(NEW, 3))
        worker.until(Rendered, 3)
    assert [answer.key for answer in worker.heard[2:]] == [NEW] * 4


def test_a_portrait_of_the_slots_last_user_is_dropped(photo: bytes) -> None:
    """The next user of the slot gets its own avatar, though the other one's comes first."""
    engine = Slow()
    with driven(lambda: engine, Open(OLD, work(photo))) as worker:
        assert engine.begun.wait(WAIT_S)
        worker.tell(Close(OLD), Open(NEW, work(photo)), *speech(NEW, 3), Ping())
        worker.until(Alive)
        engine.may.set()
        worker.until(Rendered, 3)
    assert [(type(answer), answer.key) for answer in worker.heard[2:]] == [(Opened, NEW), *[(Rendered, NEW)] * 3]


def test_preparing_delays_no_frame(photo: bytes) -> None:
    """While one portrait is being prepared, heartbeats and the frames of others go on."""
    engine = Slow()
    engine.may.set()
    with driven(lambda: engine, Open(OLD, work(photo))) as worker:
        worker.until(Opened)
        engine.may.clear()
        engine.begun.clear()
        worker.tell(Open(SlotKey(1, 0), work(photo + b"unseen")))
        assert engine.begun.wait(WAIT_S)
        worker.tell(*speech(OLD, 5), Ping())
        worker.until(Rendered, 5)
        worker.until(Alive)
        engine.may.set()
        worker.until(Opened, 2)


def test_an_engine_that_cannot_be_made_ends_the_worker() -> None:
    """With its own error, before a word is said."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        worker = Driven(thread, lambda: {}["model"], ())
        assert isinstance(worker.ended.exception(WAIT_S), KeyError)
        assert worker._answers.empty()

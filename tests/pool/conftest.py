"""What the pool's tests share: a worker without a thread, whose results pile up."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

import numpy as np
import pytest

from avatar_service.codec.base import Codec, VideoFormat
from avatar_service.engine.base import Avatar, Engine, PrepareOptions
from avatar_service.engine.fake import FakeEngine
from avatar_service.pcm import to_pcm
from avatar_service.picture import decode_picture
from avatar_service.pool.messages import (
    AvatarKey,
    End,
    Feed,
    Keep,
    Open,
    Order,
    Rendered,
    Result,
    SlotKey,
    Work,
)
from avatar_service.pool.worker import Worker

RAW = (VideoFormat(codec=Codec.RAW_RGB),)


class Bench:
    """A worker driven by hand.

    Attributes:
        worker: under test.
        results: delivered so far.
        batches: the same, delivery by delivery.
    """

    def __init__(self, engine: Engine, photo: bytes) -> None:
        self._engine = engine
        self._photo = photo
        self.batches: list[list[Result]] = []
        self.waiting: list[Order] = []
        self.worker = Worker(engine, self.waiting.append, self.batches.append)

    @property
    def results(self) -> list[Result]:
        """All results, in order."""
        return [result for batch in self.batches for result in batch]

    def open(self, index: int, generation: int = 0, *, prepare: bool = True, **fields: object) -> SlotKey:
        """Open a slot; with ``prepare``, its avatar is there at once."""
        key = SlotKey(index, generation)
        usual = {"portrait": self._photo, "video": RAW, "window_frames": 10_000, "window_bytes": 2**40}
        work = Work(**{**usual, **fields})
        self.worker.receive(Open(key, work))
        if prepare:
            self.prepare()
        return key

    def prepare(self) -> None:
        """Make the avatars that are waited for."""
        for order in self.waiting:
            future: Future[Avatar] = Future()
            asked = order.work if isinstance(order, Open) else order
            future.set_result(self._engine.prepare(decode_picture(asked.portrait), asked.options))
            self.worker.prepared(order, future)
        self.waiting.clear()

    def keep(self, avatar_id: str, portrait: bytes) -> AvatarKey:
        """Have an avatar kept."""
        key = AvatarKey(avatar_id)
        self.worker.receive(Keep(key, portrait, PrepareOptions()))
        self.prepare()
        return key

    def feed(self, key: SlotKey, frames: int, *, segment: int = 0, at: float = 0.0, seed: int = 0) -> None:
        """Feed noise for so many frames."""
        samples = np.random.default_rng(seed).uniform(-0.5, 0.5, frames * 640).astype(np.float32)
        self.worker.receive(Feed(key, segment, to_pcm(samples), at))

    def speak(self, key: SlotKey, frames: int, *, segment: int = 0, at: float = 0.0, seed: int = 0) -> None:
        """Feed a whole segment."""
        self.feed(key, frames, segment=segment, at=at, seed=seed)
        self.worker.receive(End(key, segment, at))

    def run(self, steps: int = 10_000, now: float = 0.0) -> int:
        """Work until there is nothing to do, or for so many steps; return the steps made."""
        for step in range(steps):
            if not self.worker.work(now):
                return step
        return steps

    def frames(self, key: SlotKey) -> list[Rendered]:
        """Return what was rendered for a slot."""
        return [result for result in self.results if isinstance(result, Rendered) and result.key == key]


@pytest.fixture
def bench(photo: bytes) -> Callable[..., Bench]:
    """Return what makes a worker driven by hand, with the fake engine or another."""
    return lambda engine=None: Bench(engine or FakeEngine(), photo)

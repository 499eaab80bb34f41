"""Owns admission and placement: who gets a slot, and whose result is whose. Lives on the event loop, never blocks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from avatar_service.engine.base import EngineSpec
from avatar_service.errors import ResourceExhaustedError, UnavailableError
from avatar_service.pool.carrier import Carrier
from avatar_service.pool.messages import (
    Acknowledge,
    Close,
    Command,
    Cut,
    End,
    Failed,
    Feed,
    Open,
    Result,
    SlotKey,
    Work,
)
from avatar_service.pool.slots import SlotTable

_log = logging.getLogger(__name__)

Sink: TypeAlias = Callable[[Result], None]
_RETRY_FULL_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Lease:
    """One session's hold on a slot. Sending never blocks; after ``close`` nothing sent has an effect."""

    key: SlotKey
    _send: Callable[[Command], None]
    _listen: Callable[[SlotKey, Sink], None]
    _release: Callable[[SlotKey], None]

    def open(self, work: Work, sink: Sink) -> None:
        """Have the portrait prepared and the slot furnished; ``sink`` is called on the event loop with each result."""
        self._listen(self.key, sink)
        self._send(Open(self.key, work))

    def feed(self, segment: int, samples: NDArray[np.float32], arrived: float) -> None:
        """Add audio to a segment: 16 kHz mono float32 ``[n]``."""
        self._send(Feed(self.key, segment, samples, arrived))

    def end(self, segment: int, arrived: float) -> None:
        """Have the segment's last frames made."""
        self._send(End(self.key, segment, arrived))

    def cut(self, segments: Iterable[int]) -> None:
        """Have no more frames made of these segments."""
        self._send(Cut(self.key, frozenset(segments)))

    def acknowledge(self, frames: int) -> None:
        """The client has read, or will never get, this many frames."""
        self._send(Acknowledge(self.key, frames))

    def close(self) -> None:
        """Free the slot at once; closing twice is harmless."""
        self._release(self.key)


class Pool:
    """One worker and its slots.

    Args:
        carrier: of the worker, not yet started.
        capacity: sessions served at once.
    """

    def __init__(self, carrier: Carrier, capacity: int) -> None:
        self._carrier = carrier
        self._slots = SlotTable(capacity)
        self._sinks: dict[SlotKey, Sink] = {}
        self._spec: EngineSpec | None = None
        self._warm = False
        self._draining = False
        self._emptied = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Pool {self._slots!r}{', draining' if self._draining else ''}>"

    @property
    def spec(self) -> EngineSpec:
        """What the engine declares; known once the pool has started."""
        assert self._spec is not None, "the pool has not started"
        return self._spec

    @property
    def capacity(self) -> int:
        """Sessions served at once."""
        return self._slots.capacity

    @property
    def free(self) -> int:
        """Sessions that would be admitted now."""
        return self._slots.free if self.serving else 0

    @property
    def sessions(self) -> int:
        """Sessions being served."""
        return self._slots.taken

    @property
    def serving(self) -> bool:
        """Whether a new session would find a warm worker."""
        return self._warm and not self._draining

    async def start(self) -> None:
        """Start the worker; return once it is warm."""
        self._spec = await self._carrier.start(self._deliver, self._lost)
        self._warm = True

    async def drain(self, grace_s: float) -> None:
        """Admit nobody any more; return when the running sessions are over, or after ``grace_s``."""
        self._draining = True
        if self._slots.taken:
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self._emptied.wait()

    async def stop(self) -> None:
        """End the worker."""
        self._draining = True
        await self._carrier.stop()

    def admit(self) -> Lease:
        """Take a slot, at once or never.

        Raises:
            UnavailableError: ``DRAINING`` or ``NOT_READY``.
            ResourceExhaustedError: ``POOL_FULL``.
        """
        if self._draining:
            raise UnavailableError("DRAINING", "this server is shutting down; connect again", retry_after_s=1.0)
        if not self._warm:
            raise UnavailableError("NOT_READY", "the engine is not ready; try again", retry_after_s=1.0)
        key = self._slots.acquire()
        if key is None:
            msg = f"all {self.capacity} sessions of this server are taken; try again later"
            raise ResourceExhaustedError("POOL_FULL", msg, retry_after_s=_RETRY_FULL_S)
        return Lease(key, self._carrier.send, self._sinks.__setitem__, self._release)

    def _release(self, key: SlotKey) -> None:
        if self._slots.is_current(key):
            self._sinks.pop(key, None)
            self._slots.release(key)
            self._carrier.send(Close(key))
            if self._draining and not self._slots.taken:
                self._emptied.set()

    def _deliver(self, results: list[Result]) -> None:
        for result in results:
            sink = self._sinks.get(result.key)
            if sink is not None:
                sink(result)

    def _lost(self) -> None:
        """Tell every session that the worker is gone, and serve nobody any more."""
        _log.critical("the worker ended unexpectedly")
        self._warm = False
        error = UnavailableError("WORKER_LOST", "the engine stopped; connect again", retry_after_s=1.0)
        for key, sink in list(self._sinks.items()):
            sink(Failed(key, error))

"""Owns the place of one worker: its slots, whose result is whose, its heartbeat, and its replacement.

A seat outlives its workers. Whoever had a slot when a worker was lost is told; the slot itself is freed by its own
session, so no slot is ever given out twice.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

from avatar_service.engine.base import EngineSpec
from avatar_service.errors import AvatarError, UnavailableError
from avatar_service.pool.carrier import END_WITHIN_S, Carrier
from avatar_service.pool.loop import Answer
from avatar_service.pool.messages import (
    Alive,
    AvatarKey,
    Close,
    Command,
    Failed,
    Halve,
    Keep,
    Ping,
    Result,
    SlotKey,
    Unfit,
    Warm,
)
from avatar_service.pool.slots import SlotTable

_log = logging.getLogger(__name__)

Sink: TypeAlias = Callable[[Result], None]

HEARTBEAT_S: Final = 0.5
HUNG_AFTER_BEATS: Final = 4
"""Beats in a row that went unanswered, of an engine whose steps take milliseconds: this is no step but a standstill.

Beats are counted, not seconds, so that a stall of our own event loop is not taken for one of the worker's; and each by
what the worker had of it, so that a machine with too much to do is not either: its workers would be ended one by one,
and their replacements would make it worse.
"""
_PAUSE_S: Final = (0.0, 0.5, 1.0, 2.0, 5.0)
"""Before each new try to replace a worker; the last one goes on."""
_SIGNS_OF_LIFE: Final = (Warm, Unfit, Alive)
"""Answers that are meant for no session."""


class Seat:
    """One worker after another, and the slots that they serve.

    Args:
        create_carrier: makes a carrier, not yet started.
        capacity: slots; 0 for as many as the first worker measures.
        changed: called when the seat starts or ceases to serve.
        replaced: called when it serves again, with another worker.
    """

    def __init__(
        self,
        create_carrier: Callable[[], Carrier],
        capacity: int,
        changed: Callable[[], None],
        replaced: Callable[[Seat], None],
    ) -> None:
        self._create_carrier = create_carrier
        self._capacity = capacity
        self._changed = changed
        self._replaced = replaced
        self._carrier: Carrier | None = None
        self._up = False
        self._slots: SlotTable | None = None
        self._spec: EngineSpec | None = None
        self._sinks: dict[SlotKey | AvatarKey, Sink] = {}
        self._answered = False
        self._halving = False
        self._watching: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Seat {'up' if self.serving else 'down'}, {self._slots!r}>"

    @property
    def serving(self) -> bool:
        """Whether its worker is warm and alive."""
        return self._up

    @property
    def spec(self) -> EngineSpec:
        """What the engine declares; known once the seat has started."""
        assert self._spec is not None, "the seat has not started"
        return self._spec

    @property
    def slots(self) -> SlotTable:
        """The slots; known once the seat has started."""
        assert self._slots is not None, "the seat has not started"
        return self._slots

    @property
    def free(self) -> int:
        """Sessions that it would take now."""
        return self.slots.free if self.serving else 0

    async def start(self) -> None:
        """Start the first worker, and watch over it and those that follow.

        Raises:
            Exception: what keeps the first worker from getting warm.
        """
        carrier, warm = await self._started()
        self._spec = warm.spec
        self._slots = SlotTable(self._capacity or warm.sessions)
        self._come_up()
        self._watching = asyncio.create_task(self._watch(carrier))

    async def stop(self) -> None:
        """End the watch, and the worker in whatever state it is."""
        self._up = False
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        if self._carrier is not None:
            await self._carrier.stop()

    def has_room(self, *, degradable: bool) -> bool:
        """Say whether it would take another session."""
        return self.serving and self.slots.has_room(degradable=degradable)

    def acquire(self, *, degradable: bool = False) -> SlotKey | None:
        """Return the key of a free slot, or ``None``; the degradable share what is left, from the next frame on."""
        key = self.slots.acquire(degradable=degradable) if self.serving else None
        self._share_out()
        return key

    def listen(self, key: SlotKey | AvatarKey, sink: Sink) -> None:
        """Have the results for ``key`` go to ``sink``; it is told at once if there is no worker any more."""
        if self.serving:
            self._sinks[key] = sink
        else:
            sink(Failed(key, _lost()))

    def send(self, command: Command) -> None:
        """Hand a command to the worker; without one it goes nowhere, and its session knows."""
        if self._up and self._carrier is not None:
            self._carrier.send(command)

    def ask(self, order: Keep, sink: Sink) -> None:
        """Have the worker keep an avatar; ``sink`` is told once how that went."""
        self.listen(order.key, sink)
        self.send(order)

    def release(self, key: SlotKey) -> None:
        """Free the slot at once; a second time changes nothing."""
        if self.slots.is_current(key):
            self._sinks.pop(key, None)
            self.slots.release(key)
            self.send(Close(key))
            self._share_out()

    def _share_out(self) -> None:
        """Tell the worker if the degradable sessions are to be content with half, or no more."""
        if self._halving is not self.slots.is_crowded:
            self._halving = self.slots.is_crowded
            self.send(Halve(self._halving))

    def dismiss(self, error: AvatarError) -> None:
        """Tell every session, once, that it is over, and why."""
        sinks, self._sinks = self._sinks, {}
        for key, sink in sinks.items():
            sink(Failed(key, error))

    # Workers come and go ---------------------------------------------------------------------------------------

    async def _started(self) -> tuple[Carrier, Warm]:
        carrier = self._carrier = self._create_carrier()
        return carrier, await carrier.start(partial(self._deliver, carrier))

    def _deliver(self, carrier: Carrier, answers: list[Answer]) -> None:
        if not self._up or carrier is not self._carrier:
            return  # a worker that was given up on has come back to life
        self._answered = True
        for answer in answers:
            if isinstance(answer, _SIGNS_OF_LIFE):
                continue
            key = answer.key
            sink = self._sinks.pop(key, None) if isinstance(key, AvatarKey) else self._sinks.get(key)
            if sink is not None:
                sink(answer)

    def _come_up(self) -> None:
        self._up = True
        self._halving = False
        self._share_out()
        self._changed()

    def _go_down(self) -> None:
        self._up = False
        self._changed()
        self.dismiss(_lost())

    async def _watch(self, carrier: Carrier) -> None:
        """Replace the worker whenever it is lost, for as long as the seat exists."""
        while True:
            hangs = await self._until_lost(carrier)
            self._go_down()
            await carrier.stop(patience_s=0.0 if hangs else END_WITHIN_S)
            carrier = await self._replacement()
            self._come_up()
            self._replaced(self)
            _log.warning("a worker was replaced")

    async def _until_lost(self, carrier: Carrier) -> bool:
        """Return when the worker has ended or has been silent for too long; say whether it hangs."""
        ended = asyncio.create_task(carrier.ended())
        patience = max(HUNG_AFTER_BEATS, math.ceil(self.spec.step_within_s / HEARTBEAT_S))
        unanswered = 0.0
        try:
            while not ended.done():
                if unanswered >= patience:
                    _log.error("a worker hangs: it left %d heartbeats unanswered", patience)
                    return True
                self._answered = False
                carrier.send(Ping())
                await asyncio.wait({ended}, timeout=HEARTBEAT_S)
                share = carrier.share()
                unanswered = 0.0 if self._answered else unanswered + share
            _log.error("a worker ended unexpectedly")
            return False
        finally:
            ended.cancel()

    async def _replacement(self) -> Carrier:
        tries = 0
        while True:
            await asyncio.sleep(_PAUSE_S[min(tries, len(_PAUSE_S) - 1)])
            [outcome] = await asyncio.gather(self._started(), return_exceptions=True)
            if not isinstance(outcome, BaseException):
                return outcome[0]
            tries += 1
            _log.error("a worker could not be replaced, try %d", tries, exc_info=outcome)


def _lost() -> UnavailableError:
    return UnavailableError("WORKER_LOST", "the engine stopped and is being replaced; connect again", retry_after_s=1.0)

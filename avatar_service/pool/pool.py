"""Owns admission and placement: who gets a slot, and of which worker. Lives on the event loop, never blocks."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from avatar_service.config import Settings
from avatar_service.engine.base import Controls, EngineSpec, PrepareOptions
from avatar_service.errors import ResourceExhaustedError, UnavailableError
from avatar_service.pcm import Pcm
from avatar_service.pool.appointments import Appointments
from avatar_service.pool.avatars import Avatars, KeptAvatar, not_ready
from avatar_service.pool.carrier import Carrier
from avatar_service.pool.messages import (
    Acknowledge,
    AvatarKey,
    Command,
    Control,
    Cut,
    End,
    Feed,
    Open,
    SlotKey,
    Switch,
    Work,
)
from avatar_service.pool.seat import Seat, Sink
from avatar_service.pool.snapshot import Resumption

_DEFAULTS: Final = Settings()


@dataclass(frozen=True, slots=True)
class Lease:
    """One session's hold on a slot. Sending never blocks; after ``close`` nothing sent has an effect."""

    key: SlotKey
    _send: Callable[[Command], None]
    _listen: Callable[[SlotKey, Sink], None]
    _release: Callable[[SlotKey], None]
    find: Callable[[str], KeptAvatar]
    """Returns the avatar of an id, or raises ``NotFoundError``."""

    def open(self, work: Work, sink: Sink, resumption: Resumption | None = None) -> None:
        """Have the portrait prepared and the slot furnished; ``sink`` is called on the event loop with each result.

        Args:
            work: what is asked for.
            sink: takes the results.
            resumption: what to go on from; nothing for a new session.
        """
        self._listen(self.key, sink)
        self._send(Open(self.key, work, resumption))

    def noted(self, note: Callable[[Command], None]) -> Lease:
        """Return this hold as one that notes each command before it is sent."""

        def send(command: Command) -> None:
            note(command)
            self._send(command)

        return replace(self, _send=send)

    def tell(self, commands: Iterable[Command]) -> None:
        """Send commands as they are; they must be for this slot."""
        for command in commands:
            self._send(command)

    def feed(self, segment: int, pcm: Pcm, arrived: float) -> None:
        """Add audio to a segment."""
        self._send(Feed(self.key, segment, pcm, arrived))

    def end(self, segment: int, arrived: float) -> None:
        """Have the segment's last frames made."""
        self._send(End(self.key, segment, arrived))

    def cut(self, segments: Iterable[int]) -> None:
        """Have no more frames made of these segments."""
        self._send(Cut(self.key, frozenset(segments)))

    def control(
        self,
        controls: Controls | None = None,
        *,
        bitrate_kbps: int | None = None,
        keyframe: bool = False,
        paused: bool | None = None,
    ) -> None:
        """Change how the avatar looks or how its video is encoded; ``None`` leaves a thing as it is."""
        self._send(Control(self.key, controls, bitrate_kbps, keyframe, paused))

    def switch(self, avatar_id: str) -> None:
        """Show another avatar from the next frame made on; ``sink`` hears ``Unswitched`` if it cannot be.

        Raises:
            NotFoundError: ``AVATAR_UNKNOWN``.
        """
        self._send(Switch(self.key, AvatarKey(self.find(avatar_id).id)))

    def acknowledge(self, frames: int) -> None:
        """The client has read, or will never get, this many frames."""
        self._send(Acknowledge(self.key, frames))

    def close(self) -> None:
        """Free the slot at once; closing twice is harmless."""
        self._release(self.key)


class Pool:
    """Workers and their slots.

    Args:
        create_carriers: each makes the carriers of one worker, the first and its replacements.
        capacity: sessions served at once, at least one a worker; 0 for as many as the workers measure.
        max_avatars: avatars that may be kept.
        max_avatar_bytes: what they may hold together.
    """

    def __init__(
        self,
        create_carriers: Sequence[Callable[[], Carrier]],
        capacity: int,
        max_avatars: int = _DEFAULTS.max_avatars,
        max_avatar_bytes: int = _DEFAULTS.max_avatar_bytes,
    ) -> None:
        shares = _shares(capacity, len(create_carriers))
        self._changed = asyncio.Event()
        self._seats = [
            Seat(create, share, self._changed.set, self._replaced)
            for create, share in zip(create_carriers, shares, strict=True)
        ]
        self.avatars: Final = Avatars(self._seats, max_avatars, max_avatar_bytes)
        self._started = False
        self._draining = False
        self._emptied = asyncio.Event()
        self._appointments = Appointments()

    def __repr__(self) -> str:
        return f"<Pool {self._seats!r}{', draining' if self._draining else ''}>"

    @property
    def spec(self) -> EngineSpec:
        """What the engine declares; known once the pool has started."""
        return self._seats[0].spec

    @property
    def capacity(self) -> int:
        """Sessions served at once."""
        return sum(seat.slots.capacity for seat in self._seats)

    @property
    def free(self) -> int:
        """Sessions that would be admitted now, none of them degradable."""
        return sum(seat.free for seat in self._seats) if self.serving else 0

    @property
    def sessions(self) -> int:
        """Sessions being served."""
        return sum(seat.slots.taken for seat in self._seats)

    @property
    def serving(self) -> bool:
        """Whether there is a warm worker for new sessions."""
        return self._started and not self._draining and any(seat.serving for seat in self._seats)

    async def changed(self) -> None:
        """Return when ``serving`` may have changed since the last call."""
        await self._changed.wait()
        self._changed.clear()

    async def start(self) -> None:
        """Start the workers, all at once; return when they are warm.

        Raises:
            Exception: what keeps one of them from getting warm.
        """
        starts = [asyncio.create_task(seat.start()) for seat in self._seats]
        await asyncio.wait(starts)
        errors = [error for start in starts if (error := start.exception()) is not None]
        if errors:
            raise errors[0]
        self._started = True
        self._changed.set()

    async def drain(self, grace_s: float) -> None:
        """Admit nobody any more; return when the running sessions are over.

        Those that still run after ``grace_s`` are told to connect again.
        """
        self._draining = True
        self._changed.set()
        if self.sessions:
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self._emptied.wait()
                return
            for seat in self._seats:
                seat.dismiss(draining())

    async def stop(self) -> None:
        """End the workers."""
        self._draining = True
        await asyncio.gather(*(seat.stop() for seat in self._seats))

    def check_room(self, *, degradable: bool = True) -> list[Seat]:
        """Return the seats that have room for a session; by default for the most modest one.

        Raises:
            UnavailableError: ``DRAINING`` or ``NOT_READY``.
            ResourceExhaustedError: ``POOL_FULL``, with an appointment.
        """
        self._check_serving()
        seats = [seat for seat in self._seats if seat.has_room(degradable=degradable)]
        if not seats:
            msg = f"this server is full: it serves {self.capacity} at once; try again later"
            wait_s = self._appointments.next(time.monotonic(), random.random())  # noqa: S311 - spreads callers
            raise ResourceExhaustedError("POOL_FULL", msg, retry_after_s=wait_s)
        return seats

    def admit(self, *, degradable: bool = False) -> Lease:
        """Take a slot of the least loaded worker, at once or never.

        Args:
            degradable: take half a place, if need be.

        Raises:
            AvatarError: as ``check_room``.
        """
        seat = max(self.check_room(degradable=degradable), key=lambda seat: seat.slots.spare)
        key = seat.acquire(degradable=degradable)
        assert key is not None, "there is room"
        return Lease(key, seat.send, seat.listen, partial(self._release, seat), self.avatars.find)

    async def create_avatar(
        self, portrait: bytes, options: PrepareOptions, *, display_name: str, within_s: float
    ) -> KeptAvatar:
        """Have an avatar kept, as ``Avatars.create``, while new sessions would be admitted, too.

        Raises:
            AvatarError: as there, and ``DRAINING``.
        """
        self._check_serving()
        return await self.avatars.create(portrait, options, display_name=display_name, within_s=within_s)

    def _check_serving(self) -> None:
        if self._draining:
            raise draining()
        if not self.serving:
            raise not_ready()

    def _replaced(self, seat: Seat) -> None:
        self.avatars.restore(seat)

    def _release(self, seat: Seat, key: SlotKey) -> None:
        seat.release(key)
        if self._draining and not self.sessions:
            self._emptied.set()


def draining() -> UnavailableError:
    """Return what a server that is about to end says to whoever wants a session."""
    return UnavailableError("DRAINING", "this server is shutting down; connect again", retry_after_s=1.0)


def _shares(capacity: int, seats: int) -> list[int]:
    """Split a fixed capacity over the seats as evenly as it goes."""
    return [(capacity + number) // seats for number in range(seats)]

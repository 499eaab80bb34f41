"""Owns the avatars that are kept by name: prepared ahead on every worker, and again on one that replaces another.

They live in memory alone, within a bound on their number and one on their bytes. An id cannot be guessed, so it is all
the permission there is.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from avatar_service.engine.base import Notice, PrepareOptions
from avatar_service.errors import NotFoundError, ResourceExhaustedError, UnavailableError
from avatar_service.pool.messages import AvatarKey, Discard, Failed, Keep, Kept, Result
from avatar_service.pool.seat import Seat

_ID_BYTES: Final = 24
_MOST_WAITING: Final = 8
"""Creations that wait for their turn; each holds a picture of up to 10 MiB."""
_RETRY_BUSY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class KeptAvatar:
    """An avatar that is kept.

    Attributes:
        id: minted here.
        display_name: as its creator calls it.
        portrait: the picture file as received.
        options: how it became an avatar.
        frame_size: width and height of its frames, in pixels.
        notices: what the caller should know about the portrait.
        nbytes: what it holds: the picture, and what a worker makes of it.
        created: when.
    """

    id: str
    display_name: str
    portrait: bytes
    options: PrepareOptions
    frame_size: tuple[int, int]
    notices: tuple[Notice, ...]
    nbytes: int
    created: datetime


class Avatars:
    """The avatars of one pool.

    Args:
        seats: of its workers.
        most: avatars that may be kept.
        most_bytes: what they may hold together, as ``KeptAvatar.nbytes`` counts.
    """

    def __init__(self, seats: Sequence[Seat], most: int, most_bytes: int) -> None:
        self._seats = seats
        self._most = most
        self._most_bytes = most_bytes
        self._kept: dict[str, KeptAvatar] = {}
        self._turn = asyncio.Lock()
        self._waiting = 0

    def __repr__(self) -> str:
        return f"<Avatars {len(self._kept)} of {self._most} kept>"

    def __iter__(self) -> Iterator[KeptAvatar]:
        """Yield them, the oldest first."""
        return iter(self._kept.values())

    def find(self, avatar_id: str) -> KeptAvatar:
        """Return the avatar of this id.

        Raises:
            NotFoundError: ``AVATAR_UNKNOWN``.
        """
        kept = self._kept.get(avatar_id)
        if kept is None:
            raise NotFoundError(
                "AVATAR_UNKNOWN", "there is no avatar of this id: it was deleted, or the server began anew"
            )
        return kept

    def delete(self, avatar_id: str) -> None:
        """Keep an avatar no longer; sessions that show it go on.

        Raises:
            NotFoundError: ``AVATAR_UNKNOWN``.
        """
        del self._kept[self.find(avatar_id).id]
        self._discard(AvatarKey(avatar_id))

    async def create(
        self, portrait: bytes, options: PrepareOptions, *, display_name: str = "", within_s: float
    ) -> KeptAvatar:
        """Have every worker prepare a portrait, and keep it under a new id.

        One is prepared at a time, so a session's own portrait waits for one at the most.

        Args:
            portrait: a picture file.
            options: how it becomes an avatar.
            display_name: for people.
            within_s: how long that may take.

        Raises:
            ResourceExhaustedError: ``AVATARS_FULL`` or ``AVATARS_BUSY``.
            UnavailableError: ``NOT_READY``, ``PREPARE_TIMEOUT`` or ``WORKER_LOST``.
            AvatarError: what is wrong with the portrait.
        """
        if self._waiting >= _MOST_WAITING:
            msg = "too many avatars are being prepared; try again"
            raise ResourceExhaustedError("AVATARS_BUSY", msg, retry_after_s=_RETRY_BUSY_S)
        self._waiting += 1
        try:
            async with asyncio.timeout(within_s), self._turn:
                return await self._create(portrait, options, display_name)
        except TimeoutError:
            raise UnavailableError("PREPARE_TIMEOUT", "the portrait could not be prepared in time; try again") from None
        finally:
            self._waiting -= 1

    def restore(self, seat: Seat) -> None:
        """Have a new worker prepare all that is kept: one by one, so that sessions come between."""
        missing = deque(self._kept)

        def go_on(result: Result | None = None) -> None:
            if isinstance(result, Failed) and not seat.serving:
                return
            while missing:
                kept = self._kept.get(missing.popleft())
                if kept is not None:
                    seat.ask(Keep(AvatarKey(kept.id), kept.portrait, kept.options), go_on)
                    return

        go_on()

    async def _create(self, portrait: bytes, options: PrepareOptions, display_name: str) -> KeptAvatar:
        self._check_room(len(portrait))
        order = Keep(AvatarKey(secrets.token_urlsafe(_ID_BYTES)), portrait, options)
        # One worker first: a portrait that is its end shall not be that of all.
        present = sorted((seat for seat in self._seats if seat.serving), key=lambda seat: -seat.free)
        absent = [seat for seat in self._seats if not seat.serving]
        if not present:
            raise not_ready()
        with ExitStack() as undoing:
            undoing.callback(self._discard, order.key)
            made = await _kept(order, present[:1])
            nbytes = made.nbytes + len(portrait)
            self._check_room(nbytes)
            if present[1:]:
                await _kept(order, present[1:])
            undoing.pop_all()
        for seat in absent:
            seat.send(order)
        kept = self._kept[order.key.avatar_id] = KeptAvatar(
            id=order.key.avatar_id,
            display_name=display_name,
            portrait=portrait,
            options=options,
            frame_size=made.frame_size,
            notices=made.notices,
            nbytes=nbytes,
            created=datetime.now(UTC),
        )
        return kept

    def _check_room(self, nbytes: int) -> None:
        if len(self._kept) >= self._most:
            msg = f"this server keeps {len(self._kept)} avatars, as many as it may; delete one that is not needed"
            raise ResourceExhaustedError("AVATARS_FULL", msg)
        if sum(kept.nbytes for kept in self._kept.values()) + nbytes > self._most_bytes:
            msg = f"the avatars would hold more than {self._most_bytes >> 20} MiB; delete some, or use smaller pictures"
            raise ResourceExhaustedError("AVATARS_FULL", msg)

    def _discard(self, key: AvatarKey) -> None:
        for seat in self._seats:
            seat.send(Discard(key))


def not_ready() -> UnavailableError:
    """Return the error of asking while no worker is there."""
    return UnavailableError("NOT_READY", "no engine is ready; try again", retry_after_s=1.0)


async def _kept(order: Keep, seats: Sequence[Seat]) -> Kept:
    """Return what the last of these workers says of the avatar, or raise what the first of them that fails says."""
    answer: asyncio.Future[Kept] = asyncio.get_running_loop().create_future()
    owing = len(seats)

    def take(result: Result) -> None:
        nonlocal owing
        owing -= 1
        if answer.done():
            return
        if isinstance(result, Failed):
            answer.set_exception(result.error)
        elif isinstance(result, Kept) and not owing:
            answer.set_result(result)

    for seat in seats:
        seat.ask(order, take)
    return await answer

"""Owns which sessions there are: their ids, and their end by disuse or for want of disk."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from avatar_service.errors import NotFoundError
from avatar_service.gateway.order import Order
from avatar_service.gateway.session import Session

if TYPE_CHECKING:
    from avatar_client import AvatarClient

    from avatar_service.config import GatewaySettings
    from avatar_service.gateway.doors import Doors
    from avatar_service.gateway.store import Store

_ID_BYTES: Final = 24
_REMEMBERED_S: Final = 3600.0
_REMEMBERED: Final = 10_000
_LINGER_S: Final = 60.0
"""How long the files of a session that was ended by disuse stay, so that its viewers see the end of the playlist."""


class Sessions:
    """All sessions of one gateway.

    Args:
        client: of the service.
        store: for the takes.
        doors: that they come in by.
        settings: bounds.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        client: AvatarClient,
        store: Store,
        doors: Doors,
        settings: GatewaySettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._store = store
        self._doors = doors
        self._settings = settings
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._ended: dict[str, float] = {}

    async def create(self, order: Order, portrait: bytes, *, is_paced: bool = True) -> Session:
        """Return a new session that has a slot of the service.

        Raises:
            AvatarError: as ``Doors.enter``.
            AvatarRpcError: if the service refuses.
            OSError: if the disk is full.
        """
        self._doors.enter()
        async with AsyncExitStack() as undoing:
            undoing.callback(self._doors.leave)
            folder = self._store.new_folder()
            undoing.callback(folder.delete)
            session_id = secrets.token_urlsafe(_ID_BYTES)
            session = Session(session_id, order, folder, self._client, self._settings, is_paced=is_paced)
            undoing.push_async_callback(session.close)
            await session.open(portrait)
            self._sessions[session.id] = session
            undoing.pop_all()
        return session

    def get(self, session_id: str) -> Session:
        """Return the session ``session_id``.

        Raises:
            NotFoundError: ``SESSION_ENDED`` within an hour of its end, else ``SESSION_UNKNOWN``.
        """
        if (session := self._sessions.get(session_id)) is not None:
            return session
        if session_id in self._ended:
            raise NotFoundError("SESSION_ENDED", "the session has ended and its files are deleted")
        raise NotFoundError("SESSION_UNKNOWN", "there is no such session")

    async def delete(self, session_id: str) -> None:
        """End a session and delete its files.

        Raises:
            NotFoundError: as ``get``.
        """
        session = self.get(session_id)
        del self._sessions[session_id]
        self._ended[session_id] = self._clock()
        self._doors.leave()
        await session.close()
        session.folder.delete()

    async def sweep(self) -> None:
        """End what is not used any more, and delete what the disk has no room for."""
        now = self._clock()
        for session in list(self._sessions.values()):
            unused_s = now - session.touched_s
            if unused_s > self._settings.inactive_s + _LINGER_S:
                await self.delete(session.id)
            elif unused_s > self._settings.inactive_s:
                await session.abandon()
        await self._make_room()
        forgotten = [id_ for id_, at in self._ended.items() if now - at > _REMEMBERED_S]
        for id_ in forgotten + list(self._ended)[: max(0, len(self._ended) - _REMEMBERED)]:
            self._ended.pop(id_, None)

    async def _make_room(self) -> None:
        """Delete takes that are over, oldest end first, until all fit."""
        over = sorted((each for each in self._sessions.values() if each.is_over), key=lambda each: each.touched_s)
        for session in over:
            if sum(each.folder.size for each in self._sessions.values()) <= self._settings.store_bytes:
                break
            await self.delete(session.id)

    @property
    def are_playing(self) -> bool:
        """Whether anything that was fed is not yet made and published."""
        return any(session.is_playing for session in self._sessions.values())

    async def end_streams(self) -> None:
        """End the streams that go on by themselves, for whoever watches them too; their files stay."""
        for session in list(self._sessions.values()):
            if session.order.is_live:
                await session.close()

    async def close(self) -> None:
        """End all sessions."""
        for id_ in list(self._sessions):
            await self.delete(id_)

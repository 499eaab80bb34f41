"""Owns which sessions there are: their ids, their number, and their end by disuse or for want of disk."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from avatar_service.errors import NotFoundError, ResourceExhaustedError, UnavailableError
from avatar_service.gateway.order import Order
from avatar_service.gateway.session import Session

if TYPE_CHECKING:
    from avatar_client import AvatarClient

    from avatar_service.config import GatewaySettings
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
        settings: bounds.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        client: AvatarClient,
        store: Store,
        settings: GatewaySettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._store = store
        self._settings = settings
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._opening = 0
        self._is_draining = False
        self._ended: dict[str, float] = {}

    async def create(self, order: Order, portrait: bytes, *, is_paced: bool = True) -> Session:
        """Return a new session that has a slot of the service.

        Raises:
            UnavailableError: ``DRAINING``.
            ResourceExhaustedError: ``TOO_MANY_SESSIONS``.
            AvatarRpcError: if the service refuses.
            OSError: if the disk is full.
        """
        if self._is_draining:
            raise UnavailableError("DRAINING", "this server is shutting down; try again", retry_after_s=1.0)
        if len(self._sessions) + self._opening >= self._settings.max_sessions:
            msg = "there are as many sessions as there may be; delete one, or try again later"
            raise ResourceExhaustedError("TOO_MANY_SESSIONS", msg, retry_after_s=30.0)
        self._opening += 1
        folder = self._store.new_folder()
        try:
            session_id = secrets.token_urlsafe(_ID_BYTES)
            session = Session(session_id, order, folder, self._client, self._settings, is_paced=is_paced)
            try:
                await session.open(portrait)
            except BaseException:
                await session.close()
                raise
        except BaseException:
            folder.delete()
            raise
        finally:
            self._opening -= 1
        self._sessions[session.id] = session
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

    def drain(self) -> None:
        """Open no session any more."""
        self._is_draining = True

    @property
    def are_playing(self) -> bool:
        """Whether anything that was fed is not yet made and published."""
        return any(session.is_playing for session in self._sessions.values())

    async def close(self) -> None:
        """End all sessions."""
        for id_ in list(self._sessions):
            await self.delete(id_)

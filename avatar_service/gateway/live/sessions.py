"""Owns which live sessions there are: their ids, and their end when nobody watches or the service ended them."""

from __future__ import annotations

import secrets
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from avatar_service.errors import NotFoundError
from avatar_service.gateway.live.session import LiveSession

if TYPE_CHECKING:
    from avatar_client import AvatarClient

    from avatar_service.config import GatewaySettings
    from avatar_service.gateway.doors import Doors
    from avatar_service.gateway.order import Order

_ID_BYTES: Final = 24
_REMEMBERED: Final = 10_000


class LiveSessions:
    """All live sessions of one gateway.

    Args:
        client: of the service.
        doors: that they come in by.
        settings: bounds.
    """

    def __init__(self, client: AvatarClient, doors: Doors, settings: GatewaySettings) -> None:
        self._client = client
        self._doors = doors
        self._settings = settings
        self._sessions: dict[str, LiveSession] = {}
        self._ended: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    async def create(self, order: Order, portrait: bytes) -> LiveSession:
        """Return a new session that has a slot of the service.

        Raises:
            AvatarError: as ``Doors.enter``.
            AvatarRpcError: if the service refuses.
        """
        self._doors.enter()
        with ExitStack() as undoing:
            undoing.callback(self._doors.leave)
            session = LiveSession(secrets.token_urlsafe(_ID_BYTES), order, self._client, self._settings.resume_s)
            await session.open(portrait)
            self._sessions[session.id] = session
            undoing.pop_all()
        return session

    def get(self, session_id: str) -> LiveSession:
        """Return the session ``session_id``.

        Raises:
            NotFoundError: ``SESSION_ENDED`` if it was one of the last ten thousand, else ``SESSION_UNKNOWN``.
        """
        session = self._sessions.get(session_id)
        if session is not None and not session.ended.is_set():
            return session
        if session is not None or session_id in self._ended:
            raise NotFoundError("SESSION_ENDED", "the session has ended")
        raise NotFoundError("SESSION_UNKNOWN", "there is no such session")

    async def delete(self, session_id: str) -> None:
        """End a session.

        Raises:
            NotFoundError: as ``get``.
        """
        await self._end(self.get(session_id))

    async def sweep(self) -> None:
        """End what nobody watches, and forget what the service ended."""
        now = time.monotonic()
        for session in list(self._sessions.values()):
            is_left = session.unwatched_s is not None and now - session.unwatched_s > self._settings.unwatched_s
            if is_left or session.ended.is_set():
                await self._end(session)

    async def close(self) -> None:
        """End all sessions."""
        for session in list(self._sessions.values()):
            await self._end(session)

    async def _end(self, session: LiveSession) -> None:
        if self._sessions.pop(session.id, None) is None:
            return
        self._doors.leave()
        self._ended[session.id] = None
        while len(self._ended) > _REMEMBERED:
            del self._ended[next(iter(self._ended))]
        await session.close()

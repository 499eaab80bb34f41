"""Owns who is who: the running sessions by id, and the ids of those that ended lately. Pure: time is an argument.

An id is known to whoever was told it and cannot be guessed, so it is all the permission there is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, Generic, TypeVar

from avatar_service.errors import NotFoundError

_REMEMBERED_S: Final = 3600.0
_REMEMBERED_IDS: Final = 10_000

S = TypeVar("S")


class Registry(Generic[S]):
    """The sessions of one server."""

    def __init__(self) -> None:
        self._running: dict[str, S] = {}
        self._ended: OrderedDict[str, float] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Registry {len(self._running)} running, {len(self._ended)} ended>"

    @property
    def running(self) -> Iterable[S]:
        """The sessions that are not over."""
        return self._running.values()

    def add(self, session_id: str, session: S) -> None:
        """A session began."""
        self._running[session_id] = session

    def remove(self, session_id: str, now: float) -> None:
        """It is over; its id stays known for an hour, or until too many others have ended since."""
        del self._running[session_id]
        self._ended[session_id] = now
        while self._ended and (
            len(self._ended) > _REMEMBERED_IDS or now - next(iter(self._ended.values())) > _REMEMBERED_S
        ):
            self._ended.popitem(last=False)

    def find(self, session_id: str, now: float) -> S:
        """Return a running session.

        Raises:
            NotFoundError: ``SESSION_ENDED`` if it ended within the last hour, else ``SESSION_UNKNOWN``.
        """
        session = self._running.get(session_id)
        if session is not None:
            return session
        if now - self._ended.get(session_id, -_REMEMBERED_S) < _REMEMBERED_S:
            raise NotFoundError("SESSION_ENDED", "this session is over; open a new one")
        raise NotFoundError("SESSION_UNKNOWN", "there is no session of this id; use the session_id that ready gave")

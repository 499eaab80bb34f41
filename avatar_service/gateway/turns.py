"""Owns whose turn it is: requests of one peer are dealt with in the order in which they arrived, session by session.

A body that is parsed sooner than that of an earlier request must not overtake it. Which session a request is for is
only known once its body is parsed, so until then a later one waits for it, though never for another peer's and never
for long.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from typing import Final, Self

from starlette.types import ASGIApp, Receive, Scope, Send

TURN: Final = "avatar_service.turn"
"""Where in a request's scope its turn is."""

_PATIENCE_S: Final = 10.0


class Turn:
    """One request's place. A context manager: leaving gives it up."""

    def __init__(self, queue: list[Turn]) -> None:
        self._queue = queue
        self._earlier = list(queue)
        self._named = asyncio.Event()
        self._done = asyncio.Event()
        self._session = ""
        queue.append(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.give_up()

    def give_up(self) -> None:
        """Let the later requests go on: this one is done, or has an order of its own. Repeating it is harmless."""
        if not self._done.is_set():
            self._queue.remove(self)
        self._named.set()
        self._done.set()

    async def come(self, session: str) -> None:
        """Wait until the earlier requests for ``session`` are done, or have had their time."""
        self._session = session
        self._named.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                for earlier in self._earlier:
                    await earlier.passed(session)

    async def passed(self, session: str) -> None:
        """Wait until this request is known to be for another session, or is done."""
        await self._named.wait()
        if self._session == session:
            await self._done.wait()


class Turns:
    """The places of all requests that are on their way."""

    def __init__(self) -> None:
        self._queues: defaultdict[str, list[Turn]] = defaultdict(list)

    def take(self, peer: str) -> Turn:
        """Return the next place among the requests of ``peer``."""
        self._queues = defaultdict(list, {name: queue for name, queue in self._queues.items() if queue})
        return Turn(self._queues[peer])


class InTurn:
    """Middleware that gives every request for one path its turn, before its body is read.

    Args:
        app: what is inside.
        path: of the requests.
    """

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self._path = path
        self._turns = Turns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] != self._path:
            await self._app(scope, receive, send)
            return
        peer = scope["client"][0] if scope.get("client") else ""
        with self._turns.take(peer) as turn:
            scope[TURN] = turn
            await self._app(scope, receive, send)

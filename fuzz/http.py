"""Owns the gateway as a function of a request's body: no socket, and no service behind it."""

from __future__ import annotations

import asyncio
import atexit
from contextlib import AsyncExitStack
from functools import lru_cache
from typing import Any, Final

from fastapi import FastAPI

from avatar_service.config import GatewaySettings
from avatar_service.gateway.app import create_app

BOUNDARY: Final = "fuzz"
PATHS: Final = (
    "/api/audio-driven/chunked/init",
    "/api/audio-driven/chunked/feed",
    "/api/live",
    "/api/audio-driven",
)
TYPES: Final = (
    f"multipart/form-data; boundary={BOUNDARY}",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "text/plain",
)


class _Gateway:
    """The application, opened once for the life of the program."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        # Port 1 refuses at once.
        self._app: FastAPI = create_app(GatewaySettings(server="127.0.0.1:1"))
        self._loop.run_until_complete(
            self._stack.enter_async_context(self._app.router.lifespan_context(self._app)),
        )
        atexit.register(self._close)

    def answer(self, path: str, kind: str, body: bytes) -> tuple[int, bytes]:
        """Return status and body of the answer."""
        return self._loop.run_until_complete(self._answer(path, kind, body))

    async def _answer(self, path: str, kind: str, body: bytes) -> tuple[int, bytes]:
        sent: list[dict[str, Any]] = []
        waiting = [{"type": "http.request", "body": body, "more_body": False}, {"type": "http.disconnect"}]

        async def receive() -> dict[str, Any]:
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        await self._app(scope, receive, send)  # type: ignore[arg-type]
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])

    def _close(self) -> None:
        self._loop.run_until_complete(self._stack.aclose())
        self._loop.close()


@lru_cache
def _gateway() -> _Gateway:
    return _Gateway()


def answer(choice: bytes, body: bytes) -> tuple[int, bytes]:
    """Return status and body of the answer to a post; ``choice`` is empty, or one byte that chooses path and type."""
    number = choice[0] if choice else 0
    return _gateway().answer(PATHS[number % 4], TYPES[number // 4 % 4], body)

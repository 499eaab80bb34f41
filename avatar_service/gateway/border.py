"""Owns the border that every request passes: its id, the size and pace of what it sends, and its line in the log."""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Mapping
from typing import Final

from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from avatar_service.gateway.problem import problem
from avatar_service.log import REQUEST_ID_HEADER, begin_request

_log = logging.getLogger(__name__)

MAX_HEADER_BYTES: Final = 32 * 1024
MAX_SMALL_BODY_BYTES: Final = 64 * 1024
_SILENCE_S: Final = 10.0
_BODY_WITHIN_S: Final = 120.0
_GZIP: Final = 31
"""zlib's ``wbits`` of a gzip stream."""


class Border:
    """Middleware around the whole application.

    Args:
        app: what is inside.
        max_body_bytes: by path; any other path takes 64 KiB.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: Mapping[str, int]) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        identifier = begin_request(headers.get(REQUEST_ID_HEADER.encode(), ""))
        began = time.monotonic()
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                mark = (REQUEST_ID_HEADER.encode(), identifier.encode())
                message = {**message, "headers": [*message.get("headers", ()), mark]}
            await send(message)

        try:
            await self._serve(scope, headers, receive, answer)
        finally:
            _log_request(scope, status, time.monotonic() - began)

    async def _serve(self, scope: Scope, headers: Mapping[bytes, str], receive: Receive, send: Send) -> None:
        limit = self._max_body_bytes.get(scope["path"], MAX_SMALL_BODY_BYTES)
        refusal = _refusal(scope, headers, limit)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        body = _Body(receive, limit, is_gzip=headers.get(b"content-encoding", "") == "gzip")
        await self._app(scope, body.receive, send)


def _refusal(scope: Scope, headers: Mapping[bytes, str], limit: int) -> Response | None:
    """Return the answer to a request that needs not be read."""
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
        return problem(431, "HEADERS_TOO_LARGE", f"the headers have more than {MAX_HEADER_BYTES} bytes")
    if headers.get(b"content-encoding", "identity") not in {"identity", "gzip"}:
        return problem(415, "CONTENT_ENCODING", "send the body plain or as gzip")
    length = headers.get(b"content-length", "")
    if length.isdigit() and int(length) > limit:
        return problem(413, "BODY_TOO_LARGE", _too_large(limit))
    return None


def _too_large(limit: int) -> str:
    return f"the request has more than the {limit // 1024} KiB that it may have; send less"


class _Body:
    """The body of one request as it comes in: unpacked, and held to its limits."""

    def __init__(self, receive: Receive, limit: int, *, is_gzip: bool) -> None:
        self._receive = receive
        self._limit = limit
        self._size = 0
        self._unpacker = zlib.decompressobj(_GZIP) if is_gzip else None
        self._deadline_s = time.monotonic() + _BODY_WITHIN_S
        self._is_whole = False

    async def receive(self) -> Message:
        """Return the next piece; once all came, what the server says next.

        Raises:
            HTTPException: 408, 413 or 400.
        """
        if self._is_whole:
            return await self._receive()
        try:
            async with asyncio.timeout(min(_SILENCE_S, self._deadline_s - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, "the body took too long to come") from None
        if message["type"] != "http.request":
            return message
        self._is_whole = not message.get("more_body", False)
        content = self._unpacked(message.get("body", b""))
        self._size += len(content)
        if self._size > self._limit:
            raise HTTPException(413, _too_large(self._limit))
        return {**message, "body": content}

    def _unpacked(self, content: bytes) -> bytes:
        if self._unpacker is None:
            return content
        try:
            return self._unpacker.decompress(content, self._limit - self._size + 1)
        except zlib.error:
            raise HTTPException(400, "the body is no gzip stream") from None


def _log_request(scope: Scope, status: int, seconds: float) -> None:
    """Log what was asked for, by its route: a path may name a session, and that name is a key."""
    route = getattr(scope.get("route"), "path", "") or "-"
    fields = {"method": scope["method"], "route": route, "status": status, "ms": round(1000 * seconds, 1)}
    _log.info("%s %s %d", scope["method"], route, status, extra={"fields": fields})

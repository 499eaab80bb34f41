"""Owns the translation of failures to HTTP: status and an RFC 9457 body with a stable ``reason``.

Nothing unknown leaks through it.
"""

from __future__ import annotations

import logging
import math
from http import HTTPStatus
from typing import Any, Final

import grpc
from avatar_client import AvatarRpcError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from avatar_service.errors import AvatarError, InvalidArgumentError, Status

_log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
CLIENT_CLOSED: Final = 499
"""What nginx calls it when the client left; there is no standard one."""

# google/rpc/code.proto names these, with one difference of ours: a wrong state is 409.
_BY_CODE: Final = {
    "INVALID_ARGUMENT": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "FAILED_PRECONDITION": 409,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": CLIENT_CLOSED,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}

# Where HTTP has a better word than the code.
_BY_REASON: Final = {
    "AUDIO_PLAYLIST": 415,
    "AVATARS_FULL": 507,
    "AUDIO_TOO_LONG": 413,
    "BODY_TOO_LARGE": 413,
    "DISK": 507,
    "NOT_SDP": 415,
    "PORTRAIT_FORMAT": 415,
    "PORTRAIT_PIXELS": 413,
    "PORTRAIT_TOO_LARGE": 413,
    "SESSION_ENDED": 410,
    "TAKE_FULL": 507,
}
_BODY: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "reason"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One or two sentences for a person"},
        "reason": {"type": "string", "description": "A stable UPPER_SNAKE_CASE word"},
        "field": {"type": "string", "description": "The offending form field, if it is about one"},
    },
}
RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": text, "content": {MEDIA_TYPE: {"schema": _BODY}}}
    for status, text in (("4XX", "The request cannot be served; `reason` says why"), ("5XX", "The server cannot"))
}
"""What OpenAPI says of every operation's failures."""
_UNKNOWN: Final = "the server failed on this call; its log says why"


def problem(
    status: int, reason: str, detail: str, *, field: str = "", retry_after_s: float | None = None
) -> JSONResponse:
    """Return an RFC 9457 answer.

    Args:
        status: of HTTP.
        reason: a stable UPPER_SNAKE_CASE word.
        detail: one or two sentences for a person.
        field: the offending form field; empty if it is not about one.
        retry_after_s: when to try again; 503 and 429 always say so.
    """
    title = "Client Closed Request" if status == CLIENT_CLOSED else HTTPStatus(status).phrase
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail, "reason": reason}
    if field:
        body["field"] = field
    headers = {}
    if retry_after_s is not None or status in {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS}:
        headers["Retry-After"] = str(max(1, math.ceil(retry_after_s or 0)))
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Have every failure of ``app`` answered as a problem."""
    app.add_exception_handler(AvatarError, _on_avatar_error)
    app.add_exception_handler(AvatarRpcError, _on_rpc_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(OSError, _on_os_error)
    app.add_exception_handler(Exception, _on_unknown)


async def _on_avatar_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AvatarError)
    return of_error(error)


def of_error(error: AvatarError) -> JSONResponse:
    """Return the answer to one of our own errors."""
    if error.status is Status.INTERNAL and error.reason not in _BY_REASON:
        return problem(500, error.reason, error.message)
    return problem(
        _BY_REASON.get(error.reason) or _BY_CODE.get(error.status.value, 500),
        error.reason,
        error.message,
        field=_form_field(error.field) if isinstance(error, InvalidArgumentError) else "",
        retry_after_s=getattr(error, "retry_after_s", None),
    )


async def _on_rpc_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AvatarRpcError)
    if not error.reason and error.code is grpc.StatusCode.UNAVAILABLE:
        return problem(503, "SERVICE_UNREACHABLE", "the avatar service cannot be reached", retry_after_s=2.0)
    if not error.reason:
        _log.error("the service answered %s without a reason", error.code.name)
    status = _BY_REASON.get(error.reason) or _BY_CODE.get(error.code.name, 500)
    detail = error.message if error.reason else _UNKNOWN
    return problem(
        status,
        error.reason or error.code.name,
        detail,
        field=_form_field(error.field),
        retry_after_s=error.retry_after_s,
    )


def _form_field(field: str) -> str:
    """Return the form's name for a field of the service's messages."""
    name = field.removeprefix("init.").removeprefix("generation.")
    return "image" if name == "portrait" else name


async def _on_invalid_request(_request: Request, error: Exception) -> Response:
    """Answer 400 where FastAPI would say 422, and name the first field that is wrong."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0] if error.errors() else {"loc": (), "msg": "the request is malformed"}
    field = ".".join(str(place) for place in first["loc"][1:])
    text = f"send a file, for example with curl -F {field}=@FILE" if "UploadFile" in first["msg"] else first["msg"]
    return problem(400, "INVALID_FIELD", f"{field}: {text}" if field else str(text), field=field)


async def _on_http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    names = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 413: "BODY_TOO_LARGE"}
    texts = {"Not Found": "there is nothing at this address; /docs lists what there is"}
    detail = texts.get(error.detail, error.detail)
    answer = problem(error.status_code, names.get(error.status_code, "BAD_REQUEST"), detail)
    answer.headers.update(error.headers or {})
    return answer


async def _on_os_error(_request: Request, error: Exception) -> Response:
    _log.error("the disk failed", exc_info=error)
    return problem(507, "DISK", "the server cannot store this just now")


async def _on_unknown(_request: Request, _error: Exception) -> Response:
    return problem(500, "INTERNAL", _UNKNOWN)

"""Owns the border that every call passes on its way out: the one catch-all for calls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc.aio import ServicerContext

from avatar_service.errors import AvatarError, InvalidArgumentError, UnavailableError
from avatar_service.log import REQUEST_ID_HEADER, begin_request
from avatar_service.rpc.status import avatar_error, innermost, to_status

_log = logging.getLogger(__name__)


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Turns whatever a handler raises into a status that a caller can act on."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wrap the two kinds of method that this service has; others (health, reflection) guard themselves."""
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith("/avatar."):
            return handler
        if handler.stream_stream is not None:
            # It parses by itself, because it may refuse what it has not looked at.
            return grpc.stream_stream_rpc_method_handler(
                _guarded(handler.stream_stream), None, handler.response_serializer
            )
        # Parsed within the guard, because gRPC answers malformed bytes with the parser's own words.
        parse: Any = handler.request_deserializer
        behaviour: Any = handler.unary_unary

        async def parsed(request: bytes, context: ServicerContext[Any, Any]) -> Any:
            return await behaviour(parse(request), context)

        return grpc.unary_unary_rpc_method_handler(_guarded(parsed), None, handler.response_serializer)


def _guarded(behaviour: Any) -> Callable[..., Awaitable[Any]]:
    async def call(request: Any, context: ServicerContext[Any, Any]) -> Any:
        begin_request(_given_id(context))
        try:
            return await behaviour(request, context)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Without a status the client would hang: a handler that raises this by itself gets none from gRPC.
            _end(context, UnavailableError("CANCELLED_INSIDE", "the server gave this call up; try again"))
        except Exception as error:  # noqa: BLE001 - the one catch-all: nothing unknown may reach the client
            _end(context, _mapped(innermost(error)))

    return call


def _given_id(context: ServicerContext[Any, Any]) -> str:
    """Return the id that the client gave the request; what cannot be one is empty."""
    metadata = dict(context.invocation_metadata() or ())
    given = metadata.get(REQUEST_ID_HEADER, "")
    return given if isinstance(given, str) else ""


def _mapped(error: BaseException) -> AvatarError:
    if isinstance(error, DecodeError):
        return InvalidArgumentError("MALFORMED", "a message is no valid protobuf of its type", field="message")
    if not isinstance(error, AvatarError):
        _log.error("a call failed", exc_info=error)
    return avatar_error(error)


def _end(context: ServicerContext[Any, Any], error: AvatarError) -> None:
    """End the call with the error's status.

    ``context.abort`` would raise: gRPC keeps that exception beside the call for good, and with it, by its traceback,
    all that the handler had, the portrait above all.
    """
    _log.info("a call ended with %s, %s", error.status.value, error.reason)
    status = to_status(error)
    context.set_trailing_metadata(status.trailing_metadata)
    context.set_details(status.details)
    context.set_code(status.code)

"""Owns the one error a client raises and its making from a gRPC status with google.rpc details."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf import any_pb2

_DETAILS_KEY: Final = "grpc-status-details-bin"


class _Status(Protocol):
    """What both the sync and the asyncio ``RpcError`` answer."""

    def code(self) -> grpc.StatusCode: ...

    def details(self) -> str | None: ...

    def trailing_metadata(self) -> Iterable[tuple[str, Any]] | None: ...


class AvatarRpcError(Exception):
    """A call failed.

    Attributes:
        code: the gRPC status code.
        reason: a stable UPPER_SNAKE_CASE word that programs may switch on; empty where the transport failed before
            the service could answer.
        message: one or two sentences for a person.
        field: path of the offending request field; empty if the error is not about one.
        retry_after_s: when to try again, in seconds; ``None`` if the service did not say.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        *,
        reason: str = "",
        field: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.field = field
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        """Return ``CODE REASON: message``."""
        return f"{' '.join(filter(None, (self.code.name, self.reason)))}: {self.message}"


def from_rpc_error(error: grpc.RpcError | grpc.Call) -> AvatarRpcError:
    """Return ``error``, or the call that ended with one, as an ``AvatarRpcError`` with its google.rpc details."""
    status = cast("_Status", error)
    result = AvatarRpcError(status.code(), status.details() or status.code().name)
    for detail in _rich_status(status).details:
        _apply(result, detail)
    return result


def session_over() -> AvatarRpcError:
    """Return the error of sending to a session that ended well."""
    return AvatarRpcError(grpc.StatusCode.FAILED_PRECONDITION, "the session is over", reason="SESSION_OVER")


def session_left() -> AvatarRpcError:
    """Return the error of using a session that this side aborted."""
    return AvatarRpcError(grpc.StatusCode.CANCELLED, "the session was left", reason="SESSION_LEFT")


def ended_early() -> AvatarRpcError:
    """Return the error of a session that ended before it was ready."""
    message = "the server ended the session before it was ready"
    return AvatarRpcError(grpc.StatusCode.UNAVAILABLE, message, reason="ENDED_EARLY")


def not_ready(timeout_s: float) -> AvatarRpcError:
    """Return the error of a session that took longer than ``timeout_s`` to open."""
    message = f"the session was not ready within {timeout_s:g} s"
    return AvatarRpcError(grpc.StatusCode.DEADLINE_EXCEEDED, message, reason="READY_TIMEOUT")


def held_back(timeout_s: float) -> AvatarRpcError:
    """Return the error of a message that could not be sent within ``timeout_s``."""
    message = f"the server took no more audio for {timeout_s:g} s; read the responses while sending"
    return AvatarRpcError(grpc.StatusCode.DEADLINE_EXCEEDED, message, reason="SEND_TIMEOUT")


def _rich_status(status: _Status) -> status_pb2.Status:
    for key, value in status.trailing_metadata() or ():
        if key == _DETAILS_KEY:
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                break  # a proxy's or another server's bytes: the plain status is still true
    return status_pb2.Status()


def _apply(result: AvatarRpcError, packed: any_pb2.Any) -> None:
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    if packed.Unpack(info):
        result.reason = info.reason
    elif packed.Unpack(bad_request) and bad_request.field_violations:
        result.field = bad_request.field_violations[0].field
    elif packed.Unpack(retry):
        result.retry_after_s = retry.retry_delay.ToTimedelta().total_seconds()

"""Owns the translation of our errors to gRPC statuses with ``google.rpc`` details. Nothing unknown leaks through it."""

from __future__ import annotations

from typing import Final

import grpc
from google.protobuf.any_pb2 import Any as PackedAny
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from avatar_service.errors import (
    AvatarError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    ResourceExhaustedError,
    UnavailableError,
)

DOMAIN: Final = "avatar.v1"


def innermost(error: BaseException) -> BaseException:
    """Return what lies in an exception group: our own error before any other, else the first one.

    A group holds what the tasks of one session raised; whichever of ours came first is what the caller did.
    """
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [innermost(inner) for inner in error.exceptions]
    return next((leaf for leaf in leaves if isinstance(leaf, AvatarError)), leaves[0])


def avatar_error(error: BaseException) -> AvatarError:
    """Return ``error`` as one of ours; anything unknown becomes ``INTERNAL`` without its text."""
    if isinstance(error, AvatarError):
        return error
    return InternalError("INTERNAL", "the server failed on this call; its log says why")


def to_status(error: AvatarError) -> grpc.Status:
    """Return the gRPC status of an error, details packed as ``google.rpc`` messages."""
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)]
    match error:
        case InvalidArgumentError():
            violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=error.message)
            details.append(error_details_pb2.BadRequest(field_violations=[violation]))
        case FailedPreconditionError():
            broken = error_details_pb2.PreconditionFailure.Violation(
                type=error.reason, subject=error.subject, description=error.message
            )
            details.append(error_details_pb2.PreconditionFailure(violations=[broken]))
        case UnavailableError() | ResourceExhaustedError() if error.retry_after_s is not None:
            delay = Duration()
            delay.FromMilliseconds(round(error.retry_after_s * 1000))
            details.append(error_details_pb2.RetryInfo(retry_delay=delay))
        case _:
            pass
    code = grpc.StatusCode[error.status.value].value[0]
    packed = [_packed(detail) for detail in details]
    status: grpc.Status = rpc_status.to_status(status_pb2.Status(code=code, message=error.message, details=packed))
    return status


def _packed(detail: Message) -> PackedAny:
    packed = PackedAny()
    packed.Pack(detail)
    return packed

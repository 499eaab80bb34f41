"""Errors: google.rpc details become attributes, and bytes that are none do no harm."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest
from avatar_client.errors import from_rpc_error
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2


def _error(*details: object, key: str = "grpc-status-details-bin", raw: bytes | None = None) -> grpc.aio.AioRpcError:
    packed = []
    for detail in details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    status = status_pb2.Status(code=8, message="full", details=packed)
    metadata = grpc.aio.Metadata((key, status.SerializeToString() if raw is None else raw))
    return grpc.aio.AioRpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.aio.Metadata(), metadata, "full")


def test_details_become_attributes() -> None:
    """Reason, field and delay are read from ErrorInfo, BadRequest and RetryInfo."""
    violation = error_details_pb2.BadRequest.FieldViolation(field="init.portrait", description="x")
    error = from_rpc_error(
        _error(
            error_details_pb2.ErrorInfo(reason="FULL", domain="avatar.v1"),
            error_details_pb2.BadRequest(field_violations=[violation]),
            error_details_pb2.RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000)),
        )
    )
    assert (error.code, error.message) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
    assert (error.reason, error.field, error.retry_after_s) == ("FULL", "init.portrait", 1.5)
    assert str(error) == "RESOURCE_EXHAUSTED FULL: full"


@pytest.mark.parametrize(
    "plain",
    [_error(raw=b"\xff\xff\xff"), _error(key="other-bin"), _error(error_details_pb2.BadRequest())],
    ids=["damaged", "absent", "empty"],
)
def test_missing_details_leave_the_plain_status(plain: grpc.aio.AioRpcError) -> None:
    """A status without details that can be read still tells code and message."""
    error = from_rpc_error(plain)
    assert (error.code, error.message) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
    assert (error.reason, error.field, error.retry_after_s) == ("", "", None)

"""Our errors as gRPC statuses."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from avatar_service import errors
from avatar_service.errors import AvatarError
from avatar_service.rpc.status import avatar_error, innermost, to_status


def details(error: AvatarError) -> dict[str, Any]:
    """Return the unpacked details of an error's status, by name, after checking its code and text."""
    status = to_status(error)
    packed = status_pb2.Status.FromString(dict(status.trailing_metadata)["grpc-status-details-bin"])
    assert packed.code == code_pb2.Code.Value(error.status.value) == status.code.value[0]
    assert packed.message == status.details == error.message
    found: dict[str, Message] = {}
    for detail in packed.details:
        name = detail.TypeName().rpartition(".")[2]
        found[name] = getattr(error_details_pb2, name)()
        detail.Unpack(found[name])
    info: Any = found.pop("ErrorInfo")
    assert (info.reason, info.domain) == (error.reason, "avatar.v1")
    return found


def test_a_wrong_value_names_its_field() -> None:
    """INVALID_ARGUMENT carries one field violation."""
    found = details(errors.InvalidArgumentError("R", "text", field="init.video.width"))
    (violation,) = found.pop("BadRequest").field_violations
    assert (violation.field, violation.description) == ("init.video.width", "text")
    assert not found


def test_a_wrong_time_names_its_subject() -> None:
    """FAILED_PRECONDITION carries one violation."""
    found = details(errors.FailedPreconditionError("R", "text", subject="session"))
    (violation,) = found.pop("PreconditionFailure").violations
    assert (violation.type, violation.subject, violation.description) == ("R", "session", "text")
    assert not found


@pytest.mark.parametrize("kind", [errors.UnavailableError, errors.ResourceExhaustedError])
def test_what_may_work_later_says_when(kind: type[Any]) -> None:
    """A delay comes as RetryInfo, to the millisecond."""
    found = details(kind("R", "text", retry_after_s=1.25))
    assert found.pop("RetryInfo").retry_delay.ToMilliseconds() == 1250
    assert not found


@pytest.mark.parametrize(
    "error",
    [
        errors.ResourceExhaustedError("R", "text"),
        errors.DeadlineExceededError("R", "text"),
        errors.AbortedError("R", "text"),
        errors.CancelledError("R", "text"),
        errors.InternalError("R", "text"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_other_errors_carry_their_reason_only(error: AvatarError) -> None:
    """Nothing is advised where nothing helps."""
    assert not details(error)


def test_what_is_unknown_loses_its_text() -> None:
    """An error that is not ours becomes INTERNAL and says nothing of itself."""
    error = avatar_error(KeyError("/etc/secret"))
    assert error.reason == "INTERNAL"
    assert "secret" not in error.message
    ours = errors.AbortedError("R", "text")
    assert avatar_error(ours) is ours


def test_our_own_error_is_found_in_a_group() -> None:
    """However deep it lies, it goes before any other; without one, the first is taken."""
    ours = errors.AbortedError("R", "text")
    deep = ExceptionGroup("a", [ValueError("x"), ExceptionGroup("b", [KeyError("y"), ours])])
    assert innermost(deep) is ours
    first = ValueError("x")
    assert innermost(ExceptionGroup("a", [first, KeyError("y")])) is first
    assert innermost(first) is first

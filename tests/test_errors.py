"""The error tree."""

from __future__ import annotations

import pickle

import pytest

from avatar_service import errors
from avatar_service.errors import AvatarError, Status

_ERRORS = [
    errors.InvalidArgumentError("A", "text a", field="init.portrait"),
    errors.FailedPreconditionError("B", "text b", subject="session"),
    errors.ResourceExhaustedError("C", "text c", retry_after_s=2.0),
    errors.ResourceExhaustedError("D", "text d"),
    errors.UnavailableError("E", "text e", retry_after_s=0.5),
    errors.DeadlineExceededError("F", "text f"),
    errors.AbortedError("G", "text g"),
    errors.CancelledError("H", "text h"),
    errors.InternalError("I", "text i"),
    errors.OutOfRangeError("J", "text j"),
    errors.NotFoundError("K", "text k"),
]


@pytest.mark.parametrize("error", _ERRORS, ids=lambda error: type(error).__name__)
def test_errors_cross_a_process_border_whole(error: AvatarError) -> None:
    """Pickling keeps type, text and every attribute."""
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)
    assert str(copy) == str(error) == error.message


def test_every_status_has_one_error() -> None:
    """A status that no error carries would be dead."""
    used = [kind.status for kind in AvatarError.__subclasses__()]
    assert len(set(used)) == len(used)
    assert set(Status) == set(used)


def test_our_cancellation_is_not_asyncio_s() -> None:
    """The caller's leaving is an ordinary exception, which a handler may catch."""
    assert issubclass(errors.CancelledError, Exception)

"""Owns the error tree: every failure a caller may be told of, whose fault it is and its stable reason.

Nothing here knows gRPC or HTTP; ``rpc/interceptors`` and ``gateway/problem`` translate. A message is
written for the person who can act on it, and never carries exception names, paths or stacks.
"""

from __future__ import annotations

import enum
from typing import ClassVar


class Status(enum.Enum):
    """The canonical code of an error, named as in ``google.rpc.Code``."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    UNAVAILABLE = "UNAVAILABLE"
    ABORTED = "ABORTED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    CANCELLED = "CANCELLED"
    NOT_FOUND = "NOT_FOUND"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    INTERNAL = "INTERNAL"


class AvatarError(Exception):
    """Base of every error that may be shown to a caller.

    Attributes:
        status: the canonical code.
        reason: a stable UPPER_SNAKE_CASE word that programs may switch on.
        message: one or two sentences for a person.
    """

    status: ClassVar[Status] = Status.INTERNAL

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with all attributes: errors cross process borders."""
        return (_rebuild, (type(self), dict(vars(self))))


def _rebuild(kind: type[AvatarError], attributes: dict[str, object]) -> AvatarError:
    error = kind.__new__(kind)
    error.__dict__.update(attributes)
    error.args = (error.message,)
    return error


class InvalidArgumentError(AvatarError):
    """The caller sent a value that can never work.

    Attributes:
        field: path of the offending request field, e.g. ``init.audio.sample_rate_hz``.
    """

    status = Status.INVALID_ARGUMENT

    def __init__(self, reason: str, message: str, *, field: str) -> None:
        super().__init__(reason, message)
        self.field = field


class FailedPreconditionError(AvatarError):
    """The caller sent a valid message at the wrong time.

    Attributes:
        subject: what is in the wrong state, e.g. ``session`` or a segment id.
    """

    status = Status.FAILED_PRECONDITION

    def __init__(self, reason: str, message: str, *, subject: str) -> None:
        super().__init__(reason, message)
        self.subject = subject


class ResourceExhaustedError(AvatarError):
    """A limit or the capacity is reached.

    Attributes:
        retry_after_s: when to try again; ``None`` if trying again cannot help.
    """

    status = Status.RESOURCE_EXHAUSTED

    def __init__(self, reason: str, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason, message)
        self.retry_after_s = retry_after_s


class UnavailableError(AvatarError):
    """The service cannot serve just now; the same call may work later.

    Attributes:
        retry_after_s: when to try again.
    """

    status = Status.UNAVAILABLE

    def __init__(self, reason: str, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(reason, message)
        self.retry_after_s = retry_after_s


class DeadlineExceededError(AvatarError):
    """The caller kept silent for longer than the session may wait."""

    status = Status.DEADLINE_EXCEEDED


class OutOfRangeError(AvatarError):
    """The caller is at another place in its own sequence than the service."""

    status = Status.OUT_OF_RANGE


class NotFoundError(AvatarError):
    """There is nothing of that name, or not any more."""

    status = Status.NOT_FOUND


class PermissionDeniedError(AvatarError):
    """The caller has not shown that it may do this."""

    status = Status.PERMISSION_DENIED


class AbortedError(AvatarError):
    """The service gave the session up, e.g. because its reader stopped reading."""

    status = Status.ABORTED


class CancelledError(AvatarError):
    """The caller went away without saying goodbye."""

    status = Status.CANCELLED


class InternalError(AvatarError):
    """A fault of ours; the log has the story, the caller gets a reason and nothing else."""

    status = Status.INTERNAL


class SetupError(RuntimeError):
    """What the operator must put right before the service can start: the text says what and how. No caller sees it."""

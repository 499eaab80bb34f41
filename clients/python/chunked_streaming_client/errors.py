"""Owns the one error of this client and its making from an HTTP answer. Sends nothing."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx


class GatewayError(Exception):
    """The gateway refused a request, or could not be asked.

    Attributes:
        message: one or two sentences for a person.
        status: HTTP status; 0 where there was no answer.
        reason: a stable UPPER_SNAKE_CASE word that programs may switch on; empty where the gateway gave none.
        retry_after_s: when to try again, in seconds; ``None`` if the gateway did not say.
    """

    def __init__(self, message: str, *, status: int = 0, reason: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        """Return ``STATUS REASON: message``, without what is not known."""
        head = " ".join(filter(None, (str(self.status or ""), self.reason)))
        return f"{head}: {self.message}" if head else self.message


def refusal(response: httpx.Response) -> GatewayError:
    """Return what an unsuccessful answer says: an RFC 9457 problem, or whatever a proxy put in its place."""
    problem: dict[str, object] = {}
    with suppress(ValueError):
        body = response.json()
        problem = body if isinstance(body, dict) else {}
    message = problem.get("detail") or problem.get("title") or f"the server answered {response.status_code}"
    retry_after_s = None
    with suppress(KeyError, ValueError):
        retry_after_s = float(response.headers["Retry-After"])
    return GatewayError(
        str(message),
        status=response.status_code,
        reason=str(problem.get("reason") or ""),
        retry_after_s=retry_after_s,
    )

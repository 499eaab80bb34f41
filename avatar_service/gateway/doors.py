"""Owns whether another session may be opened: how many of all kinds there are, and whether the server is leaving."""

from __future__ import annotations

from avatar_service.errors import ResourceExhaustedError, UnavailableError


class Doors:
    """The way in.

    Args:
        max_sessions: that may be inside at once.
    """

    def __init__(self, max_sessions: int) -> None:
        self._max_sessions = max_sessions
        self._inside = 0
        self._are_closed = False

    def enter(self) -> None:
        """Let a session in; ``leave`` follows.

        Raises:
            UnavailableError: ``DRAINING``.
            ResourceExhaustedError: ``TOO_MANY_SESSIONS``.
        """
        if self._are_closed:
            raise UnavailableError("DRAINING", "this server is shutting down; try again", retry_after_s=1.0)
        if self._inside >= self._max_sessions:
            msg = "there are as many sessions as there may be; delete one, or try again later"
            raise ResourceExhaustedError("TOO_MANY_SESSIONS", msg, retry_after_s=30.0)
        self._inside += 1

    def leave(self) -> None:
        """A session has ended, or could not be opened."""
        self._inside -= 1

    @property
    def are_closed(self) -> bool:
        """Whether nobody is let in any more."""
        return self._are_closed

    def close(self) -> None:
        """Let nobody in any more."""
        self._are_closed = True

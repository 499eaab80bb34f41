"""Owns how long a session may take for what: to prepare, to be fed, to make a frame, to be read. Knows no loop."""

from __future__ import annotations

from avatar_service.config import Settings
from avatar_service.errors import AbortedError, DeadlineExceededError, UnavailableError
from avatar_service.session.events import State
from avatar_service.session.session import Session


class Deadlines:
    """The deadlines of one session.

    Args:
        settings: their lengths.
        now: when the call began, in monotonic seconds.
    """

    def __init__(self, settings: Settings, now: float) -> None:
        self._settings = settings
        self._began = self._last_activity = now
        self._sending_since: float | None = None

    def active(self, now: float) -> None:
        """Note that the client said something, or took a frame."""
        self._last_activity = now

    def sending(self, now: float) -> None:
        """Note that something is being sent; ``sent`` follows. A look at each tick costs less than a timer each."""
        self._sending_since = now

    def sent(self) -> None:
        """Note that the transport has taken it."""
        self._sending_since = None

    def check_reader(self, now: float) -> None:
        """Check that the client reads.

        Raises:
            AbortedError: ``SLOW_CONSUMER``.
        """
        limit_s = self._settings.slow_reader_timeout_s
        if self._sending_since is not None and now - self._sending_since > limit_s:
            raise AbortedError("SLOW_CONSUMER", f"the client read nothing for {limit_s:g} s")

    def check(self, session: Session, now: float) -> None:
        """Check that the session gets on.

        Raises:
            UnavailableError: ``PREPARE_TIMEOUT`` or ``ENGINE_STALLED``.
            DeadlineExceededError: ``IDLE_TIMEOUT``.
        """
        limit_s = self._settings.idle_timeout_s
        if not session.announced:
            if now - self._began > self._settings.prepare_timeout_s:
                raise UnavailableError("PREPARE_TIMEOUT", "the portrait could not be prepared in time; try again")
        elif now - self._last_activity > limit_s and not session.is_paused:
            if session.status(now).state is State.WAITING_FOR_AUDIO and not session.needs_no_audio:
                msg = f"nothing was sent for {limit_s:g} s; send end_of_audio to end a session"
                raise DeadlineExceededError("IDLE_TIMEOUT", msg)
            raise UnavailableError("ENGINE_STALLED", "the engine made no frame in time; try again")

"""Owns the time that a session was at work, not waiting for its client. Pure: time is an argument."""

from __future__ import annotations


class Stopwatch:
    """Sums up the spans during which there was work. Noting the same thing twice changes nothing."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._total_s = 0.0

    @property
    def is_running(self) -> bool:
        """Whether there is work."""
        return self._since is not None

    def note(self, now: float, *, has_work: bool) -> None:
        """Start with work, stop without."""
        if has_work and self._since is None:
            self._since = now
        elif not has_work and self._since is not None:
            self._total_s += now - self._since
            self._since = None

    def seconds(self, now: float) -> float:
        """Return the time at work so far."""
        return self._total_s + (0.0 if self._since is None else now - self._since)

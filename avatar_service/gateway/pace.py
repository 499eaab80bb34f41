"""Owns when media is published: at the pace at which it plays. Pure: the time is an argument.

Frames may come much faster than they play. Were they published as they come, the live edge would run away from the
viewers, who join near it and would miss the rest.
"""

from __future__ import annotations

from typing import Final

_LEAD_S: Final = 0.4
"""How far ahead of its time media is published: with its own length a part is then as far ahead as a player of
Low-Latency HLS stays behind (PART-HOLD-BACK), so that the first segment is there at once and nobody misses any of it.
"""

_SLACK_S: Final = 0.3
"""How late media may be before the clock waits for it; less than what players keep buffered."""


class Pace:
    """The clock of one take: which moment of the media is due when."""

    def __init__(self) -> None:
        self._origin_s: float | None = None

    @property
    def is_running(self) -> bool:
        """Whether anything was published."""
        return self._origin_s is not None

    def due(self, media_s: float, now: float) -> float:
        """Return when the media at ``media_s``, which is there by ``now``, is to be published."""
        if self._origin_s is None:
            self._origin_s = now - media_s
            return now
        due_s = self._origin_s + media_s - _LEAD_S
        if now > due_s + _SLACK_S:
            due_s = now
            self._origin_s = now - media_s + _LEAD_S
        return due_s

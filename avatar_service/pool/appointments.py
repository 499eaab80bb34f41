"""Owns when those who were refused are to ask again: not together, and not more of them than is easily answered. Pure.

Each is given the next free appointment of a calendar that has so many a second; so the longer the queue, the later.
"""

from __future__ import annotations

from typing import Final

LEAST_S: Final = 2.0
"""Nobody is asked to come sooner."""
RATE_HZ: Final = 5.0
"""Appointments a second, so soon a place that becomes free is taken. A portrait that is read to be refused costs 3 ms
of the front, which relays meanwhile for all who are inside: at this rate it is away from that for 1.5 % of the time.
"""
MOST_S: Final = 60.0
"""Nobody is asked to come later; beyond that, those who do not fit into the calendar are spread over all of it."""


class Appointments:
    """The calendar of one server."""

    def __init__(self) -> None:
        self._free = 0.0

    def __repr__(self) -> str:
        return f"<Appointments, free from {self._free:.1f} s on>"

    def next(self, now: float, share: float) -> float:
        """Return in how many seconds a caller is to ask again.

        As long as the calendar is not full, those who come when they were told to are at most ``RATE_HZ`` a second,
        and one more.

        Args:
            now: monotonic seconds.
            share: of the appointment's own time that is let pass, from 0 to 1; at random, so that the callers of
                several servers, or those refused one by one at fixed times, do not fall into step.
        """
        at = max(self._free, now + LEAST_S)
        if at > now + MOST_S:
            return LEAST_S + share * (MOST_S - LEAST_S)
        self._free = at + 1 / RATE_HZ
        return at - now + share / RATE_HZ

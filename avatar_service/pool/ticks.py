"""Owns the tick grid of a LIVE slot: when a frame is due, and which ticks are left out. Pure: time is an argument.

Tick n is due n frames after the grid began. Every tick is passed once, shown or not, so that its number is its time.
"""

from __future__ import annotations

import math
from typing import Final

BEHIND_S: Final = 0.5
"""A worker farther behind than this leaves ticks out instead of catching up."""
_APART_S: Final = 1.0
"""Ticks left out farther apart than this are of two episodes."""


class Ticks:
    """One grid, which begins when it is first asked; one that began before goes on then, behind what has passed.

    Args:
        fps: ticks per second.
        began: when tick 0 was due, if that was in another slot.
    """

    def __init__(self, fps: int, began: float | None = None) -> None:
        self._fps = fps
        self.began = began
        self._runs = False
        self._next = 0
        self._last_skipped: int | None = None

    def __repr__(self) -> str:
        return f"<Ticks, {self._next} next>"

    def due(self, now: float) -> float:
        """Return when the next tick is due."""
        if not self._runs:
            self._runs = True
            self._next = 0 if self.began is None else math.floor((now - self.began) * self._fps) + 1
        if self.began is None:
            self.began = now
        return self.began + self._next / self._fps

    @property
    def is_odd(self) -> bool:
        """Whether the next tick is one of those that half the rate leaves out; the first one is not."""
        return self._next % 2 == 1

    def hopeless(self, now: float) -> int:
        """Return how many ticks to leave out: all but the last one due if that is long ago, else none."""
        late_s = now - self.due(now)
        return int(late_s * self._fps) if late_s > BEHIND_S else 0

    def advance(self) -> int:
        """Pass the next tick; return its number."""
        self._next += 1
        return self._next - 1

    def note_skipped(self, tick: int) -> bool:
        """Note that a tick was left out for want of time or of a reader; return whether that begins an episode."""
        last, self._last_skipped = self._last_skipped, tick
        return last is None or tick - last > _APART_S * self._fps

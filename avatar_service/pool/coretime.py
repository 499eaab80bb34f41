"""Owns how much of its time a process could use: who waits for a core is not to blame for being slow."""

from __future__ import annotations

import math
import time

import psutil


class CoreTime:
    """What a process has of a core.

    Args:
        pid: of the process.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._used_s, self._asked_at = 0.0, -math.inf

    def __repr__(self) -> str:
        return f"<CoreTime of {self._pid}, {self._used_s:.1f} s used>"

    def share(self) -> float:
        """Return how much of the time since the last call the process had, from 0 to 1; the first time 0.

        All of it, unless it wants a core: then what it was given of one. A process that is stopped, asleep or gone
        wants none. What it wants is looked at now, and taken for what it wanted meanwhile.
        """
        try:
            process = psutil.Process(self._pid)
            wants = process.status() == psutil.STATUS_RUNNING
            used_s = sum(process.cpu_times()[:2])
        except psutil.Error:
            return 1.0
        before_s, before, now = self._used_s, self._asked_at, time.monotonic()
        self._used_s, self._asked_at = used_s, now
        return min(1.0, (used_s - before_s) / (now - before)) if wants and now > before else 1.0

"""Owns the choice of what runs next: earliest deadline first, in micro-batches. Pure.

A frame that is due has a deadline in the past, so it goes before all work ahead of its time; a session's first frame
is due when its audio arrives, so it never waits for another session's look-ahead.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """One frame that could be made now.

    Attributes:
        deadline: when it is due, in monotonic seconds.
        slot: index of its slot; breaks ties, so that the choice is reproducible.
        ahead: which of the slot's frames it is, from 0: the next one.
    """

    deadline: float
    slot: int
    ahead: int


def schedule(candidates: Iterable[Candidate], max_batch: int) -> list[Candidate]:
    """Return at most ``max_batch`` candidates, earliest deadline first."""
    return heapq.nsmallest(max_batch, candidates)

"""When those who were refused are to come again."""

from __future__ import annotations

import heapq
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar_service.pool.appointments import LEAST_S, MOST_S, RATE_HZ, Appointments

SHARE = st.floats(0, 1, exclude_max=True)


def obeyed(callers: int, seconds: float, seed: int) -> list[float]:
    """Return when callers who all ask at 0 s, are refused every time and do as they are told come again."""
    dice = random.Random(seed)  # noqa: S311 - the same callers every time
    appointments = Appointments()
    coming = [appointments.next(0.0, dice.random()) for _ in range(callers)]
    heapq.heapify(coming)
    came = []
    while coming[0] < seconds:
        came.append(coming[0])
        heapq.heapreplace(coming, came[-1] + appointments.next(came[-1], dice.random()))
    return came


@given(share=SHARE)
def test_one_who_is_refused_alone_comes_soon(share: float) -> None:
    """There is no queue, so the wait is the least there is, but for its share of one appointment."""
    assert LEAST_S <= Appointments().next(1e6, share) < LEAST_S + 1 / RATE_HZ


@pytest.mark.parametrize("callers", [1, 9, 90, 250])
@given(seed=st.integers(0, 99))
def test_those_who_were_refused_together_come_again_one_by_one(callers: int, seed: int) -> None:
    """However many ask at once, and for ever: a second has as many as the calendar has appointments, or one more."""
    came = obeyed(callers, 120.0, seed)
    most = int(RATE_HZ) + 1
    assert all(later - earlier >= 1 for earlier, later in zip(came, came[most:], strict=False))
    assert len(came) >= min(callers / (LEAST_S + 1 / RATE_HZ), RATE_HZ) * 110


@given(waits=st.lists(st.tuples(st.floats(0, 3), SHARE), min_size=2, max_size=60))
def test_whoever_asks_later_is_not_told_to_come_sooner(waits: list[tuple[float, float]]) -> None:
    """Each has an appointment of its own, in the order in which they asked."""
    appointments, now, times = Appointments(), 0.0, []
    for pause, share in waits:
        now += pause
        times.append(now + appointments.next(now, share))
    assert all(earlier < later + 1e-9 for earlier, later in pairwise(times))


def test_a_crowd_that_fits_into_no_calendar_is_spread_over_all_of_it() -> None:
    """Nobody waits for longer than a minute, and nobody sooner than the least."""
    appointments, dice = Appointments(), random.Random(1)  # noqa: S311 - the same callers every time
    waits = [appointments.next(0.0, dice.random()) for _ in range(10_000)]
    assert min(waits) >= LEAST_S
    assert max(waits) <= MOST_S + 1 / RATE_HZ
    beyond = waits[2 * round(RATE_HZ * MOST_S) :]
    assert sum(wait < (LEAST_S + MOST_S) / 2 for wait in beyond) == pytest.approx(len(beyond) / 2, rel=0.1)


def test_a_queue_that_is_over_is_forgotten() -> None:
    """An hour later the next one comes as soon as the first one did."""
    appointments = Appointments()
    for _ in range(100):
        appointments.next(0.0, 0.0)
    assert appointments.next(3600.0, 0.0) == LEAST_S
    assert repr(appointments) == "<Appointments, free from 3602.2 s on>"

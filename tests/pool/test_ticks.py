"""The tick grid: what is due when, and what is left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar_service.pool.ticks import BEHIND_S, Ticks


@given(began=st.floats(0, 1e6), count=st.integers(1, 500))
def test_ticks_do_not_drift(began: float, count: int) -> None:
    """Tick n is due n frames after the beginning, however the ticks before it went."""
    ticks = Ticks(25)
    assert ticks.due(began) == began
    assert [ticks.advance() for _ in range(count)] == list(range(count))
    assert ticks.due(began + 99) == began + count / 25


@pytest.mark.parametrize(("late_s", "hopeless"), [(-1.0, 0), (0.0, 0), (BEHIND_S, 0), (0.61, 15), (2.01, 50)])
def test_only_far_behind_are_ticks_given_up(late_s: float, hopeless: int) -> None:
    """Up to half a second is caught up; beyond, all but the last tick due are left out."""
    ticks = Ticks(25)
    ticks.due(10.0)
    assert ticks.hopeless(10.0 + late_s) == hopeless


def test_half_the_rate_leaves_out_every_second_tick_and_never_the_first() -> None:
    """The ticks keep their numbers."""
    ticks = Ticks(25)
    assert [ticks.is_odd for _ in range(6) if ticks.advance() >= 0] == [True, False] * 3
    assert not Ticks(25).is_odd


def test_an_episode_is_told_once() -> None:
    """Ticks left out less than a second apart are one episode."""
    ticks = Ticks(25)
    assert [ticks.note_skipped(tick) for tick in (3, 4, 20, 45, 71, 72)] == [True, False, False, False, True, False]


def test_the_next_tick_shows_in_repr() -> None:
    """A log line says where the grid stands."""
    ticks = Ticks(25)
    ticks.advance()
    assert repr(ticks) == "<Ticks, 1 next>"

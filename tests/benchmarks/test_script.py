"""Tests for what is said in a film, and what its mouth should do meanwhile."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.lipsync.agreement import Values
from benchmarks.lipsync.script import Line, Script, script, wanted_gap, wanted_width, within
from training.visemes import NAMES

PAUSE = 0.5


def rows(**columns: float) -> Values:
    """One row of targets."""
    return np.array([[columns.get(name, 0.0) for name in NAMES]])


def line(steps: int, samples: int | None = None, level: float = 0.5) -> Line:
    """A sentence that is open all the time."""
    targets = np.repeat(rows(open=level).astype(np.float32), steps, axis=0)
    sound = np.full(steps * 160 if samples is None else samples, 0.1, np.float32)
    return Line(sound, targets, ((0.1, 0.3), (0.4, steps / 100)))


def test_the_gap_follows_the_jaw() -> None:
    """An open mouth without anything else has the gap of its jaw, a mouth at rest none."""
    assert wanted_gap(rows(open=0.8))[0] == pytest.approx(0.8)
    assert wanted_gap(rows())[0] == 0


def test_rounded_lips_part_half_as_far() -> None:
    """Round lips narrow the gap, in proportion."""
    assert wanted_gap(rows(open=0.8, round=1))[0] == pytest.approx(0.4)


@pytest.mark.parametrize(("close", "share"), [(0.2, 1.0), (0.65, 0.2), (1.0, 0.2)])
def test_closing_lips_part_less(close: float, share: float) -> None:
    """What little a closing sound leaves of the opening is seen to a fifth at most."""
    assert wanted_gap(rows(open=0.5, close=close))[0] == pytest.approx(0.5 * share)


def test_a_raised_tongue_brings_the_lips_nearer() -> None:
    """Behind a raised tongue the lips are nearer than the jaw would have them."""
    assert wanted_gap(rows(open=0.5, tongue=0.8))[0] == pytest.approx(0.3)


def test_the_width_is_spread_less_round() -> None:
    """Spread lips are wide, rounded ones narrow."""
    assert wanted_width(rows(wide=0.7, round=0.2))[0] == pytest.approx(0.5)
    assert wanted_width(rows(round=1))[0] == pytest.approx(-1)


def test_times_lie_within_a_stretch_from_its_start_up_to_its_end() -> None:
    """The start belongs to a stretch and its end to what follows."""
    times = np.array([0.9, 1.0, 1.5, 2.0, 3.5])
    assert within(times, [(1.0, 2.0), (3.0, 4.0)]).tolist() == [False, True, True, False, True]
    assert not within(times, []).any()


def test_sound_and_curves_have_one_length() -> None:
    """However long its lines, a script's curves end with its sound, to the step."""
    made = script("a", [line(100), line(57)])
    assert len(made.sound) == (50 + 100 + 50 + 57 + 50) * 160
    assert {len(curve.values) for curve in (made.gap, made.width, made.close)} == {50 + 100 + 50 + 57 + 50}


def test_lines_lie_where_their_sound_lies() -> None:
    """The second line's mouth opens as its sound begins, though the first one ended within a step."""
    made = script("a", [line(100, samples=99 * 160 + 7), line(60)])
    second_s = PAUSE + 1.0 + PAUSE
    assert made.sound[round(second_s * 16_000)] > 0
    assert made.sound[round(second_s * 16_000) - 1] == 0
    assert made.gap.at(np.array([second_s - 0.1, second_s + 0.1])) == pytest.approx([0, 0.5])


def test_missing_targets_are_a_mouth_at_rest() -> None:
    """Sound that goes on behind the last target is met by a shut mouth."""
    short = Line(np.ones(160 * 40, np.float32), rows(open=0.5).astype(np.float32), ((0.0, 0.01),))
    assert script("a", [short]).gap.at(np.array([PAUSE + 0.3]))[0] == 0


def test_phrases_reach_from_the_first_sound_to_the_last() -> None:
    """Of each sentence the pauses within belong to its phrase, but not to its sounds."""
    made = script("a", [line(100), line(60)])
    assert np.ravel(made.phrases) == pytest.approx([0.6, 1.5, 2.1, 2.6])
    assert len(made.sounds) == 4
    assert within(np.array([0.85]), made.phrases).all()
    assert not within(np.array([0.85]), made.sounds).any()


def test_a_made_up_script_shuts_the_mouth(made_up: Callable[..., Script]) -> None:
    """The scripts of the other tests have closures, and speech between them."""
    made = made_up()
    assert 0.05 < (made.close.values > 0.5).mean() < 0.5
    assert np.ptp(made.width.values) > 0.2

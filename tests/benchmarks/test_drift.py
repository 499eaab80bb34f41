"""Tests for the trial by length."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.lipsync.drift import Recital, Scene, figures
from benchmarks.lipsync.script import Script
from benchmarks.lipsync.sight import Film
from benchmarks.lipsync.studio import Shot

PART_S = 13
PARTS = 4
MakeScript = Callable[..., Script]


@pytest.fixture
def recital(made_up: MakeScript) -> Recital:
    """A script of 13.5 seconds in parts of 13."""
    return Recital(made_up(), PART_S, PARTS)


def film(recital: Recital, stretch: float = 1.0, lost: int = 0) -> Film:
    """A mouth that follows on a clock of its own: ``stretch`` seconds of it for each of the sound."""
    numbers = np.arange(recital.frames - lost)
    times = (numbers + 0.5) / 25
    gaps = 0.05 + recital.script.gap.at((times / stretch) % PART_S)
    whole = Film(len(numbers), 25, numbers, gaps, gaps)
    watched = [(times >= start) & (times < end) for start, end in recital.watched_s]
    return whole.part(np.logical_or(*watched))


def test_every_part_says_the_same(recital: Recital) -> None:
    """The sound of each part is that of the first, to the sample, and all together make the frames that are wanted."""
    parts = recital.sound.reshape(PARTS, PART_S * 16_000)
    assert (parts == parts[0]).all()
    assert recital.frames == PARTS * PART_S * 25


def test_a_short_script_is_said_again(made_up: MakeScript) -> None:
    """A script that is shorter than a part fills it by beginning anew."""
    short = Recital(made_up(), 20, 2)
    length = len(short.script.sound)
    assert (short.sound[length : length + 1000] == short.script.sound[:1000]).all()


def test_only_the_ends_are_watched(recital: Recital) -> None:
    """The first and the last part."""
    assert recital.watched_s == ((0.0, 13.0), (39.0, 52.0))


def test_an_even_clock_does_not_drift(recital: Recital) -> None:
    """A film as long as its sound has no drift, and says so with its counts."""
    found = figures(Scene(recital, Shot(film(recital), wall_s=13.0)))
    assert found["drift_frames"] == found["first_lag_ms"] == found["last_lag_ms"] == 0
    assert found["frames"] == found["frames_wanted"] == 1300
    assert found["real_time_factor"] == 4


def test_a_slow_clock_drifts(recital: Recital) -> None:
    """A picture that takes 0.2 % longer than its sound is two frames late after 45 seconds."""
    found = figures(Scene(recital, Shot(film(recital, 1.002), wall_s=1.0)))
    assert found["drift_frames"] == 2
    assert found["last_lag_ms"] > found["first_lag_ms"]


def test_a_lost_frame_shows_in_the_count(recital: Recital) -> None:
    """Frames that are missing are told by the counts."""
    found = figures(Scene(recital, Shot(film(recital, lost=1), wall_s=1.0)))
    assert found["frames"] == found["frames_wanted"] - 1

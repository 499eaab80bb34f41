"""Tests for the trial by held-out voices, with mouths that are made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.lipsync.ruler import Ruler
from benchmarks.lipsync.script import Script
from benchmarks.lipsync.sight import Film
from benchmarks.lipsync.synthetic import SHUT_MARGIN, Scene, figures

MakeScript = Callable[..., Script]
MakeFilm = Callable[..., Film]


@pytest.fixture
def scene(made_up: MakeScript, obedient: MakeFilm, ruler: Ruler) -> Callable[..., Scene]:
    """Return what makes a scene of a mouth that obeys, some seconds late."""

    def make(seed: int = 0, delay_s: float = 0.0, portrait: str = "one") -> Scene:
        wanted = made_up(seed)
        return Scene(portrait, wanted, obedient(wanted, delay_s), ruler)

    return make


def test_an_obedient_mouth_reaches_everything(scene: Callable[..., Scene]) -> None:
    """A mouth that does what is wanted has high r, no lag and every closure."""
    found = figures([scene(0), scene(1)])
    assert found["synthetic_open_r"] > 0.9
    assert found["synthetic_width_r"] > 0.99
    assert found["synthetic_lag_ms"] == 0
    assert found["closure_f1"] == found["closures_met"] == 1


def test_a_late_mouth_is_told(scene: Callable[..., Scene]) -> None:
    """A mouth 200 ms late has a lag of 200 ms, and its closures are not found at the lag that is allowed them."""
    found = figures([scene(0, 0.2), scene(1, 0.2)])
    assert found["synthetic_lag_ms"] == pytest.approx(200, abs=10)
    assert found["closure_f1"] < 0.2
    assert found["at_no_lag"]["synthetic_open_r"] < 0.3


def test_a_frame_of_lag_costs_no_closure(scene: Callable[..., Scene]) -> None:
    """Up to 40 ms the closures are compared at the lag of the openings."""
    assert figures([scene(0, 0.04)])["closure_f1"] > 0.95


def test_a_mouth_that_follows_other_sound_fails(scene: Callable[..., Scene]) -> None:
    """A mouth that follows another speech agrees with neither opening, width nor closures."""
    scenes = [replace(scene(seed), film=scene(seed + 10).film) for seed in range(6)]
    found = figures(scenes)
    assert found["at_no_lag"]["synthetic_open_r"] < 0.5
    assert abs(found["at_no_lag"]["synthetic_width_r"]) < 0.15


def test_chance_is_reported_beside_the_figures(scene: Callable[..., Scene]) -> None:
    """The control compares with what was wanted at another time."""
    assert abs(figures([scene(seed) for seed in range(4)])["control_other_speech_r"]) < 0.3


def test_a_still_mouth_scores_nothing(scene: Callable[..., Scene]) -> None:
    """A mouth that neither moves nor shuts has no r and no F1."""
    good = scene()
    still = Film(good.film.frames, 25, good.film.numbers, good.film.gaps * 0 + 0.1, good.film.widths * 0 + 0.6)
    found = figures([Scene("one", good.script, still, good.ruler)])
    assert (found["synthetic_open_r"], found["synthetic_width_r"], found["closure_f1"]) == (0, 0, 0)


def test_rest_in_pauses_is_no_closure(scene: Callable[..., Scene]) -> None:
    """Shut lips between the sounds are neither right nor wrong."""
    good = scene()
    pauses = ~good.sounding(0.0)
    resting = replace(good.film, gaps=np.where(pauses, good.ruler.shut, good.film.gaps))
    assert Scene("one", good.script, resting, good.ruler).closures(0.0) == good.closures(0.0)


def test_shut_is_what_the_detector_cannot_tell_from_shut(scene: Callable[..., Scene]) -> None:
    """A gap within the margin above that of shut lips is shut, and one beyond is not."""
    good = scene()
    edge = good.ruler.shut + SHUT_MARGIN
    gaps = np.where(np.arange(good.film.frames) % 2, edge - 1e-6, edge + 1e-6)
    found = Scene("one", good.script, replace(good.film, gaps=gaps), good.ruler).shut
    assert found.tolist() == (np.arange(good.film.frames) % 2 == 1).tolist()


def test_portraits_and_voices_have_their_own_figures(scene: Callable[..., Scene]) -> None:
    """A portrait whose mouth is late shows in its own figures."""
    found = figures([scene(0, portrait="good"), scene(1, 0.12, portrait="late")])
    assert found["by_portrait"]["good"]["own_lag_ms"] == 0
    assert found["by_portrait"]["late"]["own_lag_ms"] == pytest.approx(120, abs=10)
    assert set(found["by_voice"]) == {"voice 0", "voice 1"}

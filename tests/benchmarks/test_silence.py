"""Tests for the trial by silence: its sounds, and that a mouth which does not rest is told."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.lipsync.agreement import Values
from benchmarks.lipsync.script import Script
from benchmarks.lipsync.sight import Film
from benchmarks.lipsync.silence import Quiet, Scene, cases, figures, room_noise

MakeScript = Callable[..., Script]
REST = 0.05


def db(sound: Values) -> float:
    """Level of a sound."""
    return 10 * float(np.log10(np.mean(np.square(sound, dtype=np.float64))))


@pytest.fixture
def quiet(made_up: MakeScript) -> dict[str, Quiet]:
    """Two seconds of each kind."""
    return {case.name: case for case in cases(made_up(), 2.0)}


def scene(case: Quiet, gaps: Values, portrait: str = "one") -> Scene:
    """A film of these gaps, as many as there are."""
    numbers = np.arange(len(gaps))
    return Scene(portrait, case, Film(len(gaps), 25, numbers, gaps, np.ones(len(gaps))), REST)


def test_silence_is_silent(quiet: dict[str, Quiet]) -> None:
    """Digital silence has no sample that is not zero, and all of it counts."""
    assert not quiet["silence"].sound.any()
    assert quiet["silence"].stretches == ((0.0, 2.0),)


def test_room_noise_lies_20_db_below_speech(quiet: dict[str, Quiet], made_up: MakeScript) -> None:
    """The noise is as loud with speech as alone: a tenth of the amplitude of the speech."""
    speech = made_up()
    first, last = (round(time * 16_000) for time in speech.phrases[0])
    assert db(quiet["room"].sound) == pytest.approx(db(speech.sound[first:last]) - 20, abs=0.1)
    behind = quiet["room_after_speech"].sound - quiet["silence_after_speech"].sound
    assert db(behind) == pytest.approx(db(quiet["room"].sound), abs=0.1)


def test_room_noise_falls_towards_high_frequencies() -> None:
    """Each octave holds about the same power, so an octave higher has half the density."""
    power = np.abs(np.fft.rfft(room_noise(160_000, 0.1))) ** 2
    low, high = power[5_000:10_000].mean(), power[20_000:40_000].mean()
    assert 10 * np.log10(low / high) == pytest.approx(6, abs=0.5)


def test_the_mouth_has_120_ms_to_close(quiet: dict[str, Quiet], made_up: MakeScript) -> None:
    """Behind speech frames count from 120 ms after the last sound on, up to the end of the sound."""
    case = quiet["silence_after_speech"]
    [(start, end)] = case.stretches
    assert start == pytest.approx(made_up().phrases[0][1] + 0.12, abs=1e-3)
    assert end == pytest.approx(len(case.sound) / 16_000)
    assert not case.sound[round((start - 0.11) * 16_000) :].any()


def test_a_mouth_at_rest_is_never_open(quiet: dict[str, Quiet]) -> None:
    """A gap within the margin above that at rest is closed."""
    assert figures([scene(quiet["silence"], np.full(50, REST + 0.029))])["silence_open_fraction"] == 0


def test_a_flapping_mouth_is_told(quiet: dict[str, Quiet]) -> None:
    """Each frame with a gap beyond the margin counts."""
    gaps = np.full(50, REST)
    gaps[::5] = REST + 0.031
    assert figures([scene(quiet["room"], gaps)])["silence_open_fraction"] == pytest.approx(0.2)


def test_speech_before_the_silence_does_not_count(quiet: dict[str, Quiet]) -> None:
    """A mouth that is open while it speaks, and closes in time, is at rest."""
    case = quiet["silence_after_speech"]
    [(start, end)] = case.stretches
    shown = np.arange(round(end * 25)) / 25
    in_time, late = (np.where(shown < start + delay, 0.2, REST) for delay in (0.0, 0.04))
    assert figures([scene(case, in_time)])["silence_open_fraction"] == 0
    assert figures([scene(case, late)])["silence_open_fraction"] > 0


def test_cases_and_portraits_have_their_own_shares(quiet: dict[str, Quiet]) -> None:
    """Where one portrait's mouth hangs open in one case, that case and that portrait tell it; frames count alike."""
    calm, agape = np.full(50, REST), np.full(50, 0.2)
    found = figures([scene(quiet["silence"], calm), scene(quiet["room"], agape), scene(quiet["room"], calm, "two")])
    assert found["by_case"] == {"silence": 0, "room": 0.5}
    assert found["by_portrait"] == {"one": 0.5, "two": 0}
    assert found["silence_open_fraction"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["frames"] == 150

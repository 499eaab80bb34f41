"""Tests for the figures of the lip-sync evaluation: that they find what is there, and fail where nothing is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.lipsync import agreement
from benchmarks.lipsync.agreement import Closures, Comparison, Curve, Mask, Values

FPS = 25
SECONDS = 20


def speech(seed: int = 0, seconds: float = SECONDS) -> Curve:
    """A mouth that opens and shuts some four times a second, as in speech."""
    steps = round(seconds * 100)
    noise = np.random.default_rng(seed).standard_normal(steps + 60)
    return Curve(np.convolve(noise, np.hanning(16), "same")[30:-30][:steps], 100)


def film(shown: Curve, delay_s: float = 0.0, noise: float = 0.0, seconds: float = SECONDS) -> tuple[Values, Values]:
    """The frames of a mouth that follows a curve ``delay_s`` late, seen with some noise."""
    times = (np.arange(round(seconds * FPS)) + 0.5) / FPS
    seen = 0.05 + 0.1 * shown.at(times - delay_s)
    return times, seen + noise * np.random.default_rng(99).standard_normal(len(times))


def compared(wanted: Curve, shown: Curve | None = None, delay_s: float = 0.0, noise: float = 0.0) -> Comparison:
    """A film of what was wanted, or of another curve, beside it; the ends are left out."""
    times, seen = film(wanted if shown is None else shown, delay_s, noise)
    return Comparison(times, seen, wanted, (times > 0.5) & (times < SECONDS - 0.5))


def mask(text: str) -> Mask:
    """A mask written as a picture: ``x`` is true."""
    return np.array([letter == "x" for letter in text])


def test_a_curve_holds_its_values_in_the_middle_of_its_steps() -> None:
    """Step k of a curve at 100 Hz is what it is at (k + 0.5) / 100 s, and its ends go on."""
    curve = Curve(np.array([1.0, 3.0]), 100)
    assert curve.at(np.array([-1, 0.005, 0.010, 0.015, 9])).tolist() == pytest.approx([1, 1, 2, 3, 3])


def test_a_perfect_film_agrees_fully_and_at_once() -> None:
    """Where the picture shows what is wanted when it is wanted, r is 1 and the lag 0."""
    perfect = compared(speech())
    assert perfect.r(0) == pytest.approx(1)
    assert agreement.common_lag([perfect]) == 0


@pytest.mark.parametrize("delay_ms", [-200, -40, 30, 200])
def test_a_late_picture_shows_its_lag(delay_ms: int) -> None:
    """A picture that comes 200 ms late has a lag of 200 ms, one that comes too early a negative one."""
    late = compared(speech(), delay_s=delay_ms / 1000, noise=0.01)
    assert agreement.common_lag([late]) == pytest.approx(delay_ms / 1000)
    assert late.r(delay_ms / 1000) > 0.95


def test_a_late_picture_agrees_less_at_no_lag() -> None:
    """The figure at lag 0 tells that a picture is 200 ms late."""
    assert abs(compared(speech(), delay_s=0.2).r(0)) < 0.2


def test_another_speech_does_not_agree() -> None:
    """A mouth that follows other sound than what is heard has an r near 0, at the best lag too."""
    others = [compared(speech(seed), speech(seed + 100)) for seed in range(12)]
    assert abs(agreement.mean_r(others, 0)) < 0.1
    assert agreement.mean_r(others, agreement.common_lag(others)) < 0.15


def test_the_lag_is_one_for_all_films() -> None:
    """Two films that are late and one that is early share the lag of the many; their mean r is below 1."""
    films = [compared(speech(seed), delay_s=delay) for seed, delay in enumerate([0.08, 0.08, -0.04])]
    lag = agreement.common_lag(films)
    assert lag == pytest.approx(0.08)
    assert agreement.mean_r(films, lag) < 0.9


def test_the_search_keeps_within_its_bound() -> None:
    """Allowed 40 ms, the search finds no lag beyond, however late the picture is."""
    assert agreement.common_lag([compared(speech(), delay_s=0.06)], 0.04) == pytest.approx(0.04)


def test_of_equal_lags_the_shortest_counts() -> None:
    """A mouth that never moves agrees equally at all lags: its lag is 0, not the first of the search."""
    still = Comparison(np.arange(50) / FPS, np.ones(50), speech(), np.ones(50, bool))
    assert agreement.common_lag([still]) == 0


def test_a_still_mouth_agrees_with_nothing() -> None:
    """Correlation with what never changes is 0 and no failure; so is that of a handful of frames."""
    assert agreement.correlation(np.ones(50), np.arange(50.0)) == 0
    assert agreement.correlation(np.arange(50.0), np.ones(50)) == 0
    assert agreement.correlation(np.arange(4.0), np.arange(4.0)) == 0


def test_correlation_is_pearsons() -> None:
    """The figure is numpy's r: blind to scale and offset, negative where the mouth shuts as it should open."""
    left, right = np.random.default_rng(1).standard_normal((2, 40))
    assert agreement.correlation(left, right) == pytest.approx(np.corrcoef(left, right)[0, 1])
    assert agreement.correlation(left, -3 * left + 7) == pytest.approx(-1)


def test_frames_that_do_not_count_change_nothing() -> None:
    """What was seen in uncounted frames has no part in r."""
    good = compared(speech())
    spoilt = Comparison(good.times, np.where(good.counted, good.seen, 5.0), good.wanted, good.counted)
    assert spoilt.r(0) == pytest.approx(1)


def test_closures_are_counted_frame_by_frame() -> None:
    """A closed frame beside a wanted one is false, and the wanted one missed: there is no tolerance in time."""
    found = agreement.closures(mask(".xx..x.x"), mask("..xx.x.."), mask("xxxxxxx."))
    assert found == Closures(hit=2, false=1, missed=1)
    assert found.precision == pytest.approx(2 / 3)
    assert found.recall == pytest.approx(2 / 3)
    assert found.f1 == pytest.approx(2 / 3)


def test_a_mouth_that_is_always_shut_earns_little() -> None:
    """Shut lips meet every closure, so that precision has to hold against it."""
    wanted = mask("x" + "." * 9)
    always = agreement.closures(np.ones(10, bool), wanted, np.ones(10, bool))
    assert always.recall == 1
    assert always.f1 < 0.2


def test_a_mouth_that_never_shuts_earns_nothing() -> None:
    """Without a closed frame F1 is 0 and no division by zero."""
    nothing = np.zeros(10, bool)
    assert agreement.closures(nothing, mask("x" + "." * 9), np.ones(10, bool)).f1 == 0
    assert agreement.closures(nothing, nothing, np.ones(10, bool)) == Closures(0, 0, 0)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans())))
def test_closures_add_up(frames: list[tuple[bool, bool, bool]]) -> None:
    """The counts of two films together are those of one that shows both; F1 stays between 0 and 1."""
    seen, wanted, counted = np.array(frames, bool).reshape(-1, 3).T
    half = len(frames) // 2
    first = agreement.closures(seen[:half], wanted[:half], counted[:half])
    second = agreement.closures(seen[half:], wanted[half:], counted[half:])
    assert first + second == agreement.closures(seen, wanted, counted)
    assert 0 <= (first + second).f1 <= 1


def test_events_are_the_runs_of_a_mask() -> None:
    """Runs at both ends and single frames are runs too."""
    assert agreement.events(mask("xx..x.xxx")) == [slice(0, 2), slice(4, 5), slice(6, 9)]
    assert agreement.events(mask("")) == []


def test_a_closure_is_met_by_one_closed_frame() -> None:
    """A wanted closure counts as met if the lips are shut in one of its frames; uncounted ones do not exist."""
    assert agreement.met(mask("x....x..x"), mask("xx.xx..xx"), mask("xxxxxxx..")) == (1, 2)


def test_open_means_beyond_the_margin_above_rest() -> None:
    """Only counted frames whose gap is more than the margin above the gap at rest are open."""
    gaps = np.array([0.05, 0.07, 0.09, 0.09])
    assert agreement.open_fraction(gaps, 0.05, 0.03, mask("xxx.")) == pytest.approx(1 / 3)
    assert agreement.open_fraction(gaps, 0.05, 0.03, mask("....")) == 0


def test_drift_is_the_lag_that_came_to_be() -> None:
    """A film whose end is 80 ms later than its beginning has drifted by two frames; an even lag is no drift."""
    early, late = compared(speech(), delay_s=0.04), compared(speech(1), delay_s=0.12)
    assert agreement.drift_frames(early, late, FPS) == 2
    assert agreement.drift_frames(late, early, FPS) == -2
    assert agreement.drift_frames(late, compared(speech(2), delay_s=0.12), FPS) == 0

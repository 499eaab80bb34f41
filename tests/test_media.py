"""The arithmetic of media time."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar_service import media

_RATES = st.integers(8_000, 48_000)


@pytest.mark.parametrize(("fps", "samples", "ticks"), [(25, 640, 3600), (50, 320, 1800), (10, 1600, 9000)])
def test_a_frame_is_a_whole_number_of_samples_and_ticks(fps: int, samples: int, ticks: int) -> None:
    """Rates that divide both clocks are exact."""
    assert media.samples_per_frame(fps) == samples
    assert media.ticks_per_frame(fps) == ticks


@pytest.mark.parametrize("fps", [0, -25, 24, 30, 60, 16_001])
def test_uneven_frame_rates_are_refused(fps: int) -> None:
    """A rate that would make frames of different lengths is an error."""
    with pytest.raises(ValueError, match="does not divide"):
        media.samples_per_frame(fps)


@pytest.mark.parametrize(
    ("samples", "frames"), [(0, 0), (1, 1), (640, 1), (641, 2), (16_000, 25), (57_600_001, 90_001)]
)
def test_frames_are_counted_up(samples: int, frames: int) -> None:
    """A started frame counts."""
    assert media.frames_for(samples, 25) == frames


@given(samples=st.integers(0, 10**9), rate_hz=_RATES)
def test_resampling_never_changes_the_frame_count(samples: int, rate_hz: int) -> None:
    """Frames of the resampled audio are ceil(25 n / rate), as of the audio as sent."""
    frames = media.frames_for(media.resampled_length(samples, rate_hz), 25)
    assert frames == math.ceil(Fraction(25 * samples, rate_hz))


@given(samples=st.integers(0, 10**9), rate_hz=_RATES)
def test_resampled_length_is_the_next_whole_sample(samples: int, rate_hz: int) -> None:
    """The length is never short, and never a whole sample too long."""
    exact = Fraction(samples * 16_000, rate_hz)
    assert 0 <= media.resampled_length(samples, rate_hz) - exact < 1

"""Tests for what the detector sees of openings that are commanded."""

from __future__ import annotations

import numpy as np
import pytest

from avatar_service.assets import asset_path
from avatar_service.engine.portrait.rig import OPEN_REACH
from benchmarks.lipsync.ruler import LARGEST, UNIT, Ruler, measure_ruler


@pytest.fixture(scope="module")
def astronaut() -> Ruler:
    """The ruler of the sample portrait."""
    return measure_ruler(asset_path("astronaut.png"))


def test_the_detector_follows_what_is_drawn(astronaut: Ruler) -> None:
    """Measured gaps grow with the commanded ones, up to 0.15 eye distances."""
    assert astronaut.r > 0.9
    assert astronaut.commanded[[0, -1]] == pytest.approx([0, LARGEST * OPEN_REACH * UNIT])
    assert np.corrcoef(astronaut.commanded, astronaut.measured)[0, 1] > 0.95


def test_its_noise_is_small_beside_an_opening(astronaut: Ruler) -> None:
    """A single measurement is off by less than a tenth of what is measured."""
    assert 0 < astronaut.noise < 0.1 * np.ptp(astronaut.measured)


def test_a_smile_is_wider_than_rest_and_rest_than_shut(astronaut: Ruler) -> None:
    """The smiling portrait keeps a little of its opening as it idles, and nothing with shut lips."""
    assert astronaut.shut < astronaut.rest < astronaut.own
    assert set(astronaut.report()) == {"r", "noise", "shut", "rest", "own"}

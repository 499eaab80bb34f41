"""Noise by frame number."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from avatar_service.engine.imtalker.noise import WIDTH, frame_noise

SEEDS = st.integers(0, 2**64 - 1)


@given(seed=SEEDS, first=st.integers(0, 10**9), split=st.integers(0, 20))
def test_a_frame_has_its_noise_whoever_asks_for_it(seed: int, first: int, split: int) -> None:
    """However frames are grouped, each has the same numbers."""
    whole = frame_noise(seed, 1, first, 20)
    parts = np.concatenate([frame_noise(seed, 1, first, split), frame_noise(seed, 1, first + split, 20 - split)])
    assert np.array_equal(whole, parts)


def test_noise_is_standard_normal() -> None:
    """Mean 0, variance 1, no skew, tails as they should be, and finite."""
    noise = frame_noise(7, 1, 0, 6_000).ravel()
    assert abs(noise.mean()) < 0.01
    assert abs(noise.std() - 1) < 0.01
    assert abs((noise**3).mean()) < 0.03
    assert abs((noise**4).mean() - 3) < 0.06
    assert abs(np.mean(np.abs(noise) > 1.96) - 0.05) < 0.002


def test_neighbours_have_nothing_in_common() -> None:
    """Neither frames, nor columns, nor tracks, nor seeds."""
    noise = frame_noise(7, 1, 0, 3_000)
    one = noise.astype(np.float64)
    others = [noise[::-1], np.roll(noise, 1, axis=0), np.roll(noise, 1, axis=1), np.roll(noise, WIDTH // 2, axis=1)]
    others += [frame_noise(7, 2, 0, 3_000), frame_noise(8, 1, 0, 3_000)]
    for other in others:
        assert abs(np.mean(one * other)) < 0.02


def test_the_numbers_are_fixed_for_ever() -> None:
    """A seed gives the same face on every machine and under every version."""
    expected = [-1.1148558855056763, 1.6259573698043823, -0.560082733631134, -1.5935488939285278]
    assert np.allclose(frame_noise(42, 1, 100, 1)[0, :4], expected, atol=1e-6)
    assert frame_noise(42, 1, 0, 3).dtype == np.float32

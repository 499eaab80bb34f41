"""Speech as 16-bit PCM."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar_service.pcm import PCM_BYTES, to_pcm, to_samples


@given(st.lists(st.integers(-32768, 32767)))
def test_samples_are_pcm_and_back(numbers: list[int]) -> None:
    """Sixteen bits survive the way to an engine, none rounded."""
    pcm = np.array(numbers, "<i2").tobytes()
    assert len(pcm) == PCM_BYTES * len(numbers)
    assert to_samples(pcm).dtype == np.float32
    assert to_pcm(to_samples(pcm)) == pcm


@pytest.mark.parametrize(
    ("sample", "number"), [(0.25, 8192), (-1.0, -32768), (1.0, 32767), (7.5, 32767), (-8.0, -32768), (1.6 / 32768, 2)]
)
def test_samples_are_rounded_and_clipped(sample: float, number: int) -> None:
    """To the nearest of 65,536."""
    assert to_pcm(np.array([sample], np.float32)) == np.array([number], "<i2").tobytes()

"""What the speech-to-motion net hears: bands relative to the voice's own level, block by block."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar_service.engine.portrait.arrays import Floats
from avatar_service.engine.portrait.hearing import ANALYSES, BANDS, BLOCK, HEARD, OVERLAP, Hearing


def tone(pitch_hz: float, blocks: int, level: float = 1.0) -> Floats:
    """Return a sine with what precedes its blocks."""
    time = np.arange(OVERLAP + blocks * BLOCK) / 16_000
    return np.asarray(level * np.sin(2 * np.pi * pitch_hz * time), np.float32)


@given(blocks=st.integers(1, 8), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_blocks_together_are_heard_as_one_by_one(blocks: int, seed: int) -> None:
    """However many blocks come at once, the numbers are the same but for rounding."""
    sound = np.random.default_rng(seed).standard_normal(OVERLAP + blocks * BLOCK).astype(np.float32)
    together, levels = Hearing().hear(sound)
    hearing = Hearing()
    alone = [hearing.hear(sound[n * BLOCK : (n + 1) * BLOCK + OVERLAP]) for n in range(blocks)]
    assert together.shape == (blocks, HEARD)
    assert levels.shape == (blocks, ANALYSES)
    np.testing.assert_allclose(together, np.concatenate([heard for heard, _ in alone]), atol=1e-5)
    np.testing.assert_allclose(levels, np.concatenate([level for _, level in alone]), atol=1e-4)


def test_a_tone_is_heard_in_its_band() -> None:
    """A higher pitch is heard in a higher band."""
    loudest = []
    for pitch in (200, 800, 2_500, 6_000):
        heard, _ = Hearing().hear(tone(pitch, 4))
        loudest.append(int(heard.reshape(-1, BANDS)[-1].argmax()))
    assert loudest == sorted(set(loudest))


def test_loudness_does_not_change_what_is_heard_after_a_while() -> None:
    """Bands are relative to the recent peak, so a voice sounds the same near and far."""
    loud, quiet = (Hearing().hear(tone(800, 200, level))[0] for level in (0.5, 0.25))
    near, far = loud.reshape(-1, BANDS)[-1], quiet.reshape(-1, BANDS)[-1]
    strong = near > -1
    np.testing.assert_allclose(near[strong], far[strong], atol=0.05)


@pytest.mark.parametrize("constant", [0.0, 0.5, -1.0])
def test_a_constant_is_silence(constant: float) -> None:
    """Direct current has no level."""
    _, levels = Hearing().hear(np.full(OVERLAP + 3 * BLOCK, constant, np.float32))
    assert levels.max() < -70

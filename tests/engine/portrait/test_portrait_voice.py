"""The rule from sound to lips: what it can tell apart and what it ignores."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_service.engine.portrait.voice import CONTEXT, FRAME, LOOK_AHEAD, Articulation, Voice

SIZE = CONTEXT + FRAME + LOOK_AHEAD


def hear(sound: NDArray[np.float32], frames: int = 12) -> list[Articulation]:
    """Return what a fresh voice makes of a sound."""
    voice = Voice()
    return [voice.articulate(sound[number * FRAME : number * FRAME + SIZE]) for number in range(frames)]


def vowel(first: float, second: float, seconds: float = 1.0) -> NDArray[np.float32]:
    """Return a voiced sound with two formants, at these frequencies in Hz."""
    time = np.arange(round(seconds * 16_000)) / 16_000
    sound = np.zeros_like(time)
    for number in range(1, 60):
        pitch = 120 * number
        strength = sum(1 / (1 + ((pitch - formant) / 90) ** 2) for formant in (first, second))
        sound += strength / number**0.5 * np.sin(2 * np.pi * pitch * time + number)
    return (0.1 * sound / np.sqrt(np.mean(sound**2))).astype(np.float32)


def mean(said: list[Articulation], name: str) -> float:
    """Return the mean of a field over the steady part."""
    return float(np.mean([getattr(one, name) for one in said[4:]]))


def test_open_vowel_opens_more_than_close_ones() -> None:
    """An "ah" opens the mouth wider than an "ee" or an "oo"."""
    ah, ee, oo = (hear(vowel(*formants)) for formants in ((750, 1200), (280, 2300), (300, 750)))
    assert mean(ah, "open") > mean(ee, "open") + 0.1
    assert mean(ah, "open") > mean(oo, "open") + 0.05


def test_front_vowel_widens_and_back_vowel_rounds() -> None:
    """An "ee" is wide and not round, an "oo" round and not wide."""
    ee, oo = hear(vowel(280, 2300)), hear(vowel(300, 750))
    assert mean(ee, "wide") > mean(oo, "wide") + 0.2
    assert mean(oo, "round") > mean(ee, "round") + 0.2


def test_hiss_shows_teeth_without_a_wide_jaw() -> None:
    """An "s" lowers the lower lip and hardly opens."""
    noise = np.random.default_rng(0).standard_normal(16_000)
    spectrum = np.fft.rfft(noise)
    spectrum[:4000] = 0
    hiss = (0.08 * np.fft.irfft(spectrum)).astype(np.float32)
    said = hear(hiss)
    assert mean(said, "lolip") > 0.2
    assert 0.05 < mean(said, "open") < 0.3


def test_short_dip_closes_the_lips() -> None:
    """A voice that all but stops for 60 ms is taken for a "b" or an "m"."""
    sound = vowel(700, 1200)
    sound[8000:8960] *= 0.01
    assert max(one.close for one in hear(sound, 16)) > 0.5
    assert max(one.close for one in hear(vowel(700, 1200), 16)) == 0


def test_lips_lead_the_sound(voice_like: Callable[..., NDArray[np.float32]]) -> None:
    """The mouth opens a little before the voice is heard, never long before."""
    sound = np.concatenate([np.zeros(CONTEXT + 10 * FRAME), voice_like(0.6)]).astype(np.float32)
    opening = [one.open for one in hear(sound, 16)]
    assert max(opening[:8]) == 0
    assert opening[9] + opening[10] > 0.1


@pytest.mark.parametrize("level", [1e-6, 1e-4, 1e-3])
def test_faint_sounds_are_silence(level: float) -> None:
    """Sounds below -50 dB of full scale leave the lips alone and do not count as speech."""
    noise = (level * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)
    assert all(one == Articulation() for one in hear(noise))


def test_everything_stays_within_bounds() -> None:
    """Even full-scale noise and clipped tones give values from 0 to 1."""
    generator = np.random.default_rng(0)
    for sound in (generator.uniform(-1, 1, 16_000), np.sign(np.sin(np.arange(16_000) / 9))):
        for said in hear(sound.astype(np.float32)):
            values = [getattr(said, name) for name in Articulation.__dataclass_fields__]
            assert min(values) >= 0
            assert max(values) <= 1

"""Speech at any rate, in any pieces, becomes the same speech at 16 kHz."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar_service.media import resampled_length
from avatar_service.pcm import to_pcm, to_samples
from avatar_service.resampler import Resampler, resampling_lag

Split = Callable[[bytes, Sequence[int], int], list[bytes]]

RATES = [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000]


def resampled(rate: int, pieces: Sequence[bytes]) -> bytes:
    """Return all that comes out."""
    resampler = Resampler(rate)
    return b"".join([*map(resampler.push, pieces), resampler.flush()])


def noise(count: int, seed: int = 0) -> bytes:
    """Return so many samples of it."""
    return to_pcm(np.random.default_rng(seed).uniform(-0.5, 0.5, count).astype(np.float32))


@pytest.mark.parametrize("rate", RATES)
def test_sound_keeps_its_place(rate: int) -> None:
    """A tone comes out as the same tone, neither shifted nor damped, with 80 dB to the error."""
    tone = to_pcm(0.9 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32))
    expected = 0.9 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    heard = to_samples(resampled(rate, [tone]))
    error = (heard - expected)[400:-400]
    assert np.sqrt(np.mean(error**2)) < 0.9 / np.sqrt(2) * 1e-4


@settings(max_examples=60)
@given(rate=st.sampled_from(RATES), count=st.integers(0, 6_000), places=st.lists(st.integers(0, 6_000), max_size=12))
def test_any_pieces_give_the_same_bits(split: Split, rate: int, count: int, places: list[int]) -> None:
    """As many as there should be, empty pieces among them or not."""
    sound = noise(count)
    whole = resampled(rate, [sound])
    assert len(whole) == 2 * resampled_length(count, rate)
    assert resampled(rate, [b"", *split(sound, places, 2)]) == whole


@pytest.mark.parametrize("rate", RATES)
def test_no_more_is_held_back_than_is_said(rate: int) -> None:
    """So a frame can be made as soon as its audio, its look-ahead and this lag are there; and the bound is tight."""
    resampler = Resampler(rate)
    came = sum(len(resampler.push(bytes(2 * (rate // 50)))) for _ in range(50)) // 2
    held_back = resampled_length(50 * (rate // 50), rate) - came
    assert 0 <= resampling_lag(rate) - held_back <= 2


def test_another_one_remembers_nothing() -> None:
    """Whatever the last one heard."""
    first = resampled(44_100, [noise(3_000, 3)])
    resampled(44_100, [noise(3_000, 4)])
    assert resampled(44_100, [noise(3_000, 3)]) == first


def test_speech_that_needs_no_change_is_handed_on() -> None:
    """Untouched, and at once."""
    sound = noise(320)
    resampler = Resampler(16_000)
    assert resampler.push(sound) is sound
    assert resampler.flush() == b""

"""What of the sound the model is shown."""

from __future__ import annotations

import numpy as np
import pytest

from avatar_service.engine.base import MotionStep, Samples
from avatar_service.engine.imtalker.sound import FRAME, PAST, Loudness, Window, hear, unbroken

AHEAD = 5


def speech(seconds: float, level: float = 0.1, seed: int = 1) -> Samples:
    """Return noise."""
    return np.asarray(level * np.random.default_rng(seed).standard_normal(round(seconds * 16_000)), np.float32)


def steps(sound: Samples, hop: int, ahead: int = AHEAD, context: int = PAST) -> list[MotionStep]:
    """Return the steps of a segment, as the worker cuts them."""
    frames = -(-sound.size // FRAME)
    made = []
    for first in range(0, frames, hop):
        count = min(hop, frames - first)
        length = context + (count + ahead) * FRAME
        padded = np.concatenate([np.zeros(context, np.float32), sound, np.zeros(length, np.float32)])
        window = padded[first * FRAME : first * FRAME + length]
        remaining = min(sound.size - first * FRAME, length - context)
        made.append(MotionStep(None, window, count, first, remaining))
    return made


def heard(sound: Samples, hop: int, ahead: int = AHEAD) -> list[Window]:
    """Return what the model hears of a segment, hop by hop."""
    loudness = Loudness()
    return [hear(step, PAST, loudness) for step in steps(sound, hop, ahead)]


def test_a_window_is_the_past_the_hop_and_the_look_ahead() -> None:
    """Six seconds of past at most, and whole frames."""
    windows = heard(speech(12), hop=5)
    for number, window in enumerate(windows):
        assert window.past == min(5 * number, 150)
        assert window.samples.size == (window.past + 5 + window.ahead) * FRAME
        assert window.samples.dtype == np.float32
    assert {window.ahead for window in windows[:-2]} == {AHEAD}


@pytest.mark.parametrize("samples", [1, 639, 640, 641, 5_000, 16_000, 16_001])
def test_a_window_ends_with_its_segment(samples: int) -> None:
    """The last sample is repeated to the end of its frame, and no silence follows that nobody spoke."""
    last = heard(speech(2, seed=3)[:samples], hop=5)[-1]
    frames = -(-samples // FRAME)
    assert last.past + (frames - last.past) == frames
    assert last.ahead == 0
    real = samples - (frames - last.samples.size // FRAME) * FRAME
    assert np.ptp(last.samples[real - 1 :]) == 0


def test_a_segment_seen_whole_is_normalised_as_the_reference_does() -> None:
    """Mean 0 and variance 1 of the padded utterance."""
    sound = speech(0.5, level=0.01) + np.float32(0.2)
    [window] = heard(sound, hop=20)
    padded = np.concatenate([sound, np.full(-sound.size % FRAME, sound[-1], np.float32)]).astype(np.float64)
    expected = (padded - padded.mean()) / np.sqrt(padded.var() + 1e-7)
    assert np.allclose(window.samples, expected, atol=1e-4)


def test_the_statistics_come_to_those_of_the_whole() -> None:
    """After some seconds a stream hears what a whole utterance would sound like, however loud it is."""
    for level in (0.01, 0.05, 0.3):
        last = heard(speech(8, level), hop=5)[-3]
        assert abs(last.samples[-16_000:].std() - 1) < (0.2 if level < 0.05 else 0.05)


def test_every_sample_is_counted_once() -> None:
    """Windows overlap; what they share is not counted again."""
    sound = speech(3)
    loudness = Loudness()
    for step in steps(sound, hop=7):
        hear(step, PAST, loudness)
    assert loudness.heard == -(-sound.size // FRAME) * FRAME
    assert loudness.total == pytest.approx(float(sound.sum(dtype=np.float64)), abs=1e-3)


def test_silence_is_not_blown_up() -> None:
    """A hiss that nobody would call speech stays far below it, and a pause of minutes does not make speech a shout."""
    assert np.abs(heard(speech(2, level=1e-5), hop=5)[3].samples).max() < 0.1
    paused = np.concatenate([speech(60, level=1e-5), speech(4, level=0.06)])
    assert heard(paused, hop=25)[-1].samples[-32_000:].std() < 4


def test_a_broken_sample_is_silence() -> None:
    """It neither spreads nor stays."""
    sound = np.array([0.5, np.nan, np.inf, -np.inf, -3.0], np.float32)
    assert np.array_equal(unbroken(sound), np.array([0.5, 0.0, 1.0, -1.0, -1.0], np.float32))

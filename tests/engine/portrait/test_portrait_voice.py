"""From sound to lips: what real speech does, and what leaves the mouth at rest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from avatar_service.engine.base import Preset
from avatar_service.engine.portrait.voice import (
    FRAME,
    LARGEST_OPENING,
    LOOK_AHEADS,
    Articulation,
    Voice,
    articulation,
)

Sound = NDArray[np.float32]
PRESETS = pytest.mark.parametrize("preset", [Preset.LOWEST_LATENCY, Preset.BALANCED], ids=lambda preset: preset.name)
CLOSES_WITHIN = 3
"""Frames, 120 ms."""


def hear(sound: Sound, preset: Preset = Preset.BALANCED) -> list[Articulation]:
    """Return what a fresh voice makes of a whole segment."""
    ahead = LOOK_AHEADS[preset]
    voice, frames = Voice(ahead), -(-len(sound) // FRAME)
    padded = np.concatenate([sound, np.zeros(FRAME + ahead)]).astype(np.float32)
    return [voice.articulate(padded[n * FRAME : (n + 1) * FRAME + ahead]) for n in range(frames)]


def openings(sound: Sound, preset: Preset = Preset.BALANCED) -> NDArray[np.float64]:
    """Return how far the mouth is open in each frame."""
    return np.array([said.open for said in hear(np.asarray(sound, np.float32), preset)])


def level(sound: Sound) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(np.square(sound))))


@pytest.fixture(scope="module")
def loud_moment(speech: Sound) -> int:
    """Return the sample at whose place a vowel is at its widest."""
    return (int(openings(speech).argmax()) + 1) * FRAME


def sounds() -> dict[str, Sound]:
    """Return three seconds each of what is no speech."""
    random = np.random.default_rng(0)
    time = np.arange(48_000) / 16_000
    made = {
        "silence": np.zeros(48_000),
        "direct current": np.full(48_000, 0.5),
        "full-scale square": np.sign(np.sin(2 * np.pi * 200 * time)),
        "white noise": 0.1 * random.standard_normal(48_000),
        "full-scale noise": random.uniform(-1, 1, 48_000),
        "room": 3e-3 * np.convolve(random.standard_normal(48_000), np.ones(8) / 8, "same"),
        "hum": 0.05 * np.sin(2 * np.pi * 50 * time),
    }
    return {name: np.asarray(sound, np.float32) for name, sound in made.items()}


@PRESETS
def test_the_mouth_moves_with_speech(speech: Sound, preset: Preset) -> None:
    """It opens and shuts again and again, rounds, widens, and presses its lips together."""
    said = hear(speech, preset)
    opening = np.array([one.open for one in said])
    assert opening.max() > 0.4
    assert 0.2 < (opening > 0.1).mean() < 0.8
    assert (np.diff((opening > 0.1).astype(int)) == 1).sum() > 8
    for name, least in {"round": 0.3, "wide": 0.3, "close": 0.3, "lolip": 0.1}.items():
        assert max(getattr(one, name) for one in said) > least, name


@PRESETS
@pytest.mark.parametrize("name", sounds())
def test_what_is_no_speech_leaves_the_mouth_at_rest(name: str, preset: Preset) -> None:
    """Open in at most one frame of a hundred, and never wide."""
    opening = openings(sounds()[name], preset)
    assert (opening > 0.06).mean() <= 0.03
    assert opening.max() < 0.12


def test_a_held_chord_makes_no_mouth_flap() -> None:
    """Music may part the lips a little; it does not make them talk."""
    time = np.arange(64_000) / 16_000
    chord = 0.2 * sum(np.sin(2 * np.pi * pitch * time) for pitch in (220, 277, 330, 440))
    opening = openings(np.asarray(chord, np.float32))
    assert opening.max() < 0.3
    assert np.abs(np.diff(opening[5:])).max() < 0.1


@PRESETS
@pytest.mark.parametrize("noise_db", [-90, -20], ids=["in silence", "in a room at 20 dB"])
def test_the_mouth_shuts_when_speech_ends(speech: Sound, loud_moment: int, preset: Preset, noise_db: float) -> None:
    """Within 120 ms of a vowel cut off at its loudest, and it stays shut."""
    random = np.random.default_rng(0)
    sound = np.concatenate([speech[:loud_moment], np.zeros(32_000)])
    sound += level(speech) * 10 ** (noise_db / 20) * random.standard_normal(len(sound))
    opening = openings(np.asarray(sound, np.float32), preset)
    end = loud_moment // FRAME
    assert opening[end - 3 : end].max() > 0.2
    assert opening[end + CLOSES_WITHIN :].max() < 0.06


def test_noise_at_20_db_changes_little(speech: Sound) -> None:
    """A voice in a room moves the lips as the voice alone does."""
    noise = 0.1 * level(speech) * np.random.default_rng(0).standard_normal(len(speech))
    agreement = np.corrcoef(openings(speech), openings(np.asarray(speech + noise, np.float32)))[0, 1]
    assert agreement > 0.9


@pytest.mark.parametrize("gain", [0.03, 0.3, 20.0], ids=["faint", "quiet", "clipped"])
def test_lips_follow_at_any_level(speech: Sound, gain: float) -> None:
    """Faint, or clipped at full scale: the mouth speaks all the same."""
    agreement = np.corrcoef(openings(speech), openings(np.clip(gain * speech, -1, 1)))[0, 1]
    assert agreement > 0.75


def test_lips_do_not_lag(speech: Sound) -> None:
    """The opening goes with the loudness of its own frame, or a little before; never behind."""
    frames = len(speech) // FRAME
    loud = np.sqrt(np.square(speech[: frames * FRAME]).reshape(frames, FRAME).mean(axis=1))
    opening = openings(speech)[:frames]
    by_lag = [np.corrcoef(opening[3 + lag : frames - 3 + lag], loud[3 : frames - 3])[0, 1] for lag in range(-3, 4)]
    assert int(np.argmax(by_lag)) - 3 in {-2, -1, 0}


@pytest.mark.parametrize("samples", [1, FRAME - 1, FRAME, FRAME + 1])
def test_the_shortest_sounds_have_their_frames(samples: int) -> None:
    """One sample is one frame."""
    assert len(hear(np.ones(samples, np.float32))) == -(-samples // FRAME)


@given(sound=hnp.arrays(np.float32, st.integers(1, 4_000), elements=st.floats(-1, 1, width=32)))
@settings(max_examples=30, deadline=None)
def test_everything_stays_within_bounds(sound: Sound) -> None:
    """Whatever is heard, every value is from 0 to 1."""
    for said in hear(sound):
        values = [getattr(said, name) for name in Articulation.__dataclass_fields__]
        assert all(0 <= value <= 1 for value in values)


def test_segments_do_not_hear_each_other(speech: Sound, voice_like: Callable[..., Sound]) -> None:
    """A fresh voice has no memory of another one's sound."""
    alone = hear(speech[:16_000])
    hear(voice_like(1.0))
    assert hear(speech[:16_000]) == alone


def said(**face: float) -> Articulation:
    """Return what lips do for a face of somebody who speaks."""
    names = ("open", "round", "wide", "close", "fv", "tongue", "teeth")
    return articulation([*(face.get(name, 0.0) for name in names), 1.0], 1.0, 1.0)


def test_rounded_lips_part_less() -> None:
    """For the same jaw fully rounded lips part half as far, half rounded ones three quarters."""
    parted = [said(open=0.4, round=amount).open for amount in (0.0, 0.5, 1.0)]
    assert parted == pytest.approx([0.6, 0.45, 0.3])


def test_a_raised_tongue_brings_the_lips_nearer_and_never_shuts_them() -> None:
    """By a little of the way, and by half of a small opening at most."""
    assert said(open=0.4, tongue=1).open == pytest.approx(0.45)
    assert said(open=0.1, tongue=1).open == pytest.approx(0.075)


def test_the_widest_mouth_does_not_shout() -> None:
    """However sure the net is."""
    assert said(open=1.0).open == LARGEST_OPENING

"""Fixtures of the portrait engine's tests: one engine, one public-domain portrait, and media where they lie."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from avatar_service.assets import asset_path
from avatar_service.audio import AudioEncoding, AudioFormat, SpeechDecoder
from avatar_service.engine.base import MotionStep, Parameters, PrepareOptions, Preset, RenderStep
from avatar_service.engine.portrait.avatar import PortraitAvatar
from avatar_service.engine.portrait.engine import PortraitEngine, create
from avatar_service.engine.portrait.landmarks import FaceFinder
from avatar_service.engine.portrait.rig import Column, neutral_row
from avatar_service.pcm import to_samples

MEDIA = Path(__file__).resolve().parents[3] / ".." / "shared" / "media"

Render = Callable[..., NDArray[np.uint8]]


@pytest.fixture(scope="session")
def engine() -> PortraitEngine:
    """Return the engine, one for all tests."""
    return create()


@pytest.fixture(scope="session")
def finder() -> FaceFinder:
    """Return what looks at rendered frames."""
    return FaceFinder()


@pytest.fixture(scope="session")
def astronaut() -> NDArray[np.uint8]:
    """Return a public-domain portrait: a small smiling face in 512 x 512 pixels."""
    picture = np.asarray(Image.open(asset_path("astronaut.png")).convert("RGB"))
    picture.setflags(write=False)
    return picture


@pytest.fixture(scope="session")
def media() -> Callable[[str], NDArray[np.uint8]]:
    """Return a loader of pictures that only some machines have; it skips the test where they are absent."""

    def load(name: str) -> NDArray[np.uint8]:
        path = MEDIA / name
        if not path.is_file():
            pytest.skip(f"{name} is not on this machine")
        return np.asarray(Image.open(path).convert("RGB"))

    return load


@pytest.fixture(scope="session")
def avatar(engine: PortraitEngine, astronaut: NDArray[np.uint8]) -> PortraitAvatar:
    """Return the astronaut, ready to move."""
    return engine.prepare(astronaut, PrepareOptions())


@pytest.fixture(scope="session")
def render(engine: PortraitEngine) -> Render:
    """Draw an avatar from the columns that are given by name; the others are as in the portrait."""

    def draw(avatar: PortraitAvatar, **columns: float) -> NDArray[np.uint8]:
        row = neutral_row()
        for name, value in columns.items():
            row[Column[name.upper()]] = value
        return engine.render([RenderStep(avatar, row)])[0]

    return draw


@pytest.fixture(scope="session")
def speak(engine: PortraitEngine) -> Callable[..., NDArray[np.float32]]:
    """Feed a whole segment to a session, hop by hop, and return its rows."""

    def feed(
        sound: NDArray[np.float32],
        avatar: PortraitAvatar,
        state: object = None,
        seed: int = 1,
        preset: Preset = Preset.BALANCED,
    ) -> NDArray[np.float32]:
        spec = engine.spec.under(preset)
        state = state or engine.open(avatar, Parameters(seed=seed, preset=preset))
        size = spec.context + spec.frame_samples + spec.look_ahead
        padded = np.concatenate([np.zeros(spec.context), sound, np.zeros(size)]).astype(np.float32)
        rows = []
        for number in range(-(-len(sound) // spec.frame_samples)):
            start = number * spec.frame_samples
            left = min(len(sound) - start, spec.frame_samples + spec.look_ahead)
            step = MotionStep(state, padded[start : start + size], 1, number, left)
            rows.append(engine.motion([step])[0])
        return np.concatenate(rows)

    return feed


@pytest.fixture(scope="session")
def speech() -> NDArray[np.float32]:
    """Return the speech that the package ships, at 16 kHz."""
    with wave.open(str(asset_path("astronaut.png").with_name("speech.wav"))) as file:
        content = file.readframes(file.getnframes())
        decoder = SpeechDecoder(AudioFormat(AudioEncoding.LINEAR16, file.getframerate(), file.getnchannels()))
    pieces = [decoder.decode(content[start : start + 60_000]) for start in range(0, len(content), 60_000)]
    return to_samples(b"".join([*pieces, decoder.flush()]))


@pytest.fixture(scope="session")
def voice_like() -> Callable[..., NDArray[np.float32]]:
    """Make a buzz with open vowels' formants, ``seconds`` long."""

    def make(seconds: float, level: float = 0.1) -> NDArray[np.float32]:
        time = np.arange(round(seconds * 16_000)) / 16_000
        harmonics = [np.sin(2 * np.pi * 120 * n * time) / (1 + ((120 * n - 700) / 300) ** 2) for n in range(1, 40)]
        sound = np.sum(harmonics, axis=0)
        return (level * sound / max(np.sqrt(np.mean(sound**2)), 1e-9)).astype(np.float32)

    return make

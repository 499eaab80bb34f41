"""What the tests of the lip-sync evaluation share: a mouth that is made up, and scripts of made-up lines."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.lipsync.agreement import Values
from benchmarks.lipsync.ruler import Ruler
from benchmarks.lipsync.script import Line, Script, script
from benchmarks.lipsync.sight import Film
from training.visemes import NAMES

FPS = 25
SHUT = 0.02
WIDTH = 0.6
MakeScript = Callable[..., Script]
MakeFilm = Callable[..., Film]


def _line(seed: int, seconds: float) -> Line:
    """A made-up sentence: the mouth opens, spreads and rounds at random and shuts every half second."""
    random = np.random.default_rng(seed)
    steps = round(seconds * 100)
    smooth = [np.convolve(random.standard_normal(steps + 40), np.hanning(20), "same")[20:-20] for _ in range(3)]
    targets = np.zeros((steps, len(NAMES)), np.float32)
    targets[:, :3] = np.clip(0.4 + 0.1 * np.transpose(smooth), 0, 1)
    closed = np.arange(steps) % 50 < 8
    targets[closed, NAMES.index("open")] = 0
    targets[closed, NAMES.index("close")] = 1
    sound = random.uniform(-0.3, 0.3, round(seconds * 16_000)).astype(np.float32)
    return Line(sound, targets, ((0.1, seconds / 2), (seconds / 2 + 0.2, seconds - 0.1)))


@pytest.fixture(scope="session")
def made_up() -> MakeScript:
    """Return what makes a script of two made-up lines."""
    return lambda seed=0, seconds=6.0: script(f"voice {seed}", [_line(seed, seconds), _line(seed + 50, seconds)])


@pytest.fixture(scope="session")
def obedient() -> MakeFilm:
    """Return what makes the film of a mouth that does what a script wants, some seconds late."""

    def make(wanted: Script, delay_s: float = 0.0) -> Film:
        numbers = np.arange(len(wanted.sound) * FPS // 16_000)
        times: Values = (numbers + 0.5) / FPS - delay_s
        shut = wanted.close.at(times) >= 0.5
        gaps = np.where(shut, SHUT, SHUT + 0.02 + 0.15 * np.maximum(wanted.gap.at(times), 0))
        return Film(len(numbers), FPS, numbers, gaps, WIDTH + 0.1 * wanted.width.at(times))

    return make


@pytest.fixture(scope="session")
def ruler() -> Ruler:
    """Return the ruler of that mouth."""
    line = np.linspace(0, 0.15, 33)
    return Ruler(line, line + SHUT, noise=0.0, r=1.0, shut=SHUT, rest=SHUT, own=SHUT)

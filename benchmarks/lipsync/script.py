"""Owns what is said and what a mouth should do meanwhile: sentences of one voice, one after the other.

The wanted curves come from the times of the sounds as the synthesiser tells them, by the viseme table that the speech
model was trained with; voices and sentences are held out, so the model has met neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from avatar_service.media import SAMPLE_RATE_HZ
from benchmarks.lipsync.agreement import Curve, Mask, Values
from benchmarks.lipsync.studio import Sound
from training.visemes import NAMES, RATE_HZ

Stretch: TypeAlias = tuple[float, float]
"""From and to, in seconds."""
PAUSE_S: Final = 0.5
"""Before, between and after the sentences."""


@dataclass(frozen=True)
class Line:
    """One sentence: its sound, its viseme targets ``[n, 7]`` and the stretches that show its sounds, in order."""

    sound: Sound
    targets: NDArray[np.float32]
    sounds: tuple[Stretch, ...]


@dataclass(frozen=True)
class Script:
    """What is said in one film, and what is wanted of its mouth.

    Attributes:
        name: of the voice.
        sound: of the film.
        gap: between the inner lips, relative.
        width: of the mouth, relative.
        close: how far a sound wants the lips to be shut, 0-1.
        phrases: from the first sound of each sentence to its last one.
        sounds: of all sentences, without the pauses within.
    """

    name: str
    sound: Sound
    gap: Curve
    width: Curve
    close: Curve
    phrases: tuple[Stretch, ...]
    sounds: tuple[Stretch, ...]


def script(name: str, lines: Iterable[Line]) -> Script:
    """Return the script that says the lines one after the other, with pauses about them."""
    pause = np.zeros(round(PAUSE_S * SAMPLE_RATE_HZ), np.float32)
    still = np.zeros((round(PAUSE_S * RATE_HZ), len(NAMES)), np.float32)
    sound, targets = [pause], [still]
    phrases: list[Stretch] = []
    sounds: list[Stretch] = []
    start_s = PAUSE_S
    for line in lines:
        steps = -(-len(line.sound) * RATE_HZ // SAMPLE_RATE_HZ)
        sound += [_fitted(line.sound, steps * SAMPLE_RATE_HZ // RATE_HZ), pause]
        targets += [_fitted(line.targets, steps), still]
        moved = [(start + start_s, end + start_s) for start, end in line.sounds]
        sounds += moved
        phrases.append((moved[0][0], moved[-1][1]))
        start_s += steps / RATE_HZ + PAUSE_S
    every = np.concatenate(targets).astype(np.float64)
    curves = (wanted_gap(every), wanted_width(every), every[:, NAMES.index("close")])
    gap, width, close = (Curve(values, RATE_HZ) for values in curves)
    return Script(name, np.concatenate(sound), gap, width, close, tuple(phrases), tuple(sounds))


def wanted_gap(targets: Values) -> Values:
    """Return the gap between the inner lips that targets ``[n, 7]`` stand for: ``docs/lipsync.md``, "Lip-sync".

    ``open`` alone is not what is seen: rounded lips part less for the same jaw, closed ones not at all, and behind a
    raised tongue the lips are nearer than the jaw would have them.
    """
    open_, round_, close, tongue = (targets[:, NAMES.index(name)] for name in ("open", "round", "close", "tongue"))
    return np.asarray(open_ * (1 - 0.5 * round_) * (1 - 0.8 * np.clip((close - 0.2) / 0.45, 0, 1)) - 0.25 * tongue)


def wanted_width(targets: Values) -> Values:
    """Return the relative width of the mouth that targets ``[n, 7]`` stand for: spread lips less rounded ones."""
    return np.asarray(targets[:, NAMES.index("wide")] - targets[:, NAMES.index("round")])


def within(times: Values, stretches: Sequence[Stretch]) -> Mask:
    """Return which of the times lie in one of the stretches."""
    mask = np.zeros(len(times), bool)
    for start, end in stretches:
        mask |= (times >= start) & (times < end)
    return mask


def _fitted(values: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Return exactly ``length`` values: cut, or followed by zeros."""
    missing = max(0, length - len(values))
    return np.pad(values[:length], ((0, missing), *((0, 0) for _ in values.shape[1:])))

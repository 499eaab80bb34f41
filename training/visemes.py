"""Owns what a face does for a sound: the viseme table and its co-articulation. Source of all training targets.

A phone gives target values and dominances; where dominant phones meet weak ones, the dominant shape wins the
neighbourhood (Cohen and Massaro 1993): ``value = smooth(target * dominance) / smooth(dominance)``.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.speech import SAMPLE_RATE_HZ, SILENCE, Utterance

NAMES: Final = ("open", "round", "wide", "close", "fv", "tongue", "teeth")
"""The columns of all targets."""
CLOSURES: Final = slice(3, 5)
RATE_HZ: Final = 100
LEAD_S: Final = 0.04
"""Jaw and lips are in place before their sound is heard."""
CLOSURE_LEAD_S: Final = 0.03
"""Closed lips, and the lip on the teeth, are seen just before they silence the voice."""
SPREAD_S: Final = 0.045
"""Standard deviation of what a phone reaches into its neighbours."""
CLOSURE_SPREAD_S: Final = 0.022
"""The same for closed lips and the lip on the teeth, which are made and released quickly."""
CLOSURE_GAIN: Final = 1.35
"""Closures as short as a tap still reach 1."""
REST_DOMINANCE: Final = 0.6
"""Of the time between and outside phones."""


@dataclass(frozen=True, slots=True)
class Viseme:
    """What the mouth aims at for one sound.

    Attributes:
        target: ``[7]``, columns as in ``NAMES``.
        jaw: how firmly the opening is held against the neighbours' (1 is a full vowel's).
        lips: the same for the shape of the lips.
    """

    target: NDArray[np.float32]
    jaw: float
    lips: float

    @property
    def dominance(self) -> NDArray[np.float32]:
        """How firmly each column is held, ``[7]``."""
        return np.array([self.jaw, self.lips, self.lips, 1, 1, 0.7, 0.8], np.float32)


def _row(symbols: str, jaw: float = 1.0, lips: float = 1.0, **columns: float) -> dict[str, Viseme]:
    target = np.array([columns.get(name, 0.0) for name in NAMES], np.float32)
    return dict.fromkeys(symbols.split(), Viseme(target, jaw, lips))


TABLE: Final[dict[str, Viseme]] = {
    **_row(SILENCE, 0.9, 0.5),
    **_row("a ɑ ɐ", open=0.95, wide=0.10),
    **_row("ʌ", open=0.68, wide=0.10),
    **_row("æ", open=0.82, wide=0.40),
    **_row("ɛ", open=0.60, wide=0.40),
    **_row("e", open=0.50, wide=0.50),
    **_row("ɪ ᵻ", open=0.36, wide=0.42),
    **_row("i", open=0.27, wide=0.85),
    **_row("ɨ", open=0.28, wide=0.45),
    **_row("ə ɘ", 0.55, 0.4, open=0.34, round=0.05, wide=0.10),
    **_row("ɜ ɚ ɝ", 0.8, open=0.26, round=0.45),
    **_row("u y ʉ", 1.0, 1.6, open=0.14, round=1.0),
    **_row("ø œ", 1.0, 1.3, open=0.34, round=0.75),
    **_row("ʊ ɵ", open=0.24, round=0.65),
    **_row("ɔ ɒ", open=0.52, round=0.55),
    **_row("o", open=0.42, round=0.65),
    **_row("w ʍ ɥ", 1.2, 1.8, open=0.07, round=1.0),
    **_row("j ʝ ʎ", 0.8, 0.6, open=0.22, wide=0.5),
    **_row("m b p", 4.0, 0.25, close=1.0),
    **_row("β", 2.5, 0.25, open=0.06, close=0.6),
    **_row("f v ʋ", 2.5, 0.5, open=0.10, wide=0.08, fv=1.0),
    **_row("θ ð", 1.2, 0.4, open=0.18, wide=0.15, tongue=1.0),
    **_row("t d n ʈ ɖ ɳ", 0.9, 0.3, open=0.15, wide=0.15, tongue=0.7, teeth=0.3),
    **_row("l ɫ ɭ ʟ", 0.8, 0.3, open=0.26, wide=0.12, tongue=0.9),
    **_row("ɾ r ɽ", 0.6, 0.3, open=0.28, wide=0.1, tongue=0.7),
    **_row("ɹ", 0.8, 0.8, open=0.16, round=0.55, tongue=0.3),
    **_row("s z", 1.6, 0.6, open=0.13, wide=0.40, teeth=1.0, tongue=0.3),
    **_row("ʃ ʒ tʃ dʒ", 1.5, 1.1, open=0.17, round=0.60, teeth=1.0),
    **_row("ɕ ʑ ʂ ʐ tɕ dʑ", 1.5, 0.7, open=0.16, wide=0.2, teeth=1.0),
    **_row("ɲ c ɟ ç", 0.8, 0.4, open=0.24, wide=0.3, tongue=0.5),
    **_row("k ɡ ɣ ŋ x χ ʁ q", 0.5, 0.15, open=0.30, wide=0.05),
    **_row("h ɦ ʔ", 0.25, 0.08, open=0.32),
}


@functools.cache
def visemes(name: str) -> tuple[Viseme, ...]:
    """Return the shapes that a phone passes through, one for a plain sound, two or three for a diphthong.

    Length, breath, softening, nasality and stress are dropped; a name with nothing left (a synthesizer's own mark)
    gives none.
    """
    shapes, place = [], 0
    while place < len(name):
        pair, single = name[place : place + 2], name[place]
        known = pair if pair in TABLE else single
        if known in TABLE and not (known == "h" and place):
            shapes.append(TABLE[known])
        place += len(known)
    return tuple(shapes)


def targets(utterance: Utterance) -> NDArray[np.float32]:
    """Return what the face does, ``[T, 7]`` at 100 Hz, columns as in ``NAMES``, each 0-1.

    Row ``k`` is the face at ``(k + 0.5) / 100`` s; ``T`` covers the utterance, rounded up.
    """
    count = -(-utterance.samples.size * RATE_HZ // SAMPLE_RATE_HZ)
    goal, dominance = _goals(utterance, count, LEAD_S)
    face = _smoothed(goal * dominance, SPREAD_S) / np.maximum(_smoothed(dominance, SPREAD_S), 1e-4)
    closures = _goals(utterance, count, CLOSURE_LEAD_S)[0][:, CLOSURES]
    face[:, CLOSURES] = np.clip(_smoothed(closures, CLOSURE_SPREAD_S) * CLOSURE_GAIN, 0, 1)
    close, fv = face[:, CLOSURES].T
    face[:, 0] *= (1 - 0.92 * close) * (1 - 0.55 * fv)
    return np.asarray(face, np.float32)


def _goals(utterance: Utterance, count: int, lead_s: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return each row's target and dominance, in steps."""
    goal = np.zeros((count, len(NAMES)), np.float32)
    dominance = np.full((count, len(NAMES)), REST_DOMINANCE, np.float32)
    for phone in utterance.phones:
        first = max(round((phone.start_s - lead_s) * RATE_HZ), 0)
        last = min(max(round((phone.end_s - lead_s) * RATE_HZ), first + 1), count)
        shapes = visemes(phone.name)
        edges = [first + (last - first) * number // len(shapes) for number in range(len(shapes) + 1)] if shapes else []
        for shape, (start, end) in zip(shapes, itertools.pairwise(edges), strict=True):
            goal[start:end], dominance[start:end] = shape.target, shape.dominance
    return goal, dominance


def _smoothed(values: NDArray[np.float32], spread_s: float) -> NDArray[np.float32]:
    """Return the columns blurred by a Gauss curve; the first and the last row go on for ever."""
    reach = round(4 * spread_s * RATE_HZ)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (spread_s * RATE_HZ)) ** 2)
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    columns = [np.convolve(column, weights / weights.sum(), "valid") for column in padded.T]
    return np.stack(columns, axis=1).astype(np.float32)

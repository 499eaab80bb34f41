"""Owns the words of synthetic speech: a phone, an utterance, a voice. Knows no synthesizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ: Final = 16_000
SILENCE: Final = "_"
"""The name of a pause."""

Samples: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Phone:
    """One speech sound: an IPA symbol without stress and tone (or ``SILENCE``), and when it sounds, in seconds."""

    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Utterance:
    """Speech that knows its sounds.

    Attributes:
        samples: ``[n]`` float32 in [-1, 1] at 16 kHz.
        phones: in order, without overlap.
    """

    samples: Samples
    phones: tuple[Phone, ...]

    @property
    def duration_s(self) -> float:
        """Seconds of sound."""
        return self.samples.size / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks and how.

    Attributes:
        synthesizer: which program.
        name: the voice's name there, e.g. ``en-us+f2`` or ``slt``.
        language: of the sentences it can read, as in ``sentences.LANGUAGES``.
        pace: relative to the program's own, 0.5-2.
        pitch: relative to the voice's own, 0.5-2.
    """

    synthesizer: Literal["espeak", "flite"]
    name: str
    language: str
    pace: float = 1.0
    pitch: float = 1.0

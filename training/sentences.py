"""Owns what is read aloud: our own sentences in each language, those kept aside, and random text made of them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

FOLDER: Final = Path(__file__).parent / "sentences"
LANGUAGES: Final = ("en", "es", "de", "fr", "it", "hi", "zh", "pt", "ru")
_ASIDE: Final = "---"
"""In a file, what follows this line is never trained on."""
_CONSONANTS: Final = "p b m f v t d n l s z k g w r p b m sh ch th j y br pl st"
_VOWELS: Final = "ah ee oo oh ay eye aw ow uh eh"
_NONSENSE_SHARE, _SHUFFLED_SHARE = 0.15, 0.35


@dataclass(frozen=True, slots=True)
class Pool:
    """The sentences of one language."""

    training: tuple[str, ...]
    held_out: tuple[str, ...]


@functools.cache
def pool(language: str) -> Pool:
    """Return the sentences of one of ``LANGUAGES``."""
    training, _, held_out = (FOLDER / f"{language}.txt").read_text("utf-8").partition(f"{_ASIDE}\n")
    return Pool(tuple(training.splitlines()), tuple(held_out.splitlines()))


def random_text(language: str, random: np.random.Generator) -> str:
    """Return a sentence to train on, words of several sentences in any order, or (English) made-up syllables."""
    choice = random.random()
    sentences = pool(language).training
    if language == "en" and choice < _NONSENSE_SHARE:
        return _nonsense(random)
    if choice < _NONSENSE_SHARE + _SHUFFLED_SHARE:
        chosen = random.choice(len(sentences), 3, replace=False)
        words = " ".join(sentences[number] for number in chosen).split()
        return " ".join(random.permutation(words)[: random.integers(6, 12)])
    return sentences[random.integers(len(sentences))]


def _nonsense(random: np.random.Generator) -> str:
    consonants, vowels = _CONSONANTS.split(), _VOWELS.split()

    def word() -> str:
        return "".join(random.choice(consonants) + random.choice(vowels) for _ in range(random.integers(1, 4)))

    return " ".join(word() for _ in range(random.integers(4, 9))) + "."

"""Owns what the evaluation works on: portraits, held-out voices and sentences, and clips of real speakers."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from avatar_service.assets import asset_path
from benchmarks.lipsync.script import Line, Script, script
from training.synthesis import HELD_OUT_VOICES, Utterance, held_out_sentences, speak
from training.visemes import targets

MEDIA: Final = Path(__file__).resolve().parents[3] / "shared" / "media"
"""Larger media beside the checkout, where there are any; they may not be passed on."""


def portraits() -> list[Path]:
    """Return the photograph that every installation contains, and those beside the checkout."""
    return [asset_path("astronaut.png"), *sorted([*MEDIA.glob("*.png"), *MEDIA.glob("*.jpg")])]


def clips() -> list[Path]:
    """Return the clips of real speakers beside the checkout, if any."""
    return sorted(MEDIA.glob("talking_*.mp4"))

"""Owns the colours of a mouth: what its lips are like, and what suits teeth, tongue and the dark behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from avatar_service.engine.portrait import indices
from avatar_service.engine.portrait.arrays import Floats, Pixels, floats, luminance
from avatar_service.engine.portrait.face import Face

REDDER: Final = 2.0
"""By how much lips are redder than cheeks at the least, in CIELAB's a*; seen were 3.6 to 27."""
DARKER: Final = (1.5, 36.0)
"""By how much grey lips are darker than cheeks at the least, and any lips at the most, in L*; seen were 3.6 to 33.5."""
GREY: Final = 2.0
"""Chroma of the cheeks below which a portrait is grey."""


@dataclass(frozen=True)
class Palette:
    """RGB colours ``[3]`` float32, 0-255, fitted to the light and the tint of a portrait.

    Attributes:
        cavity: the dark of the mouth.
        tongue: its middle.
        tooth: the front of a tooth.
        neck: where it passes into the gum.
        gum: and the other flesh behind the lips.
    """

    cavity: Floats
    tongue: Floats
    tooth: Floats
    neck: Floats
    gum: Floats


def measure_palette(face: Face, frame: Pixels) -> Palette:
    """Return the colours that suit a frame; grey and sepia portraits get grey teeth and a grey tongue."""
    cheek, lips = _mean_colour(face, frame, indices.CHEEKS), _mean_colour(face, frame, indices.LIPS_RED)
    light = float(luminance(cheek))
    spread = float(cheek.max() - cheek.min()) / max(float(cheek.max()), 1.0)
    colourful = float(np.clip(spread / 0.25, 0, 1))
    cavity = floats([42, 16, 17]) * colourful + 24 * (1 - colourful)
    plain_tooth = np.clip(0.90 * light + 14, 45, 212) + colourful * floats([6, 0, -14])
    tint = cheek / max(light, 1.0) * float(luminance(plain_tooth))
    tooth = 0.65 * plain_tooth + 0.35 * tint
    tongue_light = np.clip(0.62 * float(luminance(lips)) + 0.10 * light, 18, 120)
    tongue = tongue_light * (floats([1.42, 0.72, 0.80]) * colourful + (1 - colourful))
    return Palette(
        cavity=floats(cavity * np.clip(light / 150, 0.4, 1.2)),
        tongue=floats(tongue),
        tooth=floats(tooth),
        neck=floats(tooth * (1 - floats([0.0, 0.05, 0.13]) * colourful)),
        gum=floats(0.55 * tongue + 0.1 * tooth),
    )


def shows_lips(face: Face, picture: Pixels) -> bool:
    """Return whether what lies where the lips should be looks like lips, and not like a hand or a microphone.

    Args:
        face: in the picture's pixels.
        picture: RGB ``[H, W, 3]``.
    """
    lips, cheek = (
        cv2.cvtColor(_mean_colour(face, picture, numbers)[None, None] / np.float32(255), cv2.COLOR_RGB2LAB)[0, 0]
        for numbers in (indices.LIPS_RED, indices.CHEEKS)
    )
    darker, redder = float(cheek[0] - lips[0]), float(lips[1] - cheek[1])
    if darker > DARKER[1]:
        return False
    return darker > DARKER[0] if np.hypot(cheek[1], cheek[2]) < GREY else redder > REDDER


def _mean_colour(face: Face, frame: Pixels, numbers: tuple[int, ...]) -> Floats:
    last = frame.shape[1] - 1, frame.shape[0] - 1
    places = np.clip(np.rint(face.flat[list(numbers)]), 0, last).astype(int)
    return floats(frame[places[:, 1], places[:, 0]].mean(axis=0))

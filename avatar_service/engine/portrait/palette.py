"""Owns the colours of what a portrait never showed: teeth, tongue and the dark of the mouth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avatar_service.engine.portrait import indices
from avatar_service.engine.portrait.arrays import Floats, Pixels, floats, luminance
from avatar_service.engine.portrait.face import Face


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


def _mean_colour(face: Face, frame: Pixels, numbers: tuple[int, ...]) -> Floats:
    places = np.clip(np.rint(face.flat[list(numbers)]), 0, frame.shape[0] - 1).astype(int)
    return floats(frame[places[:, 1], places[:, 0]].mean(axis=0))

"""Owns the drawing of teeth and tongue as layers. Done once per portrait; must never know of frames or motion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from avatar_service.engine.portrait.arrays import Floats, Pixels, bell, floats, mixed, pixels, ramp, taken
from avatar_service.engine.portrait.crop import TEXTURE_SCALE
from avatar_service.engine.portrait.lips import Lips
from avatar_service.engine.portrait.palette import Palette

UPPER_WIDTHS: Final = (0.165, 0.135, 0.14, 0.12, 0.11, 0.10)
LOWER_WIDTHS: Final = (0.105, 0.115, 0.125, 0.12, 0.11, 0.10)
"""Widths of one side's teeth from the middle outwards, in mouth units."""
UPPER_CURVE: Final = 0.13
LOWER_CURVE: Final = 0.10
UPPER_SHORTER: Final = (0.0, 0.018, 0.004, 0.022, 0.03, 0.035)
LOWER_SHORTER: Final = (0.0, 0.004, 0.0, 0.012, 0.02, 0.025)
"""How much shorter each tooth is than the front one, in mouth units."""
UPPER_TONES: Final = (1.0, 0.965, 0.90, 0.85, 0.76, 0.66)
LOWER_TONES: Final = (0.80, 0.79, 0.76, 0.70, 0.62, 0.54)
"""Brightness of each tooth: canines are darker than incisors, and less light falls on what lies farther back."""
UPPER_GUM: Final = (0.36, 0.44)
LOWER_GUM: Final = (0.19, 0.27)
"""Distances from the biting edge between which teeth pass into the gum."""
FLOOR: Final = 0.85
"""Half-width of the flesh that the lower teeth stand on, in mouth units."""
MIRRORED: Final = 0.10
"""How deep, in mouth units, the portrait's own teeth are mirrored at the edge of the opening."""
OWN_FLESH: Final = 0.5
"""Brightness of the cheeks' inside beside a portrait's own teeth, of the gum's."""


@dataclass(frozen=True)
class Layer:
    """A picture with soft edges.

    Attributes:
        colour: RGB ``[h, w, 3]``.
        alpha: ``[h, w]`` float32, 0-1.
    """

    colour: Pixels
    alpha: Floats

    def over(self, picture: Pixels, places: Floats, light: float = 1.0, strength: Floats | float = 1.0) -> Pixels:
        """Return the layer over ``picture``, both ``[h, w, 3]``.

        Args:
            picture: what lies below.
            places: where the layer is looked at, ``[h, w, 2]``.
            light: 0-1, darkens the layer.
            strength: ``[h, w]`` or one for all, 0-1: how much of the layer is seen.
        """
        colour = taken(self.colour, places, cv2.BORDER_REPLICATE)
        if light < 1:
            colour = pixels(cv2.convertScaleAbs(colour, alpha=light))
        alpha = taken(self.alpha, places, cv2.BORDER_CONSTANT)
        return mixed(colour, picture, alpha * np.float32(strength) if isinstance(strength, float) else alpha * strength)


@dataclass(frozen=True)
class Interior:
    """What lies behind the lips, drawn over the mouth's place.

    Attributes:
        cavity: RGB ``[3]`` of the darkness behind everything.
        tongue: moves with the jaw.
        lower_teeth: move with the jaw.
        upper_teeth: belong to the skull.
        cheek_shade: ``[h, w]`` float32: how much light gets there, 1 in the middle, less towards the corners.
    """

    cavity: Pixels
    tongue: Layer
    lower_teeth: Layer
    upper_teeth: Layer
    cheek_shade: Floats


def draw_interior(lips: Lips, palette: Palette, points: Floats) -> Interior:
    """Return the layers at ``points`` ``[h, w, 2]``, pixel coordinates in the frame."""
    u, v = lips.coordinates(points)
    centre = np.zeros(1, np.float32)
    base = float((lips.upper(centre) if lips.toothy else lips.middle(centre))[0])
    x, y = u * np.float32(lips.half_width), v - np.float32(base)
    return Interior(
        cavity=_bytes(palette.cavity),
        tongue=_tongue(x, y, palette),
        lower_teeth=_teeth(x, y + 0.02 - LOWER_CURVE * x * x, palette, _LOWER),
        upper_teeth=_teeth(x, 0.13 - UPPER_CURVE * x * x - y, palette, _UPPER),
        cheek_shade=1 - 0.8 * ramp(0.5, 1.0, np.abs(u)),
    )


def _bytes(values: Floats) -> Pixels:
    return pixels(np.clip(values + 0.5, 0, 255).astype(np.uint8))


def _tongue(x: Floats, y: Floats, palette: Palette) -> Layer:
    distance = (x / 0.55) ** 2 + ((y - 0.20) / 0.26) ** 2
    groove = 0.85 - 0.11 * bell(x / 0.06)
    shade = 1.05 * groove * (1 - 0.35 * np.minimum(distance, 1))
    return Layer(_bytes(floats(palette.tongue * shade[..., None])), ramp(1.15, 0.55, distance))


@dataclass(frozen=True)
class _Row:
    """What distinguishes the upper from the lower row of teeth; see the constants above."""

    widths: tuple[float, ...]
    shorter: tuple[float, ...]
    tones: tuple[float, ...]
    gum: tuple[float, float]
    floor: float


_UPPER: Final = _Row(UPPER_WIDTHS, UPPER_SHORTER, UPPER_TONES, UPPER_GUM, 0.0)
_LOWER: Final = _Row(LOWER_WIDTHS, LOWER_SHORTER, LOWER_TONES, LOWER_GUM, FLOOR)


def _teeth(x: Floats, inside: Floats, palette: Palette, row: _Row) -> Layer:
    """Return a row of teeth; ``inside`` is the distance from the biting edge towards the root."""
    outward = np.abs(x)
    edges = np.concatenate([[0.0], np.cumsum(row.widths)])
    tooth = np.clip(np.searchsorted(edges, outward, side="right") - 1, 0, len(row.widths) - 1)
    half = floats(np.array(row.widths) / 2)[tooth]
    aside = np.abs(outward - (floats(edges)[tooth] + half)) / half
    # Corners of a tooth are round, those of the outer ones the more.
    depth = inside - (0.03 + 0.006 * tooth) * np.minimum(aside, 1) ** 4 - floats(row.shorter)[tooth]
    present = 1 - ramp(float(edges[-1]) - 0.05, float(edges[-1]) + 0.02, outward)
    whole = ramp(-0.012, 0.03, depth) * ramp(-0.02, 0.035, half * (1 - aside)) * present
    strip = ramp(-0.012, 0.03, inside - floats(row.shorter)[tooth]) * present
    # Enamel is a little translucent at its edge, brightest above it, and warmer and darker towards the gum.
    along = np.clip(depth / 0.30, 0, 1)
    light = floats(row.tones)[tooth] * (1 - 0.10 * aside**3) * (0.90 + 0.14 * np.sin(2.4 * along + 0.25))
    share = np.clip(whole / np.maximum(strip, 1e-3), 0, 1)
    shade = light * share + 0.78 * floats(row.tones)[tooth] * (1 - share)
    neck = np.clip(along + 0.6 * (1 - share), 0, 1)[..., None]
    colour = (palette.tooth + (palette.neck - palette.tooth) * neck) * shade[..., None]
    gum = np.maximum(ramp(*row.gum, inside), 1 - strip)[..., None]
    colour = colour * (1 - gum) + palette.gum * gum
    flesh = (1 - ramp(row.floor - 0.1, row.floor + 1e-3, outward)) * ramp(0.04, 0.12, inside) if row.floor else 0.0
    return Layer(_bytes(floats(colour)), floats(np.maximum(np.maximum(whole, strip), flesh)))


def own_teeth(lips: Lips, texture: Pixels, points: Floats, palette: Palette) -> Layer:
    """Return the portrait's own teeth at ``points``, continued upwards and downwards behind the lips.

    A place outside the opening shows its mirror image inside, at most ``MIRRORED`` deep: teeth are columns. Beyond
    the corners, which come into sight when the lips are drawn wide, there is flesh in the shade.
    """
    u, v = lips.coordinates(points)
    outward = np.abs(u)
    upper, lower = lips.upper(u), lips.lower(u)
    deepest = np.minimum(MIRRORED, 0.4 * (lower - upper))
    shown = np.where(v < upper, upper + np.minimum(upper - v, deepest), lower - np.minimum(v - lower, deepest))
    shown = np.where((v < upper) | (v > lower), shown, v)
    places = points + ((shown - v) * np.float32(lips.unit))[..., None] * floats(lips.down)
    colour = floats(taken(texture, floats(places * TEXTURE_SCALE + 0.5), cv2.BORDER_REPLICATE))
    beyond = ramp(0.94, 1.02, outward)[..., None]
    colour = colour + (OWN_FLESH * palette.gum - colour) * beyond
    up, down = 1 - ramp(0.05, 0.25, upper - v), 1 - ramp(-0.04, 0.05, v - lower)
    return Layer(_bytes(colour), up * down * (1 - ramp(1.3, 1.4, outward)))

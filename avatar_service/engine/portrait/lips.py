"""Owns the mouth's own coordinates and its lip curves. Must never look at pixels.

The coordinates of a point are ``u`` along the lips, -1 and 1 at the corners, and ``v`` down the face, in units of
``unit`` pixels (0.3 eye distances, about half a mouth's width). The two halves have their own widths, because
a turned face shortens one of them; they blend smoothly about the middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from avatar_service.engine.portrait import indices
from avatar_service.engine.portrait.arrays import Floats, floats
from avatar_service.engine.portrait.face import Face

UNIT_PER_EYE_SPAN: Final = 0.3
TOOTHY_GAP: Final = 0.10
"""From this opening of the inner lips on (in units) a portrait shows its own teeth."""
MIN_HALF_WIDTH: Final = 0.15
"""Least half-width of the lips in units: a profile may hide one side altogether."""


@dataclass(frozen=True)
class Lips:
    """The lips of a portrait.

    Attributes:
        origin: (x, y) between the corners, in pixels.
        across: unit vector along the lips; ``down`` is a quarter turn from it.
        widths: half-widths of the left and the right side of the picture, in pixels.
        unit: pixels in one unit of ``v``.
        curves: of the upper and the lower inner lip: ``u`` ascending and ``v``.
        chin: ``v`` of the chin.
        nose: ``v`` of the nose's base, negative.
        smile: how much the corners are raised above the middle, 0-1.
    """

    origin: tuple[float, float]
    across: tuple[float, float]
    widths: tuple[float, float]
    unit: float
    curves: tuple[tuple[Floats, Floats], tuple[Floats, Floats]]
    chin: float
    nose: float
    smile: float

    @property
    def down(self) -> tuple[float, float]:
        """Unit vector from the nose to the chin."""
        return -self.across[1], self.across[0]

    @property
    def half_width(self) -> float:
        """Mean half-width, in units."""
        return sum(self.widths) / 2 / self.unit

    @cached_property
    def gap(self) -> float:
        """Widest opening between the inner lips, in units."""
        u = floats(np.linspace(-0.6, 0.6, 21))
        return float(np.max(self.lower(u) - self.upper(u)))

    @property
    def toothy(self) -> bool:
        """Whether the portrait shows its own teeth."""
        return self.gap > TOOTHY_GAP

    @property
    def sidedness(self) -> float:
        """The narrower half's width relative to the wider one's: 1 frontal, near 0 in profile."""
        return min(self.widths) / max(self.widths)

    def coordinates(self, points: Floats) -> tuple[Floats, Floats]:
        """Return ``u`` and ``v`` of pixel coordinates ``[..., 2]``."""
        u, v = _project(points, self.origin, self.across)
        side = 0.5 + 0.5 * np.tanh(u / (0.35 * self.unit))
        return floats(u / (self.widths[0] * (1 - side) + self.widths[1] * side)), floats(v / self.unit)

    def upper(self, u: Floats) -> Floats:
        """Return ``v`` of the upper lip's inner edge."""
        return floats(np.interp(u, *self.curves[0]))

    def lower(self, u: Floats) -> Floats:
        """Return ``v`` of the lower lip's inner edge, never above the upper one."""
        return floats(np.maximum(np.interp(u, *self.curves[1]), self.upper(u)))

    def middle(self, u: Floats) -> Floats:
        """Return ``v`` of the line on which the lips part."""
        return floats((self.upper(u) + self.lower(u)) / 2)


def _project(points: Floats, origin: tuple[float, float], across: tuple[float, float]) -> tuple[Floats, Floats]:
    x, y = points[..., 0] - np.float32(origin[0]), points[..., 1] - np.float32(origin[1])
    return x * across[0] + y * across[1], y * across[0] - x * across[1]


def measure_lips(face: Face) -> Lips:
    """Return the lips of a face found in the frame."""
    flat, unit = face.flat, UNIT_PER_EYE_SPAN * face.eye_span
    right = flat[list(indices.MOUTH_CORNERS_RIGHT)].mean(axis=0)
    left = flat[list(indices.MOUTH_CORNERS_LEFT)].mean(axis=0)
    eyes = flat[indices.EYES[1].upper[-1]] - flat[indices.EYES[0].upper[0]]
    # Mouth and eyes together give a steadier direction than either.
    direction = _normalised(_normalised(left - right) + _normalised(eyes))
    across = (float(direction[0]), float(direction[1]))
    centre = flat[[indices.LIP_TOP_INNER, indices.LIP_BOTTOM_INNER, indices.LIP_TOP, indices.LIP_BOTTOM]].mean(axis=0)
    middle = (left + right) / 2
    middle = middle + direction * ((centre - middle) @ direction) * 0.8
    origin = (float(middle[0]), float(middle[1]))
    least = MIN_HALF_WIDTH * unit
    widths = max(float((middle - right) @ direction), least), max(float((left - middle) @ direction), least)
    bare = Lips(origin, across, widths, unit, (_FLAT, _FLAT), 0.0, 0.0, 0.0)
    curves = _curve(bare, flat, indices.UPPER_INNER_LIP), _curve(bare, flat, indices.LOWER_INNER_LIP)
    _, ends = bare.coordinates(floats([left, right]))
    _, marks = bare.coordinates(flat[[indices.CHIN, indices.NOSE_BASE]])
    curved = Lips(origin, across, widths, unit, curves, max(float(marks[0]), 0.6), min(float(marks[1]), -0.3), 0.0)
    sag = float(curved.middle(floats(0.0))) - float(ends.mean())
    smile = float(np.clip((sag - 0.08) / 0.24, 0, 1))
    return Lips(origin, across, widths, unit, curves, curved.chin, curved.nose, smile)


_FLAT: Final = (floats([-1, 1]), floats([0, 0]))


def _curve(lips: Lips, flat: Floats, numbers: tuple[int, ...]) -> tuple[Floats, Floats]:
    u, v = lips.coordinates(flat[list(numbers)])
    order = np.argsort(u, kind="stable")
    return u[order], v[order]


def _normalised(vector: Floats) -> Floats:
    return floats(vector / max(float(np.linalg.norm(vector)), 1e-6))

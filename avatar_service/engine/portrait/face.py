"""Owns the record of one found face. Must never look at pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avatar_service.engine.portrait import indices
from avatar_service.engine.portrait.arrays import Floats, floats


@dataclass(frozen=True, slots=True)
class Face:
    """A face in a picture, in pixel-index coordinates (0 is the centre of the first pixel).

    Attributes:
        points: ``[468, 3]`` float32: x, y in pixels and depth in pixels, smaller is nearer to the viewer.
        irises: ``[2, 5, 2]`` float32: of the right and the left eye the centre and four points of the rim.
        score: how sure the mesh model is that this is a face, 0-1.
    """

    points: Floats
    irises: Floats
    score: float

    @property
    def flat(self) -> Floats:
        """The points without depth, ``[468, 2]``."""
        return self.points[:, :2]

    @property
    def height(self) -> float:
        """Distance from the forehead to the chin, in pixels."""
        return float(np.linalg.norm(self.flat[indices.FOREHEAD] - self.flat[indices.CHIN]))

    @property
    def width(self) -> float:
        """Distance between the outermost points of the two sides, in pixels."""
        right, left = indices.EARS
        return float(np.linalg.norm(self.flat[right] - self.flat[left]))

    @property
    def extent(self) -> float:
        """The longer side of the box around all points, in pixels."""
        return float(np.max(np.ptp(self.flat, axis=0)))

    @property
    def eye_span(self) -> float:
        """Distance of the outer eye corners, in pixels; at least half the height, which a profile shortens less."""
        right, left = self.flat[indices.EYES[0].upper[0]], self.flat[indices.EYES[1].upper[-1]]
        return max(float(np.linalg.norm(right - left)), 0.5 * self.height)

    @property
    def axes(self) -> Floats:
        """Unit vectors ``[2, 2]`` along the line of the eyes, and from the eyes towards the mouth, square to it."""
        eyes = self.flat[indices.EYES[1].upper[-1]] - self.flat[indices.EYES[0].upper[0]]
        x, y = eyes / max(float(np.linalg.norm(eyes)), 1e-6)
        return floats([[x, y], [-y, x]])

    def is_near(self, other: Face) -> bool:
        """Whether this is the other face, found again: their middles lie less than half a face apart."""
        apart = np.linalg.norm(self.flat.mean(axis=0) - other.flat.mean(axis=0))
        return bool(apart < other.extent / 2)

    def moved(self, offset: tuple[float, float], scale: float) -> Face:
        """Return the face as seen in a picture cut out at the corner ``offset`` and enlarged by ``scale``."""
        corner = floats(offset)
        flat = (self.flat + 0.5 - corner) * np.float32(scale) - 0.5
        irises = (self.irises + 0.5 - corner) * np.float32(scale) - 0.5
        points = np.column_stack([flat, self.points[:, 2] * np.float32(scale)])
        return Face(floats(points), floats(irises), self.score)

"""Owns the head's relief: how near each place is and how much of it belongs to the head. Never looks at pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_service.engine.portrait import indices
from avatar_service.engine.portrait.arrays import Floats, floats, ramp
from avatar_service.engine.portrait.face import Face
from avatar_service.engine.portrait.grid import Grid

RINGS: Final = ((1.35, 0.12), (1.75, 0.0), (2.3, 0.0))
"""Anchors around the face: scale of its outline, depth there in face heights."""
STIFFNESS: Final = 2.0
"""Smoothing of the interpolation: larger follows the points less closely."""


@dataclass(frozen=True)
class Edges:
    """Which edges of the frame must stay still, as fractions of the frame over which motion fades out.

    Attributes:
        sides: at the left and the right edge.
        top: at the top edge.
        bottom: at the bottom edge.
    """

    sides: float
    top: float
    bottom: float

    def hold(self, grid: Grid) -> Floats:
        """Return ``[NODES, NODES]``: 0 at the edges, 1 inside."""
        x, y = grid.points[..., 0] / grid.size, grid.points[..., 1] / grid.size
        inside = ramp(0, self.sides, np.minimum(x, 1 - x)) * ramp(0, self.bottom, 1 - y)
        return inside * ramp(0, self.top, y)


ALONE: Final = Edges(sides=0.06, top=0.08, bottom=0.04)
"""A crop that is shown alone: hair that is cut off by its top must not be smeared."""
STITCHED: Final = Edges(sides=0.08, top=0.08, bottom=0.08)
"""A crop that is pasted back: nothing may move where it meets the picture."""


def depth_map(face: Face, grid: Grid) -> Floats:
    """Return ``[NODES, NODES]`` float32: nearness in pixels, 0 at the silhouette and behind it.

    The mesh's depth, interpolated over the grid by a linear radial basis function (a sum of distances to the
    points with weights that sum to zero, plus a constant), and led to zero by rings of anchors around the face.
    """
    flat, oval = face.flat, face.flat[list(indices.OVAL[::2])]
    near = np.maximum(-(face.points[:, 2] - face.points[list(indices.EARS), 2].mean()), 0)
    centre = face.flat[list(indices.OVAL)].mean(axis=0)
    spokes = oval - centre
    down = face.axes[1]
    upness = np.clip(-(spokes @ down) / np.maximum(np.linalg.norm(spokes, axis=1), 1e-6), 0, 1)
    places, depths = [flat[::2]], [near[::2]]
    for scale, depth in RINGS:
        places.append(centre + spokes * (scale + 0.25 * upness)[:, None])
        depths.append(depth * face.height * (0.6 + 0.8 * upness))
    known, values = np.concatenate(places).astype(np.float64), np.concatenate(depths)
    relief = _interpolate(known, values, grid.points.reshape(-1, 2).astype(np.float64))
    smooth = cv2.GaussianBlur(relief.reshape(grid.points.shape[:2]), (0, 0), 1.2)
    return floats(np.maximum(smooth, 0))


def head_weight(face: Face, grid: Grid) -> Floats:
    """Return ``[NODES, NODES]`` float32: 1 on the head, 0 in the background, fading down the neck."""
    across, down = face.axes
    height, width = face.height, max(face.width, 0.68 * face.height)
    centre = face.flat[list(indices.OVAL)].mean(axis=0) - down * np.float32(0.10 * height)
    offset = grid.points - centre
    x, y = offset @ across, offset @ down
    reach = np.where(y < 0, 0.78 * height, 0.62 * height)
    head = 1 - ramp(0.95, 1.75, np.hypot(x / (0.66 * width), y / reach))
    neck = (1 - ramp(0.5 * width, 1.3 * width, np.abs(x))) * (1 - ramp(0.55 * height, 1.25 * height, y)) * (y > 0)
    return floats(cv2.GaussianBlur(floats(np.maximum(head, neck)), (0, 0), 1.25))


def _interpolate(known: NDArray[np.float64], values: Floats, wanted: NDArray[np.float64]) -> Floats:
    count = len(known)
    system = np.ones((count + 1, count + 1))
    system[-1, -1] = 0
    system[:count, :count] = -_distances(known, known) + STIFFNESS * np.eye(count)
    weights = np.linalg.solve(system, np.append(values, 0.0))
    return floats(-_distances(wanted, known) @ weights[:-1] + weights[-1])


def _distances(some: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    x = some[:, 0][:, None] - others[:, 0]
    y = some[:, 1][:, None] - others[:, 1]
    return np.asarray(np.sqrt(x * x + y * y), np.float64)

"""Owns the head's motion: turns a pose into a displacement field. Must never look at pixels.

Turning is parallax of the head's relief: what is nearer moves farther. As the relief is zero at the silhouette, no
background has to be invented and no seam can appear.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from avatar_service.engine.portrait import indices
from avatar_service.engine.portrait.arrays import Floats, floats
from avatar_service.engine.portrait.depth import Edges, depth_map, head_weight
from avatar_service.engine.portrait.face import Face
from avatar_service.engine.portrait.grid import NODES, Grid

REFERENCE_SIZE: Final = 512
"""Translations are given in pixels of a frame of this size."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the head is: angles in radians, translation in pixels of a 512-pixel frame."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    x: float = 0.0
    y: float = 0.0

    @property
    def at_rest(self) -> bool:
        """Whether the head is exactly as in the portrait."""
        return not (self.yaw or self.pitch or self.roll or self.x or self.y)


@dataclass(frozen=True)
class Head:
    """The head of a portrait, on the grid.

    Attributes:
        bases: ``[8, NODES * NODES * 2]``: what each term of ``field`` is multiplied by, in pixels.
        scale: frame pixels in a pixel of the reference frame.
    """

    bases: Floats
    scale: float

    def field(self, pose: Pose) -> Floats:
        """Return the forward displacement ``[NODES, NODES, 2]`` of a pose.

        ``dx = ((cos yaw - 1) hx + tx) W + sin yaw z``, ``dy = ((cos pitch - 1) hy + ty) W + sin pitch z`` plus the
        turn by ``roll`` about a pivot in the neck, times W: linear in eight numbers, so one small product.
        """
        turn = np.cos(pose.roll) - 1
        weights = floats(
            (
                np.cos(pose.yaw) - 1,
                np.cos(pose.pitch) - 1,
                np.sin(pose.yaw),
                np.sin(pose.pitch),
                turn,
                np.sin(pose.roll),
                pose.x * self.scale,
                pose.y * self.scale,
            )
        )
        return floats(weights @ self.bases).reshape(NODES, NODES, 2)


def measure_head(face: Face, grid: Grid, edges: Edges) -> Head:
    """Return the head of a face found in the frame; ``edges`` says where it must not move."""
    hold = edges.hold(grid)
    relief, weight = depth_map(face, grid) * hold, head_weight(face, grid) * hold
    offset = (grid.points - face.flat[list(indices.OVAL)].mean(axis=0)) @ face.axes.T
    x, y = offset[..., 0], offset[..., 1]
    none = np.zeros_like(weight)
    pivot_y = (y - 0.75 * face.height) * weight
    fields = (
        (x * weight, none),
        (none, (y + 0.03 * face.height) * weight),
        (relief, none),
        (none, relief),
        (x * weight, pivot_y),
        (-pivot_y, x * weight),
        (weight, none),
        (none, weight),
    )
    # The head turns about its own axes, also in a picture in which it is tilted.
    bases = floats(np.stack([(np.dstack(field) @ face.axes).ravel() for field in fields]))
    return Head(bases, grid.size / REFERENCE_SIZE)

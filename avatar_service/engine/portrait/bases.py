"""Owns how each mouth and brow weight displaces the face: eleven pairs of fields. Must never look at pixels.

The face is split at the line of the lips into an upper and a lower layer, each with its own continuous field, so
that an opening mouth parts instead of stretching. Displacements are forward: where the skin goes to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from avatar_service.engine.portrait import indices
from avatar_service.engine.portrait.arrays import Floats, bell, floats, ramp
from avatar_service.engine.portrait.face import Face
from avatar_service.engine.portrait.grid import NODES, Box, Grid
from avatar_service.engine.portrait.lips import Lips

NAMES: Final = ("jaw", "close", "round", "wide", "press", "fv", "uplip", "lolip", "smile", "brow_left", "brow_right")
"""The weights, in the order of the bases. 1 of ``jaw`` opens by one mouth unit, 1 of ``close`` shuts the mouth."""

LAYERS: Final = 2
CORNER_LAG: Final = 0.22
"""How far the corners of the mouth go down with the jaw."""
SLIT: Final = 0.05
"""Lips that show no teeth are taken to be parted all along from this gap on, in mouth units."""
SMOOTHING: Final = 0.5
"""Gaussian blur of every field, in grid cells."""
UNMOVED: Final = 0.01
"""Displacements below this, in pixels, are none."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """The fields all bases are built of, each ``[NODES, NODES]``, in mouth units."""

    u: Floats
    below: Floats
    """Distance below the lip line."""
    gap: Floats
    lip: Floats
    """Profile of the opening along the lips: 1 in the middle, 0 at the corners."""
    jaw: Floats
    """Profile of the jaw: as ``lip``, but reaching beyond the corners."""
    onto_jaw: Floats
    """From the lip (0) to the jaw (1)."""
    jaw_fade: Floats
    """1 from the lips to the chin, fading out down the neck and above the lips."""
    upper_lip: Floats
    """1 at the upper lip's edge, 0 at the nose."""
    lower_lip: Floats
    corner: Floats
    fall: Floats
    """1 over the mouth and a little beyond its corners: within it, sideways moves do not shear."""


@dataclass(frozen=True)
class Bases:
    """The bases, for the part of the grid in which any of them moves anything.

    Attributes:
        values: ``[11, 2 * rows * columns * 2]`` float32: for each name the upper and the lower field, in pixels.
        box: that part, in nodes; what is outside stays where it is.
    """

    values: Floats
    box: Box

    def field(self, weights: Floats) -> Floats:
        """Return the forward displacement ``[2, rows, columns, 2]`` of both layers for one weight a name."""
        return floats(weights @ self.values).reshape(LAYERS, self.box.height, self.box.width, 2)


def displacement_bases(lips: Lips, face: Face, grid: Grid) -> Bases:
    """Return the bases of a face found in the frame."""
    shape = _shape(lips, grid)
    fields = [*_jaw_fields(shape, lips), *_lip_fields(shape, lips), *_brow_fields(lips, face, grid)]
    turn = floats([lips.across, lips.down]) * np.float32(lips.unit)
    bases = floats(np.stack([np.stack([np.dstack(layer) for layer in pair]) for pair in fields]) @ turn)
    for pair in bases:
        for layer in pair:
            layer[:] = cv2.GaussianBlur(layer, (0, 0), SMOOTHING)
    box = _moved_part(bases)
    part = bases[:, :, box.rows, box.columns]
    return Bases(np.ascontiguousarray(part.reshape(len(NAMES), LAYERS * box.height * box.width * 2)), box)


def _moved_part(bases: Floats) -> Box:
    """Return the nodes that any basis moves, and one node more on every side."""
    moves = np.abs(bases).max(axis=(0, 1, 4)) > UNMOVED
    rows, columns = np.flatnonzero(moves.any(axis=1)), np.flatnonzero(moves.any(axis=0))
    box = Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    return box.grown(1).clipped(NODES, NODES)


def _shape(lips: Lips, grid: Grid) -> _Shape:
    u, v = lips.coordinates(grid.points)
    below, outward = floats(v - lips.middle(u)), np.abs(u)
    above_fade = 1 - ramp(0.5, 1.8, -below)
    nose_fade = np.where(below < 0, 1 - ramp(-0.55 * lips.nose, -1.25 * lips.nose, -below), 1)
    return _Shape(
        u=u,
        below=below,
        gap=lips.lower(u) - lips.upper(u),
        lip=floats(np.maximum(1 - outward**2.4, 0) ** 0.85),
        jaw=bell(outward * lips.half_width / 1.95, 4),
        onto_jaw=ramp(0.12, 1.25, below),
        jaw_fade=(1 - ramp(lips.chin - 0.1, lips.chin + 2.4, v)) * above_fade,
        upper_lip=1 - ramp(0, 0.1 - lips.nose, lips.upper(u) - v),
        lower_lip=(1 - ramp(0.25, 1, below)) * above_fade,
        corner=bell((outward - 1) / 0.55) * bell(below / 0.7),
        fall=floats(bell(np.maximum(outward - 1.15, 0) / 0.85) * bell(below / 1.25, 4) * nose_fade),
    )


_Field = tuple[Floats, Floats]
_Pair = tuple[_Field, _Field]


def _jaw_fields(shape: _Shape, lips: Lips) -> list[_Pair]:
    """Return ``jaw`` and ``close``: they alone decide how far the lips are apart."""
    none = np.zeros_like(shape.u)
    outward = np.abs(shape.u)
    drop = ((1 - shape.onto_jaw) * shape.lip + shape.onto_jaw * shape.jaw) * shape.jaw_fade
    drop = drop * (1 - 0.22 * ramp(0.5, lips.chin, shape.below))
    # The corners hang between the lips: they follow the jaw by a third, so that a wide mouth is an oval.
    lag = CORNER_LAG * shape.corner
    inward = floats(-0.10 * np.sign(shape.u) * shape.corner)
    upper_jaw = (inward, floats(lag - 0.06 * shape.lip * shape.upper_lip))
    lower_jaw = (inward, floats(lag * (1 - shape.onto_jaw) + drop * (1 - lag)))
    # A little more than the measured gap, or a sliver of teeth stays between closed lips.
    more, reach = (0.11, 1.03) if lips.toothy else (0.04 * min(lips.gap / SLIT, 1), 1.05)
    gap = 1.06 * shape.gap + more * np.maximum(1 - (outward / reach) ** 8, 0)
    onto_chin = ramp(0.25, 1.2, shape.below)
    rise = 0.66 * gap * (1 - onto_chin) + 0.45 * lips.gap * onto_chin * shape.jaw
    upper_close, lower_close = (none, floats(0.34 * gap * shape.upper_lip)), (none, floats(-rise * shape.jaw_fade))
    return [(upper_jaw, lower_jaw), (upper_close, lower_close)]


def _lip_fields(shape: _Shape, lips: Lips) -> list[_Pair]:
    """Return ``round`` ... ``smile``: the lips' own shapes."""
    u, below, none = shape.u, shape.below, np.zeros_like(shape.u)
    outward = np.abs(u)
    inward = -0.33 * lips.half_width * np.sign(u) * np.minimum(outward, 1.15) * shape.fall
    widen = 0.22 * lips.half_width * np.clip(u, -1.3, 1.3) * shape.fall
    pout = bell(outward / 0.55)
    thick, thin = np.maximum(-below, 0), np.maximum(below, 0)
    roll_in = 0.42 * np.maximum(1 - outward**3, 0)
    smile = -0.24 * bell((outward - 1.05) / 0.6) * bell(below / 0.9)
    smile = smile - 0.07 * bell((outward - 1.35) / 0.6) * bell((below + 1.1) / 0.8)
    upper, lower = shape.lip * shape.upper_lip, shape.lip * shape.lower_lip
    raised = -0.06 * shape.corner
    return [
        ((inward, -0.05 * pout * shape.upper_lip), (inward, 0.10 * pout * shape.lower_lip)),
        ((widen, raised - 0.02 * upper), (widen, raised + 0.03 * lower)),
        ((none, roll_in * thick * bell(thick / 0.42)), (none, -roll_in * thin * bell(thin / 0.45))),
        ((none, -0.10 * upper), (none, -0.13 * lower)),
        ((none, -0.22 * upper), (none, none)),
        ((none, none), (none, 0.24 * lower)),
        ((0.55 * widen, smile), (0.55 * widen, smile)),
    ]


def _brow_fields(lips: Lips, face: Face, grid: Grid) -> list[_Pair]:
    """Return ``brow_left`` and ``brow_right``: 1 raises a brow by a quarter of a mouth unit."""
    pairs: list[_Pair] = []
    for eye in reversed(indices.EYES):
        offset = (grid.points - face.flat[list(eye.brow)].mean(axis=0)) / np.float32(face.eye_span)
        sideways = offset @ floats(lips.across)
        down = offset @ floats(lips.down)
        lift = -0.26 * bell(sideways / 0.22, 4) * np.where(down < 0, bell(down / 0.22), bell(down / 0.11))
        field = (np.zeros_like(lift), floats(lift))
        pairs.append((field, field))
    return pairs

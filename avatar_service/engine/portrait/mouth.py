"""Owns the mouth in the frame: two lip layers with the interior between them. Must never write to the texture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, TypeAlias

import cv2
import numpy as np

from avatar_service.engine.portrait.arrays import Floats, Pixels, dimmed, floats, mixed, ramp, taken
from avatar_service.engine.portrait.crop import TEXTURE_SCALE
from avatar_service.engine.portrait.face import Face
from avatar_service.engine.portrait.grid import Box, Grid
from avatar_service.engine.portrait.interior import Interior, draw_interior, own_teeth
from avatar_service.engine.portrait.lips import Lips
from avatar_service.engine.portrait.palette import measure_palette
from avatar_service.engine.portrait.pose import REFERENCE_SIZE
from avatar_service.engine.portrait.rig import MouthShape

OPAQUE: Final = 0.9
"""A pixel is part of the hole between the lips if both lips cover less of it than this."""
FEATHER: Final = 9
"""Width of the rim over which the mouth passes into the face, in pixels."""
CORNER: Final = (0.90, 1.03)
"""Between these ``u`` the layers grow into each other, so that nothing opens beyond the corners."""
SHADE_BOX: Final = 0.16
"""Side of the box over which the light in the mouth is averaged, in mouth units."""
OWN_DIMMEST: Final = 0.25
"""A portrait's own teeth never get darker than this: nearly closed lips do not shade what is right behind them."""
ROUND_SHADE: Final = 0.25
"""How much darker teeth and tongue are behind fully rounded lips."""
ROUND_HIDES, ROUND_HIDES_BETWEEN = 0.75, (0.3, 0.9)
"""How much of the upper teeth rounded lips hide, and between which roundings: darkened alone they look like metal."""
OWN_RISE, DRAWN_RISE = 0.30, 0.10
"""How much farther up the upper teeth end behind fully rounded lips, own ones and drawn ones, in mouth units."""
LOWER_TEETH_FROM: Final = 0.08
"""How far the lower lip leaves its place before the lower teeth show, in mouth units."""


Feather: TypeAlias = tuple[Floats, Floats]
"""Weights, 0-1, of what is drawn into a box: at each of its pixels, and at each sample of its subsampled chroma."""


@dataclass(frozen=True)
class Mouth:
    """The mouth of a portrait.

    Attributes:
        lips: its coordinates.
        box: where the interior is drawn, in the unmoved frame.
        around: the part of the texture that its lips may show.
        upper: where the upper lip, with the face above it, covers that part: ``[h, w]`` float32, 0-1.
        lower: the same of the lower lip.
        interior: teeth and tongue, drawn at texture resolution over ``box``.
        own_light: ``[h, w]`` over ``box``, only if the portrait shows its own teeth: the computed light there in the
            portrait as it is, which its teeth already have.
    """

    lips: Lips
    box: Box
    around: Box
    upper: Floats
    lower: Floats
    interior: Interior
    own_light: Floats | None

    def redraw(
        self, texture: Pixels, grid: Grid, warp: Warp, shape: MouthShape
    ) -> Iterator[tuple[Box, Pixels, Feather]]:
        """Yield the even box around the mouth, the RGB that belongs there, and how it comes in at its border.

        Nothing if next to nothing is seen of it.
        """
        box = self._place(grid, warp, shape)
        if box.width <= 2 * FEATHER or box.height <= 2 * FEATHER:
            return
        near, corner = texture[self.around.rows, self.around.columns], (-self.around.left, -self.around.top)
        above, below = grid.refine(warp.upper, box, offset=corner), grid.refine(warp.lower, box, offset=corner)
        over, under = taken(self.upper, above, cv2.BORDER_REPLICATE), taken(self.lower, below, cv2.BORDER_REPLICATE)
        upper, lower = taken(near, above, cv2.BORDER_REPLICATE), taken(near, below, cv2.BORDER_REPLICATE)
        drawn = mixed(upper, lower, over)
        hole = np.maximum(over, under) < OPAQUE
        rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
        if len(rows):
            part = Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1).grown(2)
            part = part.clipped(box.width, box.height)
            cut = (part.rows, part.columns)
            covers = np.ascontiguousarray(over[cut]), np.ascontiguousarray(under[cut])
            inside = self._inside(grid, warp, shape, part.moved(box.left, box.top), covers)
            inside = mixed(np.ascontiguousarray(lower[cut]), inside, covers[1])
            drawn[cut] = mixed(np.ascontiguousarray(upper[cut]), inside, covers[0])
        yield box, drawn, _feather(box.width, box.height)

    def _place(self, grid: Grid, warp: Warp, shape: MouthShape) -> Box:
        """Return the part of the frame that the mouth may cover."""
        lips = self.lips
        bottom = int(lips.origin[1] + (0.62 + shape.drop + lips.gap) * lips.unit)
        box = Box(self.box.left, self.box.top, self.box.right, min(self.box.bottom, bottom))
        if warp.pose is not None:
            dx, dy = warp.pose[grid.node_near(*lips.origin)]
            box = box.moved(-round(float(dx)), -round(float(dy)))
        return box.even().clipped(grid.size, grid.size)

    def _inside(self, grid: Grid, warp: Warp, shape: MouthShape, box: Box, covers: tuple[Floats, Floats]) -> Pixels:
        """Return the interior ``[h, w, 3]`` over ``box``: darkness, tongue and teeth in the light that falls there."""
        layers, (down_x, down_y) = self.interior, self.lips.down
        left, top = (0.5 - TEXTURE_SCALE * edge for edge in self.box[:2])
        unit = TEXTURE_SCALE * self.lips.unit
        still = grid.refine(warp.places, box, TEXTURE_SCALE, (left, top))

        def lowered(by: float) -> Floats:
            """Return where a layer that hangs ``by`` mouth units lower is looked at."""
            return floats(cv2.add(still, np.array([-by * unit * down_x, -by * unit * down_y, 0, 0])))

        own_gap = 0.8 * self.lips.gap if self.lips.toothy else 0.0
        drop, dim = shape.drop, 1 - ROUND_SHADE * shape.rounding
        seen = 1 - ROUND_HIDES * float(ramp(*ROUND_HIDES_BETWEEN, floats([shape.rounding]))[0])
        colour = np.empty((box.height, box.width, 3), np.uint8)
        colour[:] = layers.cavity
        tongue_drop = (drop + own_gap) * (0.95 - 0.5 * shape.tongue) - 0.16 + 0.05 * shape.tongue
        colour = layers.tongue.over(colour, lowered(tongue_drop), dim)
        if drop + shape.bared > LOWER_TEETH_FROM:
            colour = layers.lower_teeth.over(colour, lowered(0.92 * drop + 0.05 + own_gap), 0.85 * dim)
        light = _light(*covers, self.lips)
        shade = taken(layers.cheek_shade, still, cv2.BORDER_CONSTANT)
        if self.own_light is None:
            colour = layers.upper_teeth.over(colour, lowered(-DRAWN_RISE * shape.rounding), dim, seen)
            return dimmed(colour, light * shade)
        light *= 0.45 + 0.55 * shade
        own_light = np.maximum(taken(self.own_light, still, cv2.BORDER_REPLICATE), 0.05)
        # Teeth in the shade take on the colour of the mouth around them; merely darkened they would look grey.
        own = floats(np.clip(light / own_light, OWN_DIMMEST, 1.0) * seen)
        return layers.upper_teeth.over(dimmed(colour, light), lowered(-OWN_RISE * shape.rounding), dim, own)


@dataclass(frozen=True)
class Warp:
    """The backward fields of one frame: for every node the place it shows.

    Attributes:
        base: in the texture, ``[NODES, NODES, 2]``: the face as one.
        upper: in the texture: the layer above the lips.
        lower: in the texture: the layer below.
        pose: displacement that undoes the head's pose, in frame pixels; ``None`` for a head at rest.
        places: in the unmoved frame: ``grid.points + pose``.
    """

    base: Floats
    upper: Floats
    lower: Floats
    pose: Floats | None
    places: Floats


def _light(over: Floats, under: Floats, lips: Lips, scale: int = 1) -> Floats:
    """Return how much light falls into the mouth: less near its edges and below the upper lip."""
    side = int(SHADE_BOX * lips.unit * scale) | 1
    hole = floats(cv2.blur(1 - np.maximum(over, under), (side, side)))
    lip = floats(cv2.blur(over, (side, side)))
    return np.clip(0.22 + 1.10 * hole - (0.14 if lips.toothy else 0.35) * lip, 0.25, 1.0)


def _pixel_places(box: Box) -> Floats:
    columns, rows = np.arange(box.left, box.right), np.arange(box.top, box.bottom)
    return floats(np.dstack(np.meshgrid(columns, rows)))


@lru_cache(maxsize=256)
def _feather(width: int, height: int) -> Feather:
    """Return weights that are 1 inside and fall to 0 at the border."""
    across, down = (
        np.clip((np.minimum(np.arange(size), np.arange(size)[::-1]) - 1) / FEATHER, 0, 1) for size in (width, height)
    )
    full = floats(down[:, None] * across[None, :])
    half = floats(cv2.resize(full, (width // 2, height // 2), interpolation=cv2.INTER_AREA))
    for weights in (full, half):
        weights.setflags(write=False)
    return full, half


def measure_mouth(lips: Lips, face: Face, frame: Pixels, texture: Pixels) -> Mouth:
    """Return the mouth of a face found in ``frame``; ``texture`` is the same at twice the resolution."""
    size = frame.shape[0]
    half = 1.18 * sum(lips.widths) / 2 + 0.15 * lips.unit
    x, y = lips.origin
    box = Box(int(x - half), int(y - 0.60 * lips.unit), int(x + half) + 1, int(y + 1.55 * lips.unit) + 1)
    box = _at_least_one_pixel(box.clipped(size, size), size)
    outer = box.grown(int(0.5 * lips.unit)).clipped(size, size)
    upper, lower = _lip_alphas(lips, outer, size / REFERENCE_SIZE)
    points = _texture_points(box)
    palette = measure_palette(face, frame)
    interior = draw_interior(lips, palette, points)
    own_light = None
    if lips.toothy:
        interior = replace(interior, upper_teeth=own_teeth(lips, texture, points, palette))
        inner = box.moved(-outer.left, -outer.top)
        fine = Box(*(TEXTURE_SCALE * edge for edge in inner))
        over, under = (lip[fine.rows, fine.columns] for lip in (upper, lower))
        light = _light(over, under, lips, TEXTURE_SCALE)
        own_light = light * (0.45 + 0.55 * interior.cheek_shade)
    around = Box(*(TEXTURE_SCALE * edge for edge in outer))
    return Mouth(lips, box, around, upper, lower, interior, own_light)


def _at_least_one_pixel(box: Box, size: int) -> Box:
    """A mouth at the very edge may lie outside: keep a pixel there, which never shows."""
    left, top = min(box.left, size - 1), min(box.top, size - 1)
    return Box(left, top, max(box.right, left + 1), max(box.bottom, top + 1))


def _texture_points(box: Box) -> Floats:
    """Return the frame coordinates of the texture's pixels over ``box``, ``[2 h, 2 w, 2]``."""
    fine = Box(*(TEXTURE_SCALE * edge for edge in box))
    return (_pixel_places(fine) - np.float32(0.5)) / np.float32(TEXTURE_SCALE)


def _lip_alphas(lips: Lips, box: Box, pixel: float) -> tuple[Floats, Floats]:
    """Return where the lips cover the texture over ``box``; they end at their edges."""
    u, v = lips.coordinates(_texture_points(box))
    unit = pixel / lips.unit
    closing = ramp(*CORNER, np.abs(u))
    # Toothy lips end a little outside their edge, or a fringe of teeth sticks to them.
    insets = (-1.8, -1.8) if lips.toothy else (0.8, 0.8)
    above, below = ((inset + (5.8 - inset) * closing) * unit for inset in insets)
    soft = 0.8 * unit
    upper = 1 - ramp(-soft, soft, v - (lips.upper(u) + above))
    lower = ramp(-soft, soft, v - (lips.lower(u) - below))
    return upper, lower

"""Owns which square of a portrait is animated: the reference's rule, with this project's detector. Animates nothing."""

from __future__ import annotations

from typing import Final

from avatar_service.engine.portrait.face import Face
from avatar_service.engine.portrait.grid import Box

REACH: Final = 0.8
"""Half of the square in sizes of the face's box."""


def reference_box(face: Face, width: int, height: int, crop_scale: float) -> Box:
    """Return the square to cut out of a picture of that size, inside it.

    The reference takes the box of a face detector: its integer middle, 0.8 of its longer side to every side, shifted
    into the picture, clipped, and of what remains the square at its upper left corner. The box here is that of the
    face's points, from the forehead to the chin, which is what such detectors mark.
    """
    low, high = (face.flat.min(axis=0) + 0.5), (face.flat.max(axis=0) + 0.5)
    middle_x, middle_y = (int(low[axis] + high[axis]) // 2 for axis in (0, 1))
    half = int(REACH * crop_scale * float((high - low).max()))
    left, right = _shifted(middle_x - half, middle_x + half, width)
    top, bottom = _shifted(middle_y - half, middle_y + half, height)
    side = max(2, min(right - left, bottom - top))
    return Box(left, top, left + side, top + side)


def _shifted(start: int, stop: int, length: int) -> tuple[int, int]:
    """Return a stretch, moved into ``[0, length]``, and cut where it is longer."""
    if start < 0:
        start, stop = 0, stop - start
    if stop > length:
        start, stop = start - (stop - length), length
    return max(start, 0), min(stop, length)

"""Owns the way from the picture to the square frame and back. Must never find or move anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from avatar_service.engine.portrait import indices
from avatar_service.engine.portrait.arrays import Floats, Pixels, floats, pixels
from avatar_service.engine.portrait.face import Face
from avatar_service.engine.portrait.grid import CELLS, Box

FRAME_SIZE: Final = 512
"""Side of a frame that shows the crop alone, in pixels."""
TEXTURE_SCALE: Final = 2
"""The texture's pixels per frame pixel: sampled linearly, it stays as crisp as bicubic sampling of a smaller one."""
FACE_HEIGHTS: Final = 2.1
"""Side of the crop in forehead-to-chin distances."""
ROOM: Final = 0.4
"""What an uncropped square shows around the face if it can, on each side, as a part of the face's extent."""
RAISE: Final = 0.08
"""How far the crop lies above the middle of the face, in face heights: hair needs more room than the neck."""
LARGEST_PICTURE: Final = 1280
"""Longest side of a whole picture as a frame, in pixels."""
STITCHED_SIZES: Final = (256, 1024)
"""Least and largest inner frame that is pasted back."""
MUCH_SMALLER: Final = 0.7
"""Squares that shrink by more than this are averaged, which is slow; others interpolated."""
STILL_RIM: Final = 0.02
"""Outer part of a pasted crop that is left as it was, as a fraction of its side."""
FEATHER: Final = 0.04
"""Part of it over which the animated picture comes in."""


def face_box(face: Face, width: int, height: int, crop_scale: float) -> Box:
    """Return the square to cut out of a picture of that size, inside it."""
    side = int(min(round(FACE_HEIGHTS * crop_scale * face.height), width, height))
    centre = (face.flat[indices.FOREHEAD] + face.flat[indices.CHIN]) / 2 + 0.5
    left = int(np.clip(round(float(centre[0]) - side / 2), 0, width - side))
    top = int(np.clip(round(float(centre[1]) - RAISE * face.height - side / 2), 0, height - side))
    return Box(left, top, left + side, top + side)


def middle_box(width: int, height: int) -> Box:
    """Return the largest square in the middle of a picture."""
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return Box(left, top, left + side, top + side)


def square_with(face: Face, width: int, height: int) -> Box:
    """Return the largest square of a picture that has the face in it, as near to the middle as the face allows."""
    low, high = face.flat.min(axis=0) + 0.5, face.flat.max(axis=0) + 0.5
    around = ROOM * (high - low)
    side = min(width, height)
    middle = middle_box(width, height)
    left = _slid(middle.left, side, (float(low[0] - around[0]), float(high[0] + around[0])), width)
    top = _slid(middle.top, side, (float(low[1] - around[1]), float(high[1] + around[1])), height)
    return Box(left, top, left + side, top + side)


def _slid(start: int, side: int, wanted: tuple[float, float], length: int) -> int:
    """Return the start of a stretch of ``side``, moved as little as takes in what is wanted, or else its middle."""
    low, high = wanted
    moved = (low + high - side) / 2 if high - low > side else float(np.clip(start, high - side, low))
    return int(np.clip(round(moved), 0, length - side))


def cuts_off(box: Box, face: Face) -> bool:
    """Return whether a part of the face lies outside the box."""
    flat = face.flat + 0.5
    return bool((flat <= (box.left, box.top)).any() or (flat >= (box.right, box.bottom)).any())


def cut(picture: Pixels, box: Box, size: int) -> Pixels:
    """Return the box as ``[size, size, 3]``: averaged if it shrinks, Lanczos-interpolated if it grows."""
    part = np.ascontiguousarray(picture[box.rows, box.columns])
    method = cv2.INTER_AREA if box.width > size else cv2.INTER_LANCZOS4
    return pixels(cv2.resize(part, (size, size), interpolation=method))


def shrunk(picture: Pixels) -> Pixels:
    """Return the picture with even sides, the longer at most ``LARGEST_PICTURE``; whole frames are of this size."""
    height, width = picture.shape[:2]
    factor = min(1.0, LARGEST_PICTURE / max(height, width))
    size = [max(2, round(side * factor) // 2 * 2) for side in (width, height)]
    if size == [width, height]:
        return picture
    return pixels(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def stitched_size(box: Box) -> int:
    """Return the side of the inner frame that animates a box: near to its own, a multiple of the grid's cells."""
    least, largest = STITCHED_SIZES
    return int(np.clip(round(box.width / CELLS) * CELLS, least, largest))


@dataclass(frozen=True)
class Stitch:
    """Pastes the animated square back into the whole picture, with a soft rim where the picture goes on.

    Attributes:
        picture: the whole picture, ``[H, W, 3]``.
        box: the square's place in it.
        weights: of the animated square at each of its pixels, ``[side, side]`` float32, 0-1.
        rim: width of the soft rim in pixels: within it every weight is 1.
    """

    picture: Pixels
    box: Box
    weights: Floats
    rim: int

    def paste(self, frame: Pixels) -> Pixels:
        """Return a fresh whole picture with the animated square in it."""
        box, whole = self.box, self.picture.copy()
        side = box.width
        method = cv2.INTER_AREA if side < MUCH_SMALLER * frame.shape[0] else cv2.INTER_LINEAR
        square = frame if side == frame.shape[0] else cv2.resize(frame, (side, side), interpolation=method)
        target = whole[box.rows, box.columns]
        for strip in self._strips(side):
            part = np.ascontiguousarray(target[strip])
            weight = np.ascontiguousarray(self.weights[strip])
            target[strip] = cv2.blendLinear(np.ascontiguousarray(square[strip]), part, weight, 1 - weight)
        inside = slice(self.rim, side - self.rim)
        target[inside, inside] = square[inside, inside]
        return whole

    def _strips(self, side: int) -> tuple[tuple[slice, slice], ...]:
        rim = self.rim
        everywhere, middle = slice(0, side), slice(rim, side - rim)
        first, last = slice(0, rim), slice(side - rim, side)
        return (first, everywhere), (last, everywhere), (middle, first), (middle, last)


def stitch(picture: Pixels, box: Box) -> Stitch:
    """Return the stitch of a square into its picture; the rim is hard where the box meets the picture's edge."""
    height, width = picture.shape[:2]
    side = box.width
    still, feather = STILL_RIM * side, max(FEATHER * side, 1.0)
    place = np.arange(side) + 0.5
    rising = np.clip((place - still) / feather, 0, 1)
    falling = rising[::-1]
    columns = np.minimum(rising if box.left > 0 else 1.0, falling if box.right < width else 1.0)
    rows = np.minimum(rising if box.top > 0 else 1.0, falling if box.bottom < height else 1.0)
    weights = np.minimum(np.broadcast_to(columns, side)[None, :], np.broadcast_to(rows, side)[:, None])
    return Stitch(picture, box, floats(weights), min(int(still + feather) + 1, side // 2))

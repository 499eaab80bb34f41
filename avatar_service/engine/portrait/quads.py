"""Owns the picture of a frame in I420, drawn four samples at a time. Knows textures and fields, no faces.

A look into a texture of four channels costs hardly more than one into a plane. So the texture holds at every place the
four samples that lie around it: what a square of two by two pixels shows. One look draws the square, whose pixels keep
their distance; the field, which is smooth, is followed from square to square.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from avatar_service.engine.portrait.arrays import Floats, Pixels, floats, pixels, taken
from avatar_service.engine.portrait.grid import CELLS, NODES
from avatar_service.frame import planes, to_i420

BAND: Final = 64
"""Rows of squares that are drawn at a time."""


@dataclass(frozen=True)
class Quads:
    """A texture, twice as fine as the frame, that is looked at four samples at a time.

    Attributes:
        luma: ``[T, T, 4]``: the samples up left, up right, down left and down right of a place.
        chroma: ``[T / 2, T / 2, 4]``: blue left and right of a place, red left and right.
    """

    luma: Pixels
    chroma: Pixels

    def draw(self, field: Floats) -> Pixels:
        """Return the I420 frame ``[T * 3 / 4, T / 2]`` that shows at every node of the grid this place.

        Args:
            field: places (x, y) in the texture, ``[NODES, NODES, 2]``.
        """
        size = self.luma.shape[0] // 2
        step = size // CELLS
        frame = np.empty((size * 3 // 2, size), np.uint8)
        # Two samples side by side are one number: rows of squares become pairs of rows of the plane.
        luma, blue, red = (plane.view(np.uint16) for plane in planes(frame))
        pairs_of_rows = luma.reshape(size // 2, 2, size // 2)
        places = _refined(field, step // 2, step // 2)
        # A chroma sample covers two by two of luma, in the frame as in the texture.
        chroma_places = _refined((field - np.float32(0.5)) * np.float32(0.5), step // 4, step // 2)
        # Band by band, what was drawn is still in the processor's cache when it is put into its plane.
        for top in range(0, size // 2, BAND):
            rows = slice(top, top + BAND)
            squares = taken(self.luma, places[rows], cv2.BORDER_REPLICATE).view(np.uint16)
            pairs_of_rows[rows] = squares.transpose(0, 2, 1)
            beside = taken(self.chroma, chroma_places[rows], cv2.BORDER_REPLICATE).view(np.uint16)
            cv2.split(beside, [blue[rows], red[rows]])
        return frame


def quads(texture: Pixels) -> Quads:
    """Return the quads of a texture ``[T, T, 3]``, T a multiple of 512."""
    luma, blue, red = planes(to_i420(texture))
    wide = cv2.copyMakeBorder(luma, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    around = [wide[:-2, :-2], wide[:-2, 2:], wide[2:, :-2], wide[2:, 2:]]
    beside = []
    for plane in (blue, red):
        wide = cv2.copyMakeBorder(plane, 0, 0, 1, 1, cv2.BORDER_REPLICATE)
        beside += [wide[:, :-2], wide[:, 2:]]
    return Quads(pixels(cv2.merge(around)), pixels(cv2.merge(beside)))


def _refined(field: Floats, across: int, down: int) -> Floats:
    """Return the field with this many values along and down every cell of the grid, without the ring around it."""
    fine = cv2.resize(field, (NODES * across, NODES * down), interpolation=cv2.INTER_LINEAR)
    return floats(fine[down:-down, across:-across])

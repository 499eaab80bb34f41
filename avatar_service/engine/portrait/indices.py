"""Owns the numbers of the 468-point face mesh: which landmark is which part of a face. Holds nothing else.

"Left" and "right" are the portrait's own: the left eye is the one on the picture's right side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

POINTS: Final = 468
"""Landmarks of one face mesh."""

FOREHEAD: Final = 10
CHIN: Final = 152
NOSE_BASE: Final = 2
LIP_TOP: Final = 0
LIP_BOTTOM: Final = 17
LIP_TOP_INNER: Final = 13
LIP_BOTTOM_INNER: Final = 14
EARS: Final = (234, 454)
"""The outermost points at the two sides of the face; the depth there is taken as zero."""

MOUTH_CORNERS_RIGHT: Final = (61, 78)
MOUTH_CORNERS_LEFT: Final = (291, 308)
UPPER_INNER_LIP: Final = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_INNER_LIP: Final = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
CHEEKS: Final = (50, 280, 101, 330, 205, 425)
LIPS_RED: Final = (17, 84, 314, 0, 37, 267)

OVAL: Final = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288),
    *(397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136),
    *(172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""The outline of the face, clockwise in the picture from the forehead."""


@dataclass(frozen=True, slots=True)
class EyeIndices:
    """The landmarks of one eye, each row from the picture's left to its right.

    Attributes:
        upper: the upper lid with both corners.
        lower: the lower lid with both corners.
        brow: the eyebrow.
        mirrored: whether the iris model must see this eye mirrored.
    """

    upper: tuple[int, ...]
    lower: tuple[int, ...]
    brow: tuple[int, ...]
    mirrored: bool


EYES: Final = (
    EyeIndices(
        upper=(33, 246, 161, 160, 159, 158, 157, 173, 133),
        lower=(33, 7, 163, 144, 145, 153, 154, 155, 133),
        brow=(70, 63, 105, 66, 107),
        mirrored=False,
    ),
    EyeIndices(
        upper=(362, 398, 384, 385, 386, 387, 388, 466, 263),
        lower=(362, 382, 381, 380, 374, 373, 390, 249, 263),
        brow=(336, 296, 334, 293, 300),
        mirrored=True,
    ),
)
"""The right eye, then the left one."""

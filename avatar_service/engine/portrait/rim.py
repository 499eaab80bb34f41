"""Owns the question whether the rim of glasses runs between an eye's lid and its brow. Must never draw.

A rim is a dark line that goes on beyond both corners of the eye and hardly bends. The fold of a lid bends with it,
fades at its ends and is a shade of the skin; lashes and brow lie outside the band that is looked at.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from avatar_service.engine.portrait.arrays import Floats, Pixels, floats, luminance, taken

ACROSS: Final[Floats] = floats(np.linspace(-1.1, 1.1, 45))
"""Places along the eye, in half-widths from its middle: a rim reaches beyond the corners."""
STEPS: Final = 32
"""Places per half-width down the face."""
BAND: Final = (0.66, 0.28)
"""Where a rim would be pulled by the lid, in brow heights above the corners: its upper and its lower end."""
LID_MARGIN: Final = 0.10
"""How far it keeps off the lid's edge, in half-widths: what is nearer may be lashes."""
THICKEST: Final = 0.36
"""Lines thinner than this, in half-widths, are seen as lines; a brow is thicker."""
SLANTS: Final = np.linspace(-0.25, 0.25, 11)
"""By how much a rim descends along the eye, in half-widths per half-width."""
SAGS: Final = np.linspace(0, 0.25, 6)
"""By how much it hangs lower at the corners than in the middle, in half-widths."""
HIDDEN: Final = 9
"""Of the places along a rim how many may be less dark: a reflection or a strand of hair may lie over it."""
DARKNESS: Final = 0.45
"""Share of the light that a rim takes away; folds take a third at most."""


def has_rim(texture: Pixels, centre: Floats, axes: Floats, brow: float, lid: Floats) -> bool:
    """Return whether a strong dark line runs between lid and brow.

    Args:
        texture: RGB ``[T, T, 3]``.
        centre: (x, y) between the eye's corners.
        axes: ``[2, 2]``: half-widths of the eye along it and down the face, as vectors in pixels.
        brow: height of the eyebrow above the line of the corners, in half-widths.
        lid: of the upper lid's edge below that line at ``ACROSS``, in half-widths.
    """
    below = floats(np.arange(-1.05 * brow, 0.1, 1 / STEPS))
    places = centre + floats(np.dstack(np.meshgrid(ACROSS, below))) @ axes
    light = luminance(taken(texture, floats(places), cv2.BORDER_REPLICATE))
    # The closing fills dark lines with the light around them, as if they were not there.
    without = cv2.morphologyEx(light, cv2.MORPH_CLOSE, np.ones((int(THICKEST * STEPS) | 1, 1), np.uint8))
    dark = (without - light) / np.maximum(without, 24)
    inside = (below > -BAND[0] * brow) & (below < -BAND[1] * brow)
    dark *= inside[:, None] & (below[:, None] < lid - LID_MARGIN)
    return _darkest_line(floats(dark)) > DARKNESS


def _darkest_line(dark: Floats) -> float:
    """Return how dark the darkest line is along which ``dark`` ``[rows, len(ACROSS)]`` hardly ever gets lighter."""
    slants, sags = (values.ravel() for values in np.meshgrid(SLANTS, SAGS))
    bends = slants[:, None] * ACROSS + sags[:, None] * ACROSS**2
    offsets = np.round(bends * STEPS).astype(int)
    margin = int(np.abs(offsets).max())
    padded = np.pad(dark, ((margin, margin), (0, 0)))
    rows = np.arange(len(dark))[:, None, None] + margin + offsets
    along = padded[rows, np.arange(len(ACROSS))]
    return float(np.partition(along, HIDDEN, axis=-1)[..., HIDDEN].max())

"""Owns a patch: a part of the texture that was redrawn, and how much of it changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from avatar_service.engine.portrait.arrays import Pixels
from avatar_service.engine.portrait.grid import Box

MARGIN: Final = 4
"""Unchanged pixels kept around the change: what is seen between pixels, of subsampled chroma too, is whole there."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A redrawn part of the texture.

    Attributes:
        whole: ``[h, w, 3]``.
        box: even place in the texture of what changed, with a margin; empty if nothing did.
        changed: what is seen there, a view.
    """

    whole: Pixels
    box: Box
    changed: Pixels


def patch_of(place: Box, before: Pixels, after: Pixels) -> Patch:
    """Return the patch of an even place in the texture that showed ``before`` and is to show ``after``."""
    differs = (before != after).any(axis=2)
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    inside = Box(0, 0, 0, 0)
    if len(rows):
        inside = Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        inside = inside.grown(MARGIN).even().clipped(place.width, place.height)
    return Patch(after, inside.moved(place.left, place.top), after[inside.rows, inside.columns])

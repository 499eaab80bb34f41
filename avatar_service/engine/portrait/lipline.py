"""Owns the mending of the lips' inner edges: the mesh is a few pixels off. Must never move anything else.

Closed lips are laid on the dark line between them, or along both sides of it where it is a slit; parted lips on the
edge where red skin ends.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from avatar_service.engine.portrait import indices
from avatar_service.engine.portrait.arrays import Floats, Pixels, floats, taken
from avatar_service.engine.portrait.face import Face

CLOSED_GAP: Final = 0.035
"""Lips closer than this, in eye distances, count as closed."""
REACH: Final = 0.05
"""How far up and down the edge is sought, in eye distances."""
SAMPLES: Final = 41
EDGE: Final = 4
"""Samples to either side of a place between which an edge is measured."""
FARNESS_COST: Final = 12.0
"""Grey levels by which the far end of the search must be better to win."""
SLIT: Final = 0.4
"""Between closed lips, what is darker than this share of the lips is a slit into the mouth."""
LINE: Final = 0.012
"""Width of the dark line between lips that touch, in eye distances."""
WIDEST_SLIT: Final = 0.028
"""Slits are taken to be no wider than this, in eye distances: they show no teeth."""
SMOOTHING: Final = (0.1, 0.2, 0.4, 0.2, 0.1)


def snap_lips(face: Face, picture: Pixels) -> Face:
    """Return the face with its inner lips laid on what the picture shows.

    Each point is moved up or down to the best place near it; the moves are smoothed along the lips, so that
    a single hair, shadow or tooth cannot kink the line. Grey portraits with parted lips stay as they are.
    """
    upper, lower = indices.UPPER_INNER_LIP, indices.LOWER_INNER_LIP
    gap = np.linalg.norm(face.flat[indices.LIP_TOP_INNER] - face.flat[indices.LIP_BOTTOM_INNER])
    smooth = floats(cv2.GaussianBlur(picture, (0, 0), 1.0))
    points = face.points.copy()
    if gap < CLOSED_GAP * face.eye_span:
        middles = floats((face.flat[list(upper)] + face.flat[list(lower)]) / 2)
        darkness = _columns(floats(cv2.cvtColor(smooth, cv2.COLOR_RGB2GRAY)), middles, face)[:, EDGE:-EDGE]
        offsets, slit = _best(darkness, face), _slit(darkness, face)
        points[list(upper), :2] = middles + offsets - slit / 2
        points[list(lower), :2] = middles + offsets + slit / 2
        points[[indices.MOUTH_CORNERS_RIGHT[0], indices.MOUTH_CORNERS_LEFT[0]], :2] += offsets[[0, -1]]
    else:
        redness = floats(smooth[..., 0] - smooth[..., 1])
        for numbers, inside in ((list(upper[1:-1]), 1), (list(lower[1:-1]), -1)):
            columns = _columns(redness, face.flat[numbers], face)
            rise = columns[:, 2 * EDGE :] - columns[:, : -2 * EDGE]
            points[numbers, :2] += _best(rise * inside, face)
    return Face(points, face.irises, face.score)


def _columns(values: Floats, places: Floats, face: Face) -> Floats:
    """Return the values above and below each place ``[points, SAMPLES + 2 * EDGE]``, from the nose to the chin."""
    reach = REACH * (1 + 2 * EDGE / (SAMPLES - 1)) * face.eye_span
    steps = np.linspace(-reach, reach, SAMPLES + 2 * EDGE)[:, None] * face.axes[1]
    return taken(values, floats(places[:, None, :] + steps), cv2.BORDER_REPLICATE)


def _best(costs: Floats, face: Face) -> Floats:
    """Return the moves ``[points, 2]`` to the cheapest of the samples ``[points, SAMPLES]``."""
    places = np.linspace(-1, 1, SAMPLES)
    return _smoothed(places[np.argmin(costs + FARNESS_COST * places**2, axis=1)] * REACH * face.eye_span, face)


def _slit(grey: Floats, face: Face) -> Floats:
    """Return the ways ``[points, 2]`` across a slit between the lips, from columns ``[points, SAMPLES]``; 0 at ends."""
    lips = (grey[:, :1] + grey[:, -1:]) / 2
    width = (grey < SLIT * lips).sum(axis=1) * (2 * REACH / (SAMPLES - 1)) - LINE
    width[[0, -1]] = 0
    return _smoothed(floats(np.clip(width, 0, WIDEST_SLIT) * face.eye_span), face)


def _smoothed(chosen: Floats, face: Face) -> Floats:
    """Return moves along the lips, in pixels down the face, as ``[points, 2]``."""
    padded = np.pad(chosen, len(SMOOTHING) // 2, mode="edge")
    return floats(np.convolve(padded, SMOOTHING, "valid")[:, None] * face.axes[1])

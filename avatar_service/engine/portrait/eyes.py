# ruff: noqa: PLR2004 - the constants are the formula: proportions of an eye.
"""Owns blinks and gaze: small patches of the texture, redrawn with a moved iris or a lowered lid.

Patches are edits of the texture and not of the frame, so expression and pose displace them like the rest. The
portrait's own texture is never written to.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np

from avatar_service.engine.portrait.arrays import Floats, Pixels, bell, floats, luminance, pixels, ramp, taken
from avatar_service.engine.portrait.face import Face
from avatar_service.engine.portrait.grid import Box
from avatar_service.engine.portrait.indices import EYES, EyeIndices
from avatar_service.engine.portrait.patch import Patch, patch_of
from avatar_service.engine.portrait.rim import ACROSS, has_rim

BLINK_LEVELS: Final = 16
GAZE_LEVELS: Final = 16
BLINKING: Final = 4
"""Blink level from which on the gaze hardly shows, so that fewer levels of it do."""
BLINKING_GAZE_LEVELS: Final = 4
KEPT_PATCHES: Final = 96
"""Patches an eye remembers, about 40 KB each."""
CLOSED_EYE: Final = (0.012, 0.04)
"""Eye heights, in eye distances, below which an eye counts as shut and from which it counts as open."""
LOOK_DOWN_LID: Final = 0.22
"""How much of a blink the lid follows a full look down by."""
LID_REACH: Final = 0.62
"""How far above the corners the skin takes part in a blink, in brow heights."""
RIMMED_REACH: Final = 0.35
"""The same under the rim of glasses, which must not be pulled down."""
LEAST_LID: Final = 0.07
"""Least height of the skin that a lid is stretched from, in half-widths of the eye."""
LID_COVER: Final = 0.7
"""How much of the darkest lid takes on the colour of the skin below the eye."""
LASH_TONE: Final = 0.22
"""Brightness of closed lashes, of that skin's."""
LASH_COVER: Final = 0.75
"""How much of the place where lids meet is lashes."""
CURVE_PLACES: Final = np.linspace(-1.25, 1.25, 97)
CURVE_SMOOTHING: Final = 2.3
"""Gaussian blur of a lid's edge, in steps of its places."""


@dataclass(frozen=True)
class _Lids:
    """The eye's own frame at every pixel of its patch, all ``[h, w]``, in texture pixels.

    Attributes:
        across: -1 to 1 from corner to corner.
        below: distance below the line of the corners.
        upper: of the upper lid's edge, in the same measure.
        lower: of the lower lid's edge.
        fade: 1 over the eye, 0 beyond its corners.
        lines: both edges at ``CURVE_PLACES``.
    """

    across: Floats
    below: Floats
    upper: Floats
    lower: Floats
    fade: Floats
    lines: tuple[Floats, Floats]

    def line(self, across: Floats, number: int) -> Floats:
        """Return the upper (0) or the lower (1) lid's edge at places along the eye."""
        return floats(np.interp(across, CURVE_PLACES, self.lines[number]))


@dataclass(frozen=True)
class _Anatomy:
    """Where an eye lies in its patch, in texture pixels.

    Attributes:
        places: (x, y) of every pixel, ``[h, w, 2]``.
        lids: the eye's own frame.
        axes: ``[2, 2]`` unit vectors along the eye and down the face.
        half_width: half the distance of the corners.
        brow: height of the eyebrow above the line of the corners.
        skin: height up to which the skin takes part in a blink, above the same line.
        iris: its centre (x, y) and radius.
        pixel: texture pixels in a pixel of a 512-pixel frame.
    """

    places: Floats
    lids: _Lids
    axes: Floats
    half_width: float
    brow: float
    skin: float
    iris: tuple[Floats, float]
    pixel: float

    def inside_lids(self, across: Floats, below: Floats) -> Floats:
        """Return the places ``[h, w, 2]`` with these coordinates; what is behind a lid moves to the lid's edge."""
        soft = 1.0 * self.pixel
        upper, lower = self.lids.line(across, 0) + soft, self.lids.line(across, 1) - soft
        below = np.where(upper < lower, np.clip(below, upper, lower), (upper + lower) / 2)
        moved = np.dstack([(across - self.lids.across) * self.half_width, below - self.lids.below])
        return floats(self.places + moved @ self.axes)


class Eye:
    """One eye of a portrait: its part of the texture and all that is needed to redraw it."""

    def __init__(self, box: Box, texture: Pixels, anatomy: _Anatomy, strength: float) -> None:
        self.box = box
        """The patch's place in the texture."""
        self.strength = strength
        """1 for an open eye, 0 for one that is shut or turned away, which neither blinks nor looks."""
        self._texture = texture
        self._anatomy = anatomy
        self._skin = _smooth_skin(texture, anatomy.half_width)
        self._eyeball = _without_iris(texture, anatomy)
        self._gain, self._under = _lid_gain(texture, anatomy)
        # One memory per eye: bounded, and safe to share between threads.
        self._redrawn = lru_cache(maxsize=KEPT_PATCHES)(self._redraw)

    @property
    def patches_nbytes(self) -> int:
        """Memory of the patches, once as many are remembered as ever are."""
        return KEPT_PATCHES * self.box.width * self.box.height * 3

    def patch(self, blink: float, gaze_x: float, gaze_y: float) -> Patch | None:
        """Return the eye's patch, or ``None`` if the texture shows just that."""
        lowered = min(1.0, blink + max(0.0, gaze_y) * LOOK_DOWN_LID)
        blinking = _level(lowered * self.strength, 0, BLINK_LEVELS)
        levels = GAZE_LEVELS if blinking < BLINKING else BLINKING_GAZE_LEVELS
        gaze = (_level(value * self.strength, -1, levels) / levels for value in (gaze_x, gaze_y))
        steps = blinking, *gaze
        return self._redrawn(*steps) if any(steps) else None

    def _redraw(self, blink: int, gaze_x: float, gaze_y: float) -> Patch:
        drawn: Floats | Pixels = self._texture
        if gaze_x or gaze_y:
            drawn = self._look(gaze_x, gaze_y)
        if blink:
            drawn = self._lower_lid(floats(drawn), blink / BLINK_LEVELS)
        return patch_of(self.box, self._texture, pixels(np.clip(drawn + 0.5, 0, 255).astype(np.uint8)))

    def _look(self, gaze_x: float, gaze_y: float) -> Floats:
        """Move the iris over the eyeball, inside the lids."""
        eye, lids, (centre, radius) = self._anatomy, self._anatomy.lids, self._anatomy.iris
        shift = (0.75 * radius * gaze_x, 0.45 * radius * gaze_y)
        across, below = lids.across - shift[0] / eye.half_width, lids.below - shift[1]
        iris = floats(_take(self._texture, eye.inside_lids(floats(across), floats(below))))
        offset = eye.places - (centre + floats(shift) @ eye.axes)
        disc = 1 - ramp(1.02 * radius, 1.25 * radius, np.hypot(offset[..., 0], offset[..., 1]))
        looked = self._eyeball + (iris - self._eyeball) * disc[..., None]
        soft = 1.6 * eye.pixel
        seen = ramp(-0.3, soft, lids.below - lids.upper) * ramp(-0.3, soft, lids.lower - lids.below)
        seen = seen * (1 - ramp(0.8, 1.0, np.abs(lids.across)))
        return floats(self._texture + (looked - self._texture) * seen[..., None])

    def _lower_lid(self, eyeball: Floats, shut: float) -> Floats:
        """Slide the upper lid down over the eyeball by ``shut`` of the eye's height."""
        eye = self._anatomy
        lids, pixel, half_width = eye.lids, eye.pixel, eye.half_width
        below, upper, height = lids.below, lids.upper, lids.lower - lids.upper
        edge = upper + shut * (height + 0.6 * pixel)
        top = np.minimum(-eye.skin, upper - LEAST_LID * half_width)
        # Next to its edge the lid keeps its texture 1:1, so that the lash line stays crisp; above it stretches.
        length, own = np.maximum(edge - top, 1e-3), np.maximum(upper - top, 1e-3)
        crisp = np.minimum(0.10 * half_width + 0.8 * pixel, 0.5 * own)
        above = np.maximum(edge - below, -1.2 * pixel)
        stretched = crisp + (above - crisp) * (own - crisp) / np.maximum(length - crisp, 1e-3)
        # The source starts a little above the lid's edge, so that no iris is dragged along.
        source = upper - 0.9 * pixel * min(1.0, 2 * shut) - np.where(above < crisp, above, stretched)
        moved = np.where((below < edge + pixel) & (below > top), source - below, 0) * lids.fade
        places = eye.places + floats(moved)[..., None] * eye.axes[1]
        lid = floats(_take(self._texture, places))
        smooth = floats(_take(self._skin, places))
        skin_share = ramp(0.03 * half_width, 0.12 * half_width, above) * ramp(0, 0.25 * half_width, below - top)
        lid = lid + (smooth - lid) * (0.45 * shut * skin_share)[..., None]
        openness = np.clip(height / max(float(height.max()), 1e-3), 0, 1) ** 0.5
        lid = self._brightened(lid, shut * ramp(0, 1, (below - top) / np.maximum(edge - top, 1.0)) * openness)
        cover = (1 - ramp(-0.8 * pixel, 0.8 * pixel, below - edge - 0.3 * pixel)) * ramp(0, 1.5 * pixel, below - top)
        drawn = eyeball + (lid - eyeball) * (cover * lids.fade)[..., None]
        # Closed lashes are a soft dark line in the skin's own tint, not a shadow on the eyeball.
        lash = bell((below - edge) / (0.045 * half_width + 0.7 * pixel)) * openness * lids.fade
        share = LASH_COVER * min(1.0, 1.4 * shut) * lash
        return floats(drawn + (LASH_TONE * self._under - drawn) * share[..., None])

    def _brightened(self, lid: Floats, amount: Floats) -> Floats:
        """Lift a fold, which stretched over the eye is too dark for a lid, towards the skin below the eye."""
        ceiling = 0.92 * float(luminance(self._under))
        light = luminance(lid)
        lift = np.minimum(self._gain, np.maximum(1, ceiling / np.maximum(light, 4)))
        brighter = lid * (1 + (lift - 1) * amount)[..., None]
        # Shadow and make-up of a deep-set eye have a colour of their own, which brightness alone does not mend.
        dark = amount * np.clip(1.6 * (1 - light / max(ceiling, 1.0)), 0, LID_COVER)
        return floats(np.minimum(brighter + (0.88 * self._under - brighter) * dark[..., None], 250))


def _level(value: float, least: float, levels: int) -> int:
    """Return the nearest of the levels from 0 to 1, and from 0 down to ``least``."""
    return round(min(max(value, least), 1.0) * levels)


def _take(texture: Pixels, places: Floats) -> Pixels:
    return taken(texture, floats(places), cv2.BORDER_REPLICATE)


def _without_iris(texture: Pixels, eye: _Anatomy) -> Floats:
    """Return the patch with the iris filled from the white at its two sides."""
    lids, (centre, radius) = eye.lids, eye.iris
    along, down = np.moveaxis((eye.places - centre) @ eye.axes.T, -1, 0)
    reach = np.sqrt(np.maximum((1.25 * radius) ** 2 - down**2, 0))
    sides = []
    for side in (-1, 1):
        across = lids.across + (side * reach - along) / eye.half_width
        sides.append(floats(_take(texture, eye.inside_lids(floats(np.clip(across, -0.85, 0.85)), lids.below))))
    share = np.clip((along + reach) / np.maximum(2 * reach, 1e-3), 0, 1)[..., None]
    filled = sides[0] + (sides[1] - sides[0]) * share
    return floats(np.where((np.abs(along) < reach)[..., None], filled, texture))


def _lid_gain(texture: Pixels, eye: _Anatomy) -> tuple[float, Floats]:
    """Return by how much a stretched lid is brightened at most, and the colour of the skin below the eye."""
    lids, half, grey = eye.lids, eye.half_width, luminance(texture)
    middle = np.abs(lids.across) < 0.6
    on_lid = middle & (lids.below > -0.56 * eye.brow) & (lids.below < lids.upper - 0.12 * half)
    under = middle & (lids.below > lids.lower + 0.35 * half) & (lids.below < lids.lower + 0.8 * half)
    if on_lid.sum() < 6 or under.sum() < 6:
        return 1.0, np.full(3, 140, np.float32)
    lid, skin = float(np.median(grey[on_lid])), floats(np.median(texture[under], axis=0))
    return float(np.clip((lid + float(luminance(skin))) / 2 / max(lid, 8.0), 1, 1.7)), skin


def measure_eye(number: int, face: Face, texture: Pixels, scale: float, *, moves: bool = True) -> Eye:
    """Return the eye ``number`` (of ``indices.EYES``) of a face given in texture pixels.

    Args:
        number: 0 for the right eye, 1 for the left.
        face: its points in pixels of the texture.
        texture: ``[T, T, 3]``.
        scale: texture pixels in a pixel of a 512-pixel frame.
        moves: ``False`` for an eye that is turned away and stays as it is.
    """
    which = EYES[number]
    upper = face.flat[list(which.upper)]
    centre = (upper[0] + upper[-1]) / 2
    chord = upper[-1] - upper[0]
    half_width = max(float(np.linalg.norm(chord)) / 2, 2.0)
    across = chord / max(float(np.linalg.norm(chord)), 1e-6)
    axes = floats([across, [-across[1], across[0]]])
    brow = max(float(-((face.flat[list(which.brow[1:4])] - centre) @ axes[1]).mean()), 0.8 * half_width)
    x, y = (float(value) for value in centre)
    reach = (1.5 * half_width, max(1.2 * half_width, brow), half_width)
    size = texture.shape[0]
    box = Box(int(x - reach[0]), int(y - reach[1]), int(x + reach[0]) + 2, int(y + reach[2]) + 2)
    box = _at_least_one_pixel(box.clipped(size, size), size).even()
    corner = floats([box.left, box.top])
    places = floats(np.dstack(np.meshgrid(np.arange(box.width), np.arange(box.height))))
    lids = _measure_lids(which, face, axes, half_width, places + corner)
    iris = face.irises[number] - corner
    radius = float(np.linalg.norm(iris[1:] - iris[0], axis=1).mean())
    height = float((lids.lower - lids.upper).max())
    rimmed = has_rim(texture, centre, axes * half_width, brow / half_width, lids.line(ACROSS, 0) / half_width)
    skin = (RIMMED_REACH if rimmed else LID_REACH) * brow
    anatomy = _Anatomy(places, lids, axes, half_width, brow, skin, (iris[0], radius), scale)
    strength = float(ramp(*CLOSED_EYE, height / face.eye_span)) if moves else 0.0
    return Eye(box, np.ascontiguousarray(texture[box.rows, box.columns]), anatomy, strength)


def _at_least_one_pixel(box: Box, size: int) -> Box:
    """A face at the very edge may have an eye outside: keep a pixel there, which never shows."""
    left, top = min(box.left, size - 1), min(box.top, size - 1)
    return Box(left, top, max(box.right, left + 1), max(box.bottom, top + 1))


def _measure_lids(which: EyeIndices, face: Face, axes: Floats, half_width: float, places: Floats) -> _Lids:
    centre = (face.flat[which.upper[0]] + face.flat[which.upper[-1]]) / 2
    local = (places - centre) @ axes.T
    across, below = local[..., 0] / np.float32(half_width), local[..., 1]

    def curve(numbers: tuple[int, ...]) -> Floats:
        points = (face.flat[list(numbers)] - centre) @ axes.T
        order = np.argsort(points[:, 0], kind="stable")
        heights = floats(np.interp(CURVE_PLACES, points[order, 0] / half_width, points[order, 1]))
        return floats(floats(cv2.GaussianBlur(heights[None, :], (0, 0), CURVE_SMOOTHING))[0])

    upper = curve(which.upper)
    lines = upper, floats(np.maximum(curve(which.lower), upper))
    edges = [floats(np.interp(across, CURVE_PLACES, line)) for line in lines]
    return _Lids(floats(across), floats(below), edges[0], edges[1], 1 - ramp(0.98, 1.22, np.abs(across)), lines)


def _smooth_skin(texture: Pixels, half_width: float) -> Pixels:
    """Return the patch without lashes: a bright closing takes out dark hairs, a blur its edges."""
    size = int(0.11 * half_width) | 1
    closed = cv2.morphologyEx(texture, cv2.MORPH_CLOSE, np.ones((size, size), np.uint8))
    return pixels(cv2.GaussianBlur(closed, (0, 0), 0.05 * half_width + 0.6))

"""Owns the decisions about a portrait: which face, which crop, what the caller should be told."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from avatar_service.engine.base import Notice, Portrait, PrepareOptions
from avatar_service.engine.portrait import crop
from avatar_service.engine.portrait.arrays import Pixels, floats
from avatar_service.engine.portrait.aspect import aspect_of
from avatar_service.engine.portrait.avatar import PortraitAvatar, make_avatar
from avatar_service.engine.portrait.face import Face
from avatar_service.engine.portrait.grid import Box
from avatar_service.engine.portrait.landmarks import FaceFinder
from avatar_service.engine.portrait.lips import measure_lips
from avatar_service.engine.portrait.palette import shows_lips
from avatar_service.errors import InvalidArgumentError

SMALLEST_FACE: Final = 64
"""Faces with a box smaller than this, in pixels of the given picture, are refused."""
SMALL_FACE: Final = 120
"""Below this the crop has to be enlarged so far that it looks soft."""
LIPS_FROM: Final = 90
"""Below this the colour of a few pixels says nothing of what lies over the mouth."""
LARGEST_PIXELS: Final = 16_000_000
LONGEST_SIDE: Final = 32_000
"""OpenCV's sampling counts pixels of a side in 16 bits."""
CANONICAL_FACE: Final = Path(__file__).parent / "canonical_face.npz"
FIELD: Final = "init.portrait"

SEVERAL = Notice("SEVERAL_FACES", "The picture shows several faces; the largest one is animated.")
ENLARGED = Notice(
    "SMALL_FACE_ENLARGED", "The face has few pixels and looks soft; a picture with a larger face looks sharper."
)
CANONICAL = Notice(
    "NO_FACE_CANONICAL_LAYOUT",
    "No face was found; it is assumed to fill the picture, upright and looking at the camera.",
)
CUT_OFF = Notice(
    "FACE_CUT_OFF", "A part of the face lies beyond the edge of the picture or its crop; what is missing does not move."
)
PROFILE = Notice(
    "PROFILE_VIEW", "The face is turned far aside; its mouth moves less than that of a frontal one, or not at all."
)
COVERED = Notice(
    "MOUTH_UNCLEAR", "The mouth hardly looks like lips; a hand, hair or a microphone before it would bend with them."
)


@dataclass(frozen=True)
class Preparation:
    """Makes avatars of portraits; owns the landmark networks, which it loads when they are first needed."""

    @cached_property
    def _finder(self) -> FaceFinder:
        return FaceFinder()

    def prepare(self, portrait: Portrait, options: PrepareOptions) -> PortraitAvatar:
        """Make an avatar of a portrait.

        Raises:
            InvalidArgumentError: ``BAD_PICTURE`` if it is no RGB picture of at most 16 million pixels, ``NO_FACE`` if
                a crop is wanted and there is no face, ``SMALL_FACE`` if it is too small to be animated.
        """
        check_picture(portrait)
        if not options.crop:
            return self._whole(portrait)
        faces = found_faces(self._finder, portrait)
        face = faces[0]
        extent = face.extent
        picture = crop.shrunk(portrait) if options.paste_back else portrait
        if picture is not portrait:
            face = self._finder.again(picture, face.moved((0, 0), picture.shape[1] / portrait.shape[1]))
        height, width = picture.shape[:2]
        box = crop.face_box(face, width, height, options.crop_scale)
        notices = _notices(picture, face, box, extent, several=len(faces) > 1)
        if options.paste_back:
            stitch = crop.stitch(picture, box)
            return make_avatar(picture, face, box, crop.stitched_size(box), stitch, notices)
        return make_avatar(picture, face, box, crop.FRAME_SIZE, notices=notices)

    def _whole(self, portrait: Portrait) -> PortraitAvatar:
        """Take the largest square as it is; where no face is found in it, a common layout stands in."""
        height, width = portrait.shape[:2]
        known = self._finder.find(portrait) if width != height else []
        box = crop.square_with(known[0], width, height) if known else crop.middle_box(width, height)
        square = crop.cut(portrait, box, 2 * crop.FRAME_SIZE)
        scale = square.shape[0] / box.width
        everything = crop.middle_box(*square.shape[:2])
        faces = self._finder.find(square)
        if known:
            expected = known[0].moved((box.left, box.top), scale)
            same = (face for face in faces if face.is_near(expected))
            face = next(same, None) or self._finder.again(square, expected)
        elif faces:
            face = faces[0]
        else:
            face = canonical_face(everything.width)
            return make_avatar(square, face, everything, crop.FRAME_SIZE, notices=(CANONICAL,))
        several = max(len(known), len(faces)) > 1
        notices = _notices(square, face, everything, face.extent / scale, several=several)
        return make_avatar(square, face, everything, crop.FRAME_SIZE, notices=notices)


def check_picture(portrait: Pixels) -> None:
    """Check what an engine may be given.

    Raises:
        InvalidArgumentError: ``BAD_PICTURE`` unless it is an RGB picture of at most 16 million pixels.
    """
    right = portrait.ndim == 3 and portrait.shape[2] == 3 and portrait.dtype == np.uint8  # noqa: PLR2004 - RGB
    fits = right and 0 < portrait.shape[0] * portrait.shape[1] <= LARGEST_PIXELS
    if not fits or max(portrait.shape) > LONGEST_SIDE:
        message = "The portrait must be an RGB picture of at most 16 million pixels, and 32,000 on a side."
        raise InvalidArgumentError("BAD_PICTURE", message, field=FIELD)


def found_faces(finder: FaceFinder, portrait: Portrait) -> list[Face]:
    """Return the faces of a portrait, the one to animate first.

    Raises:
        InvalidArgumentError: ``NO_FACE`` if there is none, ``SMALL_FACE`` if the first is too small to be animated.
    """
    faces = finder.find(portrait)
    if not faces:
        message = "No face was found in the portrait. Send a picture that shows one face from the front."
        raise InvalidArgumentError("NO_FACE", message, field=FIELD)
    extent = faces[0].extent
    if extent < SMALLEST_FACE:
        message = (
            f"The face is only {extent:.0f} pixels high; "
            f"send a picture in which it has at least {SMALLEST_FACE}, better {SMALL_FACE}."
        )
        raise InvalidArgumentError("SMALL_FACE", message, field=FIELD)
    return faces


def _notices(picture: Pixels, face: Face, box: Box, extent: float, *, several: bool) -> tuple[Notice, ...]:
    """Return what is to be said of a face.

    Args:
        picture: in which it was found.
        face: the one that is animated.
        box: the square that is animated, in the face's picture.
        extent: of the face in the picture as given.
        several: whether there are others.
    """
    aspect = aspect_of(measure_lips(face))
    said = (
        (several, SEVERAL),
        (not aspect.frontal, PROFILE),
        (extent >= LIPS_FROM and aspect.frontal and not shows_lips(face, picture), COVERED),
        (extent < SMALL_FACE, ENLARGED),
        (crop.cuts_off(box, face), CUT_OFF),
    )
    return tuple(notice for holds, notice in said if holds)


def canonical_face(side: int) -> Face:
    """Return the common layout in a square picture of ``side`` pixels.

    The file holds ``points`` ``[468, 3]`` and ``irises`` ``[2, 5, 2]`` as fractions of the side. They are the mesh of
    one public-domain photograph, averaged with its mirror image, with the lips closed along their middle, laid out
    by the crop rule.
    """
    with np.load(CANONICAL_FACE) as layout:
        points, irises = floats(layout["points"]) * side, floats(layout["irises"]) * side
    points[:, :2] -= 0.5
    return Face(points, irises - np.float32(0.5), 0.0)

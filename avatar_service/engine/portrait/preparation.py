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
from avatar_service.engine.portrait.landmarks import FaceFinder
from avatar_service.engine.portrait.lips import measure_lips
from avatar_service.errors import InvalidArgumentError

SMALLEST_FACE: Final = 64
"""Faces with a box smaller than this, in pixels of the given picture, are refused."""
SMALL_FACE: Final = 120
"""Below this the crop has to be enlarged so far that it looks soft."""
LARGEST_PIXELS: Final = 16_000_000
CANONICAL_FACE: Final = Path(__file__).parent / "canonical_face.npz"
FIELD: Final = "init.portrait"

SEVERAL = Notice("SEVERAL_FACES", "The picture shows several faces; the largest one is animated.")
ENLARGED = Notice(
    "SMALL_FACE_ENLARGED", "The face is small and had to be enlarged; a picture with a larger face looks sharper."
)
CANONICAL = Notice(
    "NO_FACE_CANONICAL_LAYOUT",
    "No face was found; it is assumed to fill the picture, upright and looking at the camera.",
)
PROFILE = Notice(
    "PROFILE_VIEW", "The face is turned far aside; its mouth moves less than that of a frontal one, or not at all."
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
        _check(portrait)
        if not options.crop:
            return self._whole(portrait)
        picture = crop.shrunk(portrait) if options.paste_back else portrait
        faces = self._finder.find(picture)
        if not faces:
            message = "No face was found in the portrait. Send a picture that shows one face from the front."
            raise InvalidArgumentError("NO_FACE", message, field=FIELD)
        face = faces[0]
        notices = _notices(faces)
        extent = face.extent * portrait.shape[1] / picture.shape[1]
        if extent < SMALLEST_FACE:
            message = f"The face is only {extent:.0f} pixels high; send a picture in which it has {SMALL_FACE} or more."
            raise InvalidArgumentError("SMALL_FACE", message, field=FIELD)
        if extent < SMALL_FACE:
            notices.append(ENLARGED)
        height, width = picture.shape[:2]
        box = crop.face_box(face, width, height, options.crop_scale)
        if options.paste_back:
            stitch = crop.stitch(picture, box)
            return make_avatar(picture, face, box, crop.stitched_size(box), stitch, tuple(notices))
        return make_avatar(picture, face, box, crop.FRAME_SIZE, notices=tuple(notices))

    def _whole(self, portrait: Portrait) -> PortraitAvatar:
        """Take the picture as it is; where no face is found in it, a common layout stands in."""
        height, width = portrait.shape[:2]
        box = crop.middle_box(width, height)
        square = crop.cut(portrait, box, 2 * crop.FRAME_SIZE)
        everything = crop.middle_box(*square.shape[:2])
        faces = self._finder.find(square)
        if faces:
            return make_avatar(square, faces[0], everything, crop.FRAME_SIZE, notices=tuple(_notices(faces)))
        return make_avatar(square, canonical_face(everything.width), everything, crop.FRAME_SIZE, notices=(CANONICAL,))


def _check(portrait: Pixels) -> None:
    right = portrait.ndim == 3 and portrait.shape[2] == 3 and portrait.dtype == np.uint8  # noqa: PLR2004 - RGB
    if not right or not 0 < portrait.shape[0] * portrait.shape[1] <= LARGEST_PIXELS:
        message = "The portrait must be an RGB picture of at most 16 million pixels."
        raise InvalidArgumentError("BAD_PICTURE", message, field=FIELD)


def _notices(faces: list[Face]) -> list[Notice]:
    """Return what is to be said of the found faces, of which the first is animated."""
    notices = [SEVERAL] if len(faces) > 1 else []
    return notices if aspect_of(measure_lips(faces[0])).frontal else [*notices, PROFILE]


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

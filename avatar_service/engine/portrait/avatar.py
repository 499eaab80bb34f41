"""Owns what is prepared once from a portrait. Frozen: sessions share it and nothing writes to it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2

from avatar_service.engine.base import Notice
from avatar_service.engine.portrait.arrays import Pixels, held_bytes, pixels
from avatar_service.engine.portrait.aspect import Aspect, aspect_of
from avatar_service.engine.portrait.bases import Bases, displacement_bases
from avatar_service.engine.portrait.crop import TEXTURE_SCALE, Stitch, cut
from avatar_service.engine.portrait.depth import ALONE, STITCHED
from avatar_service.engine.portrait.eyes import Eye, measure_eye
from avatar_service.engine.portrait.face import Face
from avatar_service.engine.portrait.grid import Box, Grid
from avatar_service.engine.portrait.lipline import snap_lips
from avatar_service.engine.portrait.lips import Lips, measure_lips
from avatar_service.engine.portrait.mouth import Mouth, measure_mouth
from avatar_service.engine.portrait.pose import REFERENCE_SIZE, Head, measure_head
from avatar_service.engine.portrait.quads import Quads, quads


@dataclass(frozen=True)
class PortraitAvatar:
    """A portrait made ready to move.

    Attributes:
        source: the still frame, ``[size, size, 3]``.
        texture: the same at twice the resolution; frames are sampled from it.
        quads: the same as I420 frames are drawn from it; ``None`` if they show the whole picture.
        grid: of the displacement fields.
        lips: the mouth's coordinates.
        aspect: what the face's turn allows.
        bases: the displacement bases.
        head: the head's relief and weight.
        mouth: lip layers and interior.
        eyes: the right eye and the left one.
        stitch: the way back into the whole picture; ``None`` if frames show the crop alone.
        notices: what the caller should know about the portrait.
    """

    source: Pixels
    texture: Pixels
    quads: Quads | None
    grid: Grid
    lips: Lips
    aspect: Aspect
    bases: Bases
    head: Head
    mouth: Mouth
    eyes: tuple[Eye, Eye]
    stitch: Stitch | None
    notices: tuple[Notice, ...]

    @property
    def frame_size(self) -> tuple[int, int]:
        """Width and height of the frames, in pixels."""
        shown = self.source if self.stitch is None else self.stitch.picture
        return shown.shape[1], shown.shape[0]

    @property
    def nbytes(self) -> int:
        """Memory of all arrays, and of the eyes' patches once every one of them is remembered."""
        return held_bytes(vars(self)) + sum(eye.patches_nbytes for eye in self.eyes)


def make_avatar(
    picture: Pixels,
    face: Face,
    box: Box,
    size: int,
    stitch: Stitch | None = None,
    notices: tuple[Notice, ...] = (),
) -> PortraitAvatar:
    """Return the avatar of a face in ``picture``.

    Args:
        picture: RGB ``[H, W, 3]``.
        face: in the picture's pixels.
        box: the square that is animated.
        size: side of the animated frame, a multiple of the grid's cells.
        stitch: if frames show the whole picture.
        notices: to hand on.
    """
    grid = Grid(size)
    source, texture = cut(picture, box, size), cut(picture, box, TEXTURE_SCALE * size)
    inside = snap_lips(face.moved((box.left, box.top), size / box.width), source)
    fine = inside.moved((0, 0), TEXTURE_SCALE)
    lips = measure_lips(inside)
    aspect = aspect_of(lips)
    scale = TEXTURE_SCALE * size / REFERENCE_SIZE
    coarse = pixels(cv2.resize(texture, (size, size), interpolation=cv2.INTER_AREA))
    return PortraitAvatar(
        source=source,
        texture=texture,
        quads=quads(texture) if stitch is None else None,
        grid=grid,
        lips=lips,
        aspect=aspect,
        bases=displacement_bases(lips, inside, grid),
        head=measure_head(inside, grid, ALONE if stitch is None else STITCHED),
        mouth=measure_mouth(lips, inside, coarse, texture),
        eyes=(
            measure_eye(0, fine, texture, scale, moves=aspect.eyes[0]),
            measure_eye(1, fine, texture, scale, moves=aspect.eyes[1]),
        ),
        stitch=stitch,
        notices=notices,
    )

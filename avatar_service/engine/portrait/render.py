"""Owns one frame, on one screen: fields, picture, eyes, mouth. A pure function of avatar and row."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from avatar_service.engine.portrait.arrays import Floats, Pixels, floats, ramp, taken
from avatar_service.engine.portrait.avatar import PortraitAvatar
from avatar_service.engine.portrait.bases import LAYERS
from avatar_service.engine.portrait.crop import TEXTURE_SCALE
from avatar_service.engine.portrait.grid import NODES, Box
from avatar_service.engine.portrait.mouth import Warp
from avatar_service.engine.portrait.pose import Pose
from avatar_service.engine.portrait.rig import Column, MouthShape, mouth_shape, permitted, pose_of

UPPER_PASSES: Final = 3
LOWER_PASSES: Final = 4
WIDE_PASSES: Final = 6
"""Passes of the fixed point; a wide open jaw needs more near the neck."""
WIDE_DROP: Final = 0.45
POSE_PASSES: Final = 3
SPLIT_SOFTNESS: Final = 0.15
"""Half-width of the band between the upper and the lower layer, in mouth units."""
BAND: Final = 128
"""Rows that are warped at a time."""
EYE_MARGIN: Final = 8
"""Pixels around an eye that its patch may be displaced into by the slope of the pose."""


def render_frame(avatar: PortraitAvatar, row: Floats) -> Pixels:
    """Return the frame of one motion row: a fresh RGB array of the avatar's ``frame_size``."""
    row = permitted(row, avatar.aspect)
    shape, pose = mouth_shape(row, avatar.lips), pose_of(row)
    patches = eye_patches(avatar, row)
    if shape.at_rest and pose.at_rest and not any(patch is not None for patch in patches):
        return avatar.source.copy() if avatar.stitch is None else avatar.stitch.picture.copy()
    warp = warp_fields(avatar, shape, pose)
    frame = warp_picture(avatar, warp)
    draw_eyes(avatar, frame, warp, patches)
    avatar.mouth.draw(frame, avatar.texture, avatar.grid, warp, shape)
    return frame if avatar.stitch is None else avatar.stitch.paste(frame)


def eye_patches(avatar: PortraitAvatar, row: Floats) -> list[Pixels | None]:
    """Return for each eye its redrawn part of the texture, or ``None`` where it is as in the portrait."""
    blink, gaze_x, gaze_y = (float(value) for value in row[Column.BLINK : Column.GAZE_Y + 1])
    return [eye.patch(blink, gaze_x, gaze_y) for eye in avatar.eyes]


def warp_fields(avatar: PortraitAvatar, shape: MouthShape, pose: Pose) -> Warp:
    """Return the backward fields: first the pose is undone, then each layer's expression."""
    grid = avatar.grid
    forward = floats(shape.weights @ avatar.bases).reshape(LAYERS, NODES, NODES, 2)
    upper = grid.inverse(forward[0], UPPER_PASSES)
    lower = grid.inverse(forward[1], WIDE_PASSES if shape.drop > WIDE_DROP else LOWER_PASSES)
    undone, places = None, grid.points
    if not pose.at_rest:
        undone = grid.inverse(avatar.head.field(pose), POSE_PASSES)
        upper = undone + grid.sample(upper, undone)
        lower = undone + grid.sample(lower, undone)
        places = grid.points + undone
    lips = avatar.lips
    (x, y), (down_x, down_y) = lips.origin, (value / lips.unit for value in lips.down)
    height = (places[..., 0] - np.float32(x)) * np.float32(down_x) + (places[..., 1] - np.float32(y)) * np.float32(
        down_y
    )
    upper, lower = grid.points + upper, grid.points + lower
    base = floats(upper + (lower - upper) * ramp(-SPLIT_SOFTNESS, SPLIT_SOFTNESS, height)[..., None])
    return Warp(_in_texture(base), _in_texture(upper), _in_texture(lower), undone, places)


def _in_texture(places: Floats) -> Floats:
    return places * np.float32(TEXTURE_SCALE) + np.float32(0.5)


def warp_picture(avatar: PortraitAvatar, warp: Warp) -> Pixels:
    """Return the frame ``[size, size, 3]`` with neither eyes nor mouth redrawn."""
    size = avatar.grid.size
    frame = np.empty((size, size, 3), np.uint8)
    # Band by band, the places stay in the processor's cache between being written and being read.
    for top in range(0, size, BAND):
        places = avatar.grid.refine(warp.base, Box(0, top, size, min(top + BAND, size)))
        taken(avatar.texture, places, cv2.BORDER_REPLICATE, frame[top : top + BAND])
    return frame


def draw_eyes(avatar: PortraitAvatar, frame: Pixels, warp: Warp, patches: list[Pixels | None]) -> None:
    """Draw the redrawn eyes into ``frame``, in place: only pixels that lie inside a patch are touched."""
    grid = avatar.grid
    for eye, patch in zip(avatar.eyes, patches, strict=True):
        if patch is None:
            continue
        still = Box(*(edge // TEXTURE_SCALE for edge in eye.box))
        column, row = (still.left + still.right) / 2, (still.top + still.bottom) / 2
        seen = warp.base[grid.node_near(column, row)] - _in_texture(grid.points[grid.node_near(column, row)])
        right, down = (round(-float(value) / TEXTURE_SCALE) for value in seen)
        box = still.moved(right, down).grown(EYE_MARGIN).clipped(grid.size, grid.size)
        if box.width < 1 or box.height < 1:
            continue
        places = grid.refine(warp.base, box, offset=(-eye.box.left, -eye.box.top))
        taken(patch, places, cv2.BORDER_TRANSPARENT, frame[box.rows, box.columns])

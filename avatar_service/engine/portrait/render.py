"""Owns one frame, on one screen: fields, picture, eyes, mouth. A pure function of avatar and row.

The picture is warped as a whole; eyes and mouth are redrawn over it in boxes of their own. Both ways to a frame (RGB,
or I420 plane by plane) share everything but the warping and the pasting.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np

from avatar_service.engine.portrait.arrays import Floats, Pixels, floats, mixed, ramp, taken
from avatar_service.engine.portrait.avatar import PortraitAvatar
from avatar_service.engine.portrait.bases import LAYERS
from avatar_service.engine.portrait.crop import TEXTURE_SCALE
from avatar_service.engine.portrait.grid import NODES, Box, Grid
from avatar_service.engine.portrait.mouth import Warp
from avatar_service.engine.portrait.patch import Patch
from avatar_service.engine.portrait.pose import Pose
from avatar_service.engine.portrait.rig import Column, MouthShape, mouth_shape, permitted, pose_of
from avatar_service.frame import PixelFormat, planes, to_i420

PASSES: Final = 4
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


def render_frame(avatar: PortraitAvatar, row: Floats, pixel_format: PixelFormat = PixelFormat.RGB) -> Pixels:
    """Return the frame of one motion row: a fresh array of the avatar's ``frame_size`` in that layout."""
    row = permitted(row, avatar.aspect)
    shape, pose = mouth_shape(row, avatar.lips), pose_of(row)
    patches = eye_patches(avatar, row)
    if shape.at_rest and pose.at_rest and not any(patch is not None for patch in patches):
        return _still(avatar, pixel_format)
    warp = warp_fields(avatar, shape, pose)
    if pixel_format is PixelFormat.I420 and avatar.quads is not None:
        frame = avatar.quads.draw(warp.base)
        redraw_eye_planes(frame, avatar, warp, patches)
        redraw_mouth_planes(frame, avatar, warp, shape)
        return frame
    frame = warp_picture(avatar, warp)
    redraw_eyes(frame, avatar, warp, patches)
    redraw_mouth(frame, avatar, warp, shape)
    whole = frame if avatar.stitch is None else avatar.stitch.paste(frame)
    return whole if pixel_format is PixelFormat.RGB else to_i420(whole)


def _still(avatar: PortraitAvatar, pixel_format: PixelFormat) -> Pixels:
    shown = avatar.source if avatar.stitch is None else avatar.stitch.picture
    return shown.copy() if pixel_format is PixelFormat.RGB else to_i420(shown)


def eye_patches(avatar: PortraitAvatar, row: Floats) -> list[Patch | None]:
    """Return for each eye its redrawn part of the texture, or ``None`` where it is as in the portrait."""
    blink, gaze_x, gaze_y = (float(value) for value in row[Column.BLINK : Column.GAZE_Y + 1])
    return [eye.patch(blink, gaze_x, gaze_y) for eye in avatar.eyes]


def warp_fields(avatar: PortraitAvatar, shape: MouthShape, pose: Pose) -> Warp:
    """Return the backward fields: first the pose is undone, then each layer's expression."""
    grid = avatar.grid
    passes, box = WIDE_PASSES if shape.drop > WIDE_DROP else PASSES, avatar.bases.box
    layers = np.zeros((LAYERS, NODES, NODES, 2), np.float32)
    layers[:, box.rows, box.columns] = grid.inverse(avatar.bases.field(shape.weights), passes)
    upper, lower = layers
    undone, places = None, grid.points
    if not pose.at_rest:
        [undone] = grid.inverse(avatar.head.field(pose)[np.newaxis], POSE_PASSES)
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
    grid, texture = avatar.grid, avatar.texture
    frame = np.empty((grid.size, grid.size, 3), np.uint8)
    # Band by band, the places stay in the processor's cache.
    for top in range(0, grid.size, BAND):
        places = grid.refine(warp.base, Box(0, top, grid.size, min(top + BAND, grid.size)))
        taken(texture, places, cv2.BORDER_REPLICATE, frame[top : top + BAND])
    return frame


def redraw_eyes(frame: Pixels, avatar: PortraitAvatar, warp: Warp, patches: list[Patch | None]) -> None:
    """Draw each eye that is not as in the portrait into an RGB frame."""
    for box, patch in _eyes_seen(avatar.grid, warp, patches):
        corner = -patch.box.left, -patch.box.top
        _take_into(frame, box, patch.changed, avatar.grid.refine(warp.base, box, offset=corner))


def redraw_eye_planes(frame: Pixels, avatar: PortraitAvatar, warp: Warp, patches: list[Patch | None]) -> None:
    """Draw each eye that is not as in the portrait into an I420 frame."""
    luma, *chromas = planes(frame)
    halved, half_grid = (warp.base - np.float32(0.5)) * np.float32(0.5), Grid(avatar.grid.size // 2)
    for box, patch in _eyes_seen(avatar.grid, warp, patches):
        left, top = patch.box[:2]
        part, *colours = planes(to_i420(patch.changed))
        _take_into(luma, box, part, avatar.grid.refine(warp.base, box, offset=(-left, -top)))
        half = _half(box)
        places = half_grid.refine(halved, half, offset=(-left / 2, -top / 2))
        for chroma, colour in zip(chromas, colours, strict=True):
            _take_into(chroma, half, colour, places)


def _take_into(picture: Pixels, box: Box, texture: Pixels, places: Floats) -> None:
    """Put what a texture shows at ``places`` into a box of a picture, but for places outside."""
    part = np.ascontiguousarray(picture[box.rows, box.columns])
    picture[box.rows, box.columns] = taken(texture, places, cv2.BORDER_TRANSPARENT, part)


def _eyes_seen(grid: Grid, warp: Warp, patches: list[Patch | None]) -> Iterator[tuple[Box, Patch]]:
    """Yield the even box of the frame in which each patch is seen, unless that is nowhere."""
    for patch in patches:
        if patch is not None and patch.box.width and patch.box.height:
            box = _place_of(patch, grid, warp)
            if box.width and box.height:
                yield box, patch


def _place_of(patch: Patch, grid: Grid, warp: Warp) -> Box:
    """Return the even box of the frame in which the change may be seen."""
    still = Box(*(edge // TEXTURE_SCALE for edge in patch.box))
    node = grid.node_near((still.left + still.right) / 2, (still.top + still.bottom) / 2)
    seen, own = warp.base[node].tolist(), grid.points[node].tolist()
    right, down = (round(here - (there - 0.5) / TEXTURE_SCALE) for there, here in zip(seen, own, strict=True))
    return still.moved(right, down).grown(EYE_MARGIN).even().clipped(grid.size, grid.size)


def redraw_mouth(frame: Pixels, avatar: PortraitAvatar, warp: Warp, shape: MouthShape) -> None:
    """Draw the mouth into an RGB frame."""
    for box, picture, (weights, _) in avatar.mouth.redraw(avatar.texture, avatar.grid, warp, shape):
        frame[box.rows, box.columns] = mixed(picture, frame[box.rows, box.columns], weights)


def redraw_mouth_planes(frame: Pixels, avatar: PortraitAvatar, warp: Warp, shape: MouthShape) -> None:
    """Draw the mouth into an I420 frame."""
    for box, picture, (full, half) in avatar.mouth.redraw(avatar.texture, avatar.grid, warp, shape):
        places, weights = (box, _half(box), _half(box)), (full, half, half)
        for plane, part, place, weight in zip(planes(frame), planes(to_i420(picture)), places, weights, strict=True):
            plane[place.rows, place.columns] = mixed(part, plane[place.rows, place.columns], weight)


def _half(box: Box) -> Box:
    """Return the place of an even box in planes of half the size."""
    return Box(*(edge // 2 for edge in box))

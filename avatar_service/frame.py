"""Owns what a frame is in memory: its two pixel layouts, and the ways between them and between sizes.

RGB is what people and still codecs look at; I420 is what video codecs take. An engine that renders I420 itself moves
half the bytes and saves the conversion.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Frame: TypeAlias = NDArray[np.uint8]
"""A picture, C-contiguous uint8: RGB ``[H, W, 3]``, or I420 ``[H * 3 / 2, W]`` with H and W even."""


class PixelFormat(enum.Enum):
    """How a frame lies in memory."""

    RGB = "rgb24"
    I420 = "yuv420p"
    """Luma at full size, then both chroma planes at half of it; BT.601, limited range."""


def format_of(frame: Frame) -> PixelFormat:
    """Return the layout of a frame, which its shape tells."""
    return PixelFormat.I420 if frame.ndim == 2 else PixelFormat.RGB  # noqa: PLR2004 - I420 has no channel axis


def planes(frame: Frame) -> tuple[Frame, Frame, Frame]:
    """Return luma ``[H, W]`` and both chroma planes ``[H / 2, W / 2]`` of an I420 frame, as views."""
    height, width = frame.shape[0] * 2 // 3, frame.shape[1]
    flat, luma = frame.reshape(-1), height * width
    chroma = height // 2, width // 2
    blue, red = flat[luma : luma + luma // 4], flat[luma + luma // 4 :]
    return frame[:height], blue.reshape(chroma), red.reshape(chroma)


def to_i420(frame: Frame) -> Frame:
    """Return a frame as I420: itself if it is that already."""
    if format_of(frame) is PixelFormat.I420:
        return frame
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420), np.uint8)


def scaled(frame: Frame, size: tuple[int, int]) -> Frame:
    """Return ``frame`` at ``size`` (width, height), both even, in its own layout: itself if it has that size."""
    if format_of(frame) is PixelFormat.RGB:
        return _resized(frame, size)
    if (frame.shape[1], frame.shape[0] * 2 // 3) == size:
        return frame
    width, height = size
    smaller: Frame = np.empty((height * 3 // 2, width), np.uint8)
    for plane, target in zip(planes(frame), planes(smaller), strict=True):
        target[:] = _resized(plane, (target.shape[1], target.shape[0]))
    return smaller


def _resized(picture: Frame, size: tuple[int, int]) -> Frame:
    if (picture.shape[1], picture.shape[0]) == size:
        return picture
    method = cv2.INTER_AREA if size[0] < picture.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=method), np.uint8)

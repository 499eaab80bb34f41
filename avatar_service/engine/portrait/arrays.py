"""Owns the array words of the renderer and the two curves everything is shaped with. Holds no state."""

from __future__ import annotations

from typing import Final, TypeAlias, TypeVar

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float32]
"""Any float32 array."""

Pixels: TypeAlias = NDArray[np.uint8]
"""Any uint8 picture, RGB or RGBA."""


AnyArray = TypeVar("AnyArray", Floats, Pixels)

_NO_SECOND_MAP: Final = np.empty(0, np.float32)


def floats(values: ArrayLike) -> Floats:
    """Return ``values`` as float32, without a copy where it is that already."""
    return np.asarray(values, np.float32)


def pixels(values: ArrayLike) -> Pixels:
    """Return ``values`` as uint8, without a copy where it is that already."""
    return np.asarray(values, np.uint8)


def ramp(start: float | Floats, end: float | Floats, values: ArrayLike) -> Floats:
    """Return the smooth step that is 0 at ``start`` and 1 at ``end``: ``t * t * (3 - 2 t)``, any direction."""
    t = np.clip((floats(values) - start) / (floats(end) - start), 0.0, 1.0)
    return floats(t * t * (3.0 - 2.0 * t))


def bell(values: ArrayLike, power: int = 2) -> Floats:
    """Return ``exp(-values ** power)``: 1 in the middle, flatter there for a higher even power."""
    return floats(np.exp(-(floats(values) ** power)))


def luminance(colour: ArrayLike) -> Floats:
    """Return the Rec. 601 luma of RGB values ``[..., 3]``."""
    return floats(floats(colour) @ floats((0.299, 0.587, 0.114)))


def taken(texture: AnyArray, places: Floats, border: int, out: AnyArray | None = None) -> AnyArray:
    """Return what a texture shows at ``places`` ``[h, w, 2]`` (x, y), linear in between.

    Args:
        texture: ``[H, W]`` or ``[H, W, channels]``, uint8 or float32.
        places: in pixels of the texture.
        border: an OpenCV border, for places outside.
        out: where to write; with ``cv2.BORDER_TRANSPARENT`` it keeps its value for places outside.
    """
    found = cv2.remap(texture, places, _NO_SECOND_MAP, cv2.INTER_LINEAR, dst=out, borderMode=border)
    return np.asarray(found, texture.dtype)


def mixed(top: Pixels, bottom: Pixels, weight: Floats) -> Pixels:
    """Return ``top`` over ``bottom``, both ``[h, w, 3]`` or ``[h, w]``, by a weight ``[h, w]`` from 0 to 1."""
    return pixels(cv2.blendLinear(top, bottom, weight, 1 - weight))


def dimmed(picture: Pixels, light: Floats) -> Pixels:
    """Return the picture ``[h, w, 3]`` in a light ``[h, w]`` from 0 to 1."""
    return mixed(picture, np.zeros_like(picture), light)


def held_bytes(value: object) -> int:
    """Return the memory of all arrays within ``value``: in tuples, lists, dictionaries and attributes."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, dict):
        return sum(map(held_bytes, value.values()))
    if isinstance(value, tuple | list):
        return sum(map(held_bytes, value))
    return held_bytes(vars(value)) if hasattr(value, "__dict__") else 0

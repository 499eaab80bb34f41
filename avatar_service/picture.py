"""Owns the way from a portrait file's bytes to pixels, hostile files included. Opens nothing but the bytes given.

A small file can do large damage: a 137 kB PNG may declare 200 megapixels. So the header is judged before a single
pixel is decoded, and only three formats are ever tried.
"""

from __future__ import annotations

import io
import warnings
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from avatar_service.errors import InvalidArgumentError, ResourceExhaustedError

MAX_BYTES: Final = 10 * 1024 * 1024
MAX_PIXELS: Final = 16_000_000
MIN_SIDE: Final = 32
MAX_SIDE: Final = 16_384
MAX_ASPECT: Final = 8
_FORMATS: Final = ("JPEG", "PNG", "WEBP")
_FIELD: Final = "init.portrait"


def check_size(content: bytes) -> None:
    """Check what can be checked without looking inside.

    Raises:
        InvalidArgumentError: ``PORTRAIT_MISSING``.
        ResourceExhaustedError: ``PORTRAIT_TOO_LARGE``.
    """
    if not content:
        raise InvalidArgumentError("PORTRAIT_MISSING", "the portrait is empty; send a JPEG, PNG or WebP", field=_FIELD)
    if len(content) > MAX_BYTES:
        msg = f"the portrait has {len(content)} bytes; send at most {MAX_BYTES}"
        raise ResourceExhaustedError("PORTRAIT_TOO_LARGE", msg)


def decode_picture(content: bytes) -> NDArray[np.uint8]:
    """Return the upright picture: RGB ``[H, W, 3]`` uint8 in sRGB, transparency over white.

    Raises:
        InvalidArgumentError: ``PORTRAIT_FORMAT``, ``PORTRAIT_PIXELS``, ``PORTRAIT_SHAPE`` or ``PORTRAIT_DAMAGED``.
        ResourceExhaustedError: ``PORTRAIT_TOO_LARGE``.
    """
    check_size(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
                _check_header(image)
                return _to_rgb(image)
    except UnidentifiedImageError:
        msg = "the portrait is no JPEG, PNG or WebP file"
        raise InvalidArgumentError("PORTRAIT_FORMAT", msg, field=_FIELD) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        msg = f"the portrait has too many pixels; send at most {MAX_PIXELS // 1_000_000} megapixels"
        raise InvalidArgumentError("PORTRAIT_PIXELS", msg, field=_FIELD) from None
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError):  # Pillow's many words for a broken file
        msg = "the portrait file is damaged or cut short; save it anew"
        raise InvalidArgumentError("PORTRAIT_DAMAGED", msg, field=_FIELD) from None


def _check_header(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        msg = f"the portrait has {width}x{height} pixels; send at most {MAX_PIXELS // 1_000_000} megapixels"
        raise InvalidArgumentError("PORTRAIT_PIXELS", msg, field=_FIELD)
    short, long = sorted((width, height))
    if short < MIN_SIDE or long > MAX_SIDE or long > MAX_ASPECT * short:
        msg = (
            f"the portrait is {width}x{height}; each side must be from {MIN_SIDE} to {MAX_SIDE} pixels, "
            f"and one at most {MAX_ASPECT} times the other"
        )
        raise InvalidArgumentError("PORTRAIT_SHAPE", msg, field=_FIELD)


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Decode the first picture, turn it upright, and bring any mode and profile to sRGB."""
    image.load()
    upright = ImageOps.exif_transpose(image)
    if upright.mode in {"I", "I;16", "I;16B", "I;16L", "F"}:
        upright = Image.fromarray((np.asarray(upright).astype(np.float32) / 257).clip(0, 255).astype(np.uint8))
    upright = _in_srgb(upright)
    if upright.has_transparency_data:
        layer = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return np.array(upright.convert("RGB"))


def _in_srgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in {"RGB", "CMYK", "L"}:
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return image  # a broken profile is no reason to refuse a good picture
    return converted or image

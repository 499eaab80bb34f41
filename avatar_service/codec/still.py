"""Owns the codecs of which every frame stands alone: JPEG, PNG and raw RGB."""

from __future__ import annotations

import cv2
import numpy as np

from avatar_service.codec.base import AccessUnit
from avatar_service.frame import Frame, PixelFormat, scaled


class _Still:
    """What all of them have in common."""

    def skip(self) -> None:
        """Change nothing: stills have no time."""

    def set_bitrate(self, bitrate_kbps: int) -> None:
        """Change nothing: a still has no rate."""


class JpegEncoder(_Still):
    """One JPEG file a frame, 4:2:0.

    Args:
        size: width and height in pixels.
        quality: 1 to 100.
    """

    codec_string = "image/jpeg"
    pixel_format = PixelFormat.RGB

    def __init__(self, size: tuple[int, int], quality: int) -> None:
        self._size = size
        sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
        self._options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]

    def encode(self, frame: Frame, *, keyframe: bool) -> AccessUnit:  # noqa: ARG002 - every still is one
        """Return the frame as a JPEG file."""
        return AccessUnit(_encoded(".jpg", scaled(frame, self._size), self._options), keyframe=True)


class PngEncoder(_Still):
    """One PNG file a frame, lossless.

    Args:
        size: width and height in pixels.
    """

    codec_string = "image/png"
    pixel_format = PixelFormat.RGB

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._options = [cv2.IMWRITE_PNG_COMPRESSION, 1]

    def encode(self, frame: Frame, *, keyframe: bool) -> AccessUnit:  # noqa: ARG002 - every still is one
        """Return the frame as a PNG file."""
        return AccessUnit(_encoded(".png", scaled(frame, self._size), self._options), keyframe=True)


class RawRgbEncoder(_Still):
    """The pixels as they are: ``height * width * 3`` bytes, red first.

    Args:
        size: width and height in pixels.
    """

    codec_string = "video/raw;format=rgb24"
    pixel_format = PixelFormat.RGB

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size

    def encode(self, frame: Frame, *, keyframe: bool) -> AccessUnit:  # noqa: ARG002 - every still is one
        """Return the frame's bytes."""
        return AccessUnit(np.ascontiguousarray(scaled(frame, self._size)).tobytes(), keyframe=True)


def _encoded(suffix: str, frame: Frame, options: list[int]) -> bytes:
    done, content = cv2.imencode(suffix, cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), options)
    assert done, "OpenCV encodes every uint8 RGB array"
    return content.tobytes()

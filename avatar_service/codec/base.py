"""Owns the codec contract: the format a client asks for and what an encoder gives back."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from avatar_service.errors import InvalidArgumentError
from avatar_service.frame import Frame, PixelFormat
from avatar_service.plain import Plain

MIN_SIDE: Final = 64
MAX_SIDE: Final = 1920
MIN_BITRATE_KBPS: Final = 50
MAX_BITRATE_KBPS: Final = 20_000
_SHAPE_TOLERANCE: Final = 0.01


class Codec(enum.Enum):
    """How an encoded frame is stored."""

    JPEG = "jpeg"
    PNG = "png"
    H264 = "h264"
    RAW_RGB = "raw_rgb"
    VP8 = "vp8"


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """What a client asks of an encoder.

    Attributes:
        codec: which one.
        width: pixels, even, 64 to 1920; 0 follows the frames' own size and shape.
        height: as for ``width``.
        quality: of JPEG, 1 to 100.
        bitrate_kbps: of H.264 and VP8, 50 to 20000; 0 is constant quality with a bound, of VP8 1500.
        keyframe_interval_s: of H.264 and VP8, 0.2 to 60.
        field: where the client gave it, for error messages.

    Raises:
        InvalidArgumentError: if a value is out of range.
    """

    codec: Codec = Codec.H264
    width: int = 0
    height: int = 0
    quality: int = 85
    bitrate_kbps: int = 0
    keyframe_interval_s: float = 2.0
    field: str = "init.video"

    def __post_init__(self) -> None:
        for name, side in (("width", self.width), ("height", self.height)):
            if side and (not MIN_SIDE <= side <= MAX_SIDE or side % 2):
                msg = f"{name} is {side}; it must be 0 or an even number from {MIN_SIDE} to {MAX_SIDE}"
                raise InvalidArgumentError("VIDEO_SIZE", msg, field=f"{self.field}.{name}")
        self._check("quality", self.quality, 1, 100)
        self._check("bitrate_kbps", self.bitrate_kbps or MIN_BITRATE_KBPS, MIN_BITRATE_KBPS, MAX_BITRATE_KBPS)
        self._check("keyframe_interval", self.keyframe_interval_s, 0.2, 60)

    def size_for(self, frame_size: tuple[int, int]) -> tuple[int, int]:
        """Return the width and height to encode frames of ``frame_size`` (width, height) in.

        Raises:
            InvalidArgumentError: ``VIDEO_SHAPE`` if the shape asked for is not that of the frames.
        """
        own_width, own_height = frame_size
        width = self.width or (_even(own_width * self.height / own_height) if self.height else own_width)
        height = self.height or (_even(own_height * self.width / own_width) if self.width else own_height)
        fits_bounds = all(MIN_SIDE <= side <= MAX_SIDE for side in (width, height))
        if not fits_bounds or not has_shape((width, height), frame_size):
            msg = (
                f"{width}x{height} does not suit frames of {own_width}x{own_height}: "
                f"give width or height alone, so that both are from {MIN_SIDE} to {MAX_SIDE}"
            )
            raise InvalidArgumentError("VIDEO_SHAPE", msg, field=self.field)
        return width, height

    def _check(self, name: str, value: float, low: float, high: float) -> None:
        if not low <= value <= high:
            msg = f"{name} is {value:.10g}; it must be from {low:g} to {high:g}"
            raise InvalidArgumentError("OUT_OF_RANGE", msg, field=f"{self.field}.{name}")


def has_shape(size: tuple[int, int], frame_size: tuple[int, int]) -> bool:
    """Say whether frames of ``frame_size`` can be brought to ``size`` (width, height) without being distorted."""
    return abs(size[0] * frame_size[1] / (size[1] * frame_size[0]) - 1) <= _SHAPE_TOLERANCE


def _even(side: float) -> int:
    return 2 * round(side / 2)


@dataclass(frozen=True, slots=True)
class AccessUnit(Plain):
    """One encoded frame.

    Attributes:
        content: the encoded bytes.
        keyframe: whether it can be decoded without an earlier one.
    """

    content: bytes
    keyframe: bool


class Encoder(Protocol):
    """One encoder serves one session; frames go in and come out one by one, in order, none held back."""

    @property
    def codec_string(self) -> str:
        """RFC 6381 codec string of a video, media type of a still."""

    @property
    def pixel_format(self) -> PixelFormat:
        """The layout that it encodes without a conversion. An encoder that takes I420 takes RGB too."""

    def encode(self, frame: Frame, *, keyframe: bool) -> AccessUnit:
        """Return the access unit of ``frame``; with ``keyframe`` it needs no earlier one."""

    def skip(self) -> None:
        """Let the time of one frame pass that is left out; what follows may lean on what was encoded before."""

    def set_bitrate(self, bitrate_kbps: int) -> None:
        """Encode what follows at this rate, as ``VideoFormat.bitrate_kbps``; stills have none."""


def common_format(encoders: Sequence[Encoder]) -> PixelFormat:
    """Return I420 if that suits all encoders, else RGB, which each can take."""
    formats = {encoder.pixel_format for encoder in encoders}
    return PixelFormat.I420 if formats == {PixelFormat.I420} else PixelFormat.RGB

"""Owns VP8: libvpx without delay, one frame a frame, for peers that cannot decode H.264."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from avatar_service.codec.base import AccessUnit
from avatar_service.frame import Frame, PixelFormat, scaled, to_i420

_DEFAULT_KBPS: Final = 1500
_CPU_USED: Final = "8"
"""Of 0 to 16, libvpx's own trade of quality for speed in real time."""


class Vp8Encoder:
    """One VP8 stream.

    Realtime deadline, no look-ahead and no alternate reference frames, so that nothing is held back and every frame is
    shown; one thread, because sessions are the parallelism.

    Args:
        size: width and height in pixels, even.
        fps: frames per second.
        bitrate_kbps: mean rate; 0 for 1500, since libvpx has no constant quality in real time.
        keyframe_interval_s: longest time between keyframes.
    """

    codec_string = "vp8"
    pixel_format = PixelFormat.I420

    def __init__(self, size: tuple[int, int], fps: int, bitrate_kbps: int, keyframe_interval_s: float) -> None:
        self._size = size
        self._fps = fps
        self._keyframe_interval_s = keyframe_interval_s
        self._frames = 0
        self._context = self._opened(bitrate_kbps)

    def _opened(self, bitrate_kbps: int) -> VideoCodecContext:
        context = av.CodecContext.create("libvpx", "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height = self._size
        context.pix_fmt = "yuv420p"
        context.time_base = Fraction(1, self._fps)
        context.framerate = Fraction(self._fps)
        context.gop_size = max(1, round(self._keyframe_interval_s * self._fps))
        context.thread_count = 1
        context.bit_rate = (bitrate_kbps or _DEFAULT_KBPS) * 1000
        context.options = {
            "deadline": "realtime",
            "cpu-used": _CPU_USED,
            "lag-in-frames": "0",
            "auto-alt-ref": "0",
            "error-resilient": "0",
        }
        context.open()
        return context

    def set_bitrate(self, bitrate_kbps: int) -> None:
        """Start afresh at another rate, with a keyframe, as H.264 does."""
        self._context = self._opened(bitrate_kbps)

    def encode(self, frame: Frame, *, keyframe: bool) -> AccessUnit:
        """Return the encoded ``frame``; one that needs no earlier one if ``keyframe``."""
        picture = av.VideoFrame.from_numpy_buffer(to_i420(scaled(frame, self._size)), format="yuv420p")
        picture.pts = self._frames
        picture.time_base = self._context.time_base
        picture.pict_type = PictureType.I if keyframe else PictureType.NONE
        self._frames += 1
        packets = self._context.encode(picture)
        assert len(packets) == 1, "without look-ahead libvpx gives one packet a frame"
        return AccessUnit(bytes(packets[0]), keyframe=packets[0].is_keyframe)

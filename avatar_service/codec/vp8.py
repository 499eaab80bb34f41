"""Owns VP8: libvpx without delay, one frame a frame, for peers that cannot decode H.264."""

from __future__ import annotations

from typing import Final

from av.video.codeccontext import VideoCodecContext

from avatar_service.codec.video import VideoEncoder

_DEFAULT_KBPS: Final = 1500
_CPU_USED: Final = "8"
"""Of 0 to 16, libvpx's own trade of quality for speed in real time."""


class Vp8Encoder(VideoEncoder):
    """One VP8 stream; rate 0 means 1500 kbit/s, since libvpx has no constant quality in real time.

    Realtime deadline, no look-ahead and no alternate reference frames, so that nothing is held back and every frame is
    shown.
    """

    library = "libvpx"
    codec_string = "vp8"

    def configure(self, context: VideoCodecContext, bitrate_kbps: int) -> None:
        """Set the rate and the way to encode."""
        context.bit_rate = (bitrate_kbps or _DEFAULT_KBPS) * 1000
        context.options = {
            "deadline": "realtime",
            "cpu-used": _CPU_USED,
            "lag-in-frames": "0",
            "auto-alt-ref": "0",
            "error-resilient": "0",
        }

"""Owns H.264: libx264 without delay, constrained baseline, Annex B, one access unit a frame."""

from __future__ import annotations

from typing import Final

from av.codec.context import Flags as VideoCodecFlags
from av.video.codeccontext import VideoCodecContext

from avatar_service.codec.base import AccessUnit
from avatar_service.codec.video import VideoEncoder
from avatar_service.frame import Frame

_QUANTISER: Final = 21
"""Of constant quality: about that of rate factor 23, x264's own choice, which has to look at every frame twice.

Of the portrait engine's frames it keeps 45.4 dB; 19 keeps 46.6 dB for 1.4 times the bits and an eighth more time.
"""
_RATE_FACTOR: Final = 23
_BOUND_KBPS: Final = 4000
_BOUND_BITS: Final = 500 * _BOUND_KBPS
"""By how much constant quality may be ahead of its bound: half a second of it."""
_SPS: Final = 7


class H264Encoder(VideoEncoder):
    """One H.264 stream; rate 0 means constant quality with a bound, any other has half a second of buffer.

    Superfast is the knee on one core at 512x512: half the bits of ultrafast for half a millisecond more. Measured on
    the portrait engine's frames, adaptive quantisation and small partitions cost a fifth of the time and bought
    nothing (46.5 dB with them, 46.9 without, at the same rate). At constant quality the deblocking filter finds
    nothing to do either. Slices would cost bits.

    Rate control in x264 estimates every frame at half its size before it encodes it: an eighth of the time. Constant
    quality does without. A picture that takes more than the bound so is encoded with rate control from then on.
    """

    library = "libx264"
    # Of the class, because the first context is configured before an instance could say so.
    _is_bounded = False
    _bits_ahead = 0.0

    def __init__(self, size: tuple[int, int], fps: int, bitrate_kbps: int, keyframe_interval_s: float) -> None:
        super().__init__(size, fps, bitrate_kbps, keyframe_interval_s)
        self._codec_string = _codec_string(bytes(self._context.extradata or b""))

    @property
    def codec_string(self) -> str:
        """``avc1.`` and profile, constraints and level out of the sequence parameter set."""
        return self._codec_string

    def set_bitrate(self, bitrate_kbps: int) -> None:
        """Start afresh at another rate, with a keyframe."""
        self._is_bounded, self._bits_ahead = False, 0.0
        super().set_bitrate(bitrate_kbps)

    def encode(self, frame: Frame, *, keyframe: bool) -> AccessUnit:
        """Return the access unit of ``frame``; the next one is a keyframe if constant quality turns out too costly."""
        unit = super().encode(frame, keyframe=keyframe)
        if not self._context.bit_rate and not self._is_bounded:
            self._bits_ahead = max(0.0, self._bits_ahead + 8 * len(unit.content) - 1000 * _BOUND_KBPS / self._fps)
            if self._bits_ahead > _BOUND_BITS:
                self._is_bounded = True
                self._context = self._opened(0)
        return unit

    def configure(self, context: VideoCodecContext, bitrate_kbps: int) -> None:
        """Set the rate and the way to encode; a keyframe is an IDR with parameter sets."""
        context.flags |= VideoCodecFlags.global_header  # gives the parameter sets before the first frame
        context.profile = "Baseline"
        bound = bitrate_kbps or _BOUND_KBPS
        parameters = (
            f"scenecut=0:repeat-headers=1:annexb=1:vbv-maxrate={bound}:vbv-bufsize={max(bound // 2, 1)}"
            f":aq-mode=0:partitions=none:no-deblock={0 if bitrate_kbps else 1}"
        )
        quality = {"crf": str(_RATE_FACTOR)} if self._is_bounded else {"qp": str(_QUANTISER)}
        context.options = {
            "preset": "superfast",
            "tune": "zerolatency",
            "forced-idr": "1",
            "x264-params": parameters,
            **({} if bitrate_kbps else quality),
        }
        if bitrate_kbps:
            context.bit_rate = bitrate_kbps * 1000


def _codec_string(parameter_sets: bytes) -> str:
    """Read profile_idc, constraint flags and level_idc: the three bytes behind the SPS header (H.264 7.3.2.1.1)."""
    for unit in parameter_sets.split(b"\x00\x00\x01")[1:]:
        if unit[0] & 0x1F == _SPS:
            return f"avc1.{unit[1:4].hex()}"
    msg = "libx264 gave no sequence parameter set"
    raise AssertionError(msg)

"""Owns H.264: libx264 without delay, constrained baseline, Annex B, one access unit a frame."""

from __future__ import annotations

from typing import Final

from av.codec.context import Flags as VideoCodecFlags
from av.video.codeccontext import VideoCodecContext

from avatar_service.codec.video import VideoEncoder

_CONSTANT_QUALITY: Final = 21
_CONSTANT_QUALITY_BOUND_KBPS: Final = 4000
_SPS: Final = 7


class H264Encoder(VideoEncoder):
    """One H.264 stream; rate 0 means constant quality with a bound, any other has half a second of buffer.

    Superfast is the knee on one core at 512x512: half the bits of ultrafast for half a millisecond more. Measured on
    the portrait engine's frames, adaptive quantisation and small partitions cost a fifth of the time and bought
    nothing (46.5 dB with them, 46.9 without, at the same rate). At constant quality the deblocking filter finds
    nothing to do either. Slices would cost bits.
    """

    library = "libx264"

    def __init__(self, size: tuple[int, int], fps: int, bitrate_kbps: int, keyframe_interval_s: float) -> None:
        super().__init__(size, fps, bitrate_kbps, keyframe_interval_s)
        self._codec_string = _codec_string(bytes(self._context.extradata or b""))

    @property
    def codec_string(self) -> str:
        """``avc1.`` and profile, constraints and level out of the sequence parameter set."""
        return self._codec_string

    def configure(self, context: VideoCodecContext, bitrate_kbps: int) -> None:
        """Set the rate and the way to encode; a keyframe is an IDR with parameter sets."""
        context.flags |= VideoCodecFlags.global_header  # gives the parameter sets before the first frame
        context.profile = "Baseline"
        bound = bitrate_kbps or _CONSTANT_QUALITY_BOUND_KBPS
        parameters = (
            f"scenecut=0:repeat-headers=1:annexb=1:vbv-maxrate={bound}:vbv-bufsize={max(bound // 2, 1)}"
            f":aq-mode=0:partitions=none:no-deblock={0 if bitrate_kbps else 1}"
        )
        context.options = {
            "preset": "superfast",
            "tune": "zerolatency",
            "forced-idr": "1",
            "x264-params": parameters,
            **({} if bitrate_kbps else {"crf": str(_CONSTANT_QUALITY)}),
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

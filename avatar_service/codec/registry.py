"""Owns the choice of an encoder for a format."""

from __future__ import annotations

from avatar_service.codec.base import Codec, Encoder, VideoFormat
from avatar_service.codec.h264 import H264Encoder
from avatar_service.codec.still import JpegEncoder, PngEncoder, RawRgbEncoder
from avatar_service.codec.vp8 import Vp8Encoder


def open_encoder(video: VideoFormat, size: tuple[int, int], fps: int) -> Encoder:
    """Return a fresh encoder of ``video`` in this width and height, as ``video.size_for`` gives them."""
    match video.codec:
        case Codec.JPEG:
            return JpegEncoder(size, video.quality)
        case Codec.PNG:
            return PngEncoder(size)
        case Codec.RAW_RGB:
            return RawRgbEncoder(size)
        case Codec.H264:
            return H264Encoder(size, fps, video.bitrate_kbps, video.keyframe_interval_s)
        case Codec.VP8:
            return Vp8Encoder(size, fps, video.bitrate_kbps, video.keyframe_interval_s)

"""Owns what encoders of video have in common: a context of FFmpeg that takes one frame and gives one access unit."""

from __future__ import annotations

from fractions import Fraction

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from avatar_service.codec.base import AccessUnit
from avatar_service.frame import Frame, PixelFormat, scaled, to_i420


class VideoEncoder:
    """One stream. One thread, because frame threads hold frames back; sessions are the parallelism.

    Args:
        size: width and height in pixels, even.
        fps: frames per second.
        bitrate_kbps: mean rate; what 0 means is the codec's own.
        keyframe_interval_s: longest time between keyframes.
    """

    pixel_format = PixelFormat.I420
    library: str
    """FFmpeg's name of the encoder."""

    def __init__(self, size: tuple[int, int], fps: int, bitrate_kbps: int, keyframe_interval_s: float) -> None:
        self._size = size
        self._fps = fps
        self._keyframe_interval_s = keyframe_interval_s
        self._frames = 0
        self._skipped = 0
        self._keyframe_at = 0
        self._context = self._opened(bitrate_kbps)

    def configure(self, context: VideoCodecContext, bitrate_kbps: int) -> None:
        """Set what is the codec's own, so that no frame is held back."""
        raise NotImplementedError

    def _opened(self, bitrate_kbps: int) -> VideoCodecContext:
        context = av.CodecContext.create(self.library, "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height = self._size
        context.pix_fmt = "yuv420p"
        context.time_base = Fraction(1, self._fps)
        context.framerate = Fraction(self._fps)
        context.gop_size = self._keyframe_interval
        context.thread_count = 1
        self.configure(context, bitrate_kbps)
        context.open()
        return context

    @property
    def _keyframe_interval(self) -> int:
        """In frames, those that are left out among them."""
        return max(1, round(self._keyframe_interval_s * self._fps))

    def skip(self) -> None:
        """Let the time of one frame pass; the codec counts frames only, so keyframes then come by our own count."""
        self._skipped += 1

    def set_bitrate(self, bitrate_kbps: int) -> None:
        """Start afresh at another rate, with a keyframe: between constant quality and a rate there is no other way."""
        self._context = self._opened(bitrate_kbps)

    def encode(self, frame: Frame, *, keyframe: bool) -> AccessUnit:
        """Return the access unit of ``frame``; with ``keyframe`` it needs no earlier one."""
        picture = av.VideoFrame.from_numpy_buffer(to_i420(scaled(frame, self._size)), format="yuv420p")
        self._frames += self._skipped
        picture.pts = self._frames
        picture.time_base = self._context.time_base
        # Where frames are left out before this one, so may be the next.
        due = keyframe or self._frames + self._skipped - self._keyframe_at >= self._keyframe_interval
        picture.pict_type = PictureType.I if due else PictureType.NONE
        packets = self._context.encode(picture)
        assert len(packets) == 1, "no encoder here holds frames back"
        if packets[0].is_keyframe:
            self._keyframe_at = self._frames
        self._frames += 1
        self._skipped = 0
        return AccessUnit(bytes(packets[0]), keyframe=packets[0].is_keyframe)

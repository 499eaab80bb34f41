"""Owns what a caller orders with a session, and its translation to StreamAvatar's words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from avatar_client import (
    AUDIO_ENCODING_LINEAR16,
    DEGRADATION_PREFERENCE_DISABLED,
    DEGRADATION_PREFERENCE_MAINTAIN_RESOLUTION,
    PRESET_BALANCED,
    PRESET_BEST_QUALITY,
    PRESET_LOWEST_LATENCY,
    SESSION_MODE_LIVE,
    SESSION_MODE_ON_AUDIO,
    VIDEO_CODEC_H264,
    VIDEO_CODEC_VP8,
    AudioFormat,
    Gaze,
    GenerationParameters,
    HeadPose,
    VideoFormat,
)
from google.protobuf.duration_pb2 import Duration

from avatar_service.gateway.hls.tracks import SOUND_RATE_HZ
from avatar_service.gateway.take import KEYFRAME_S

if TYPE_CHECKING:
    from avatar.v1.init_pb2 import DegradationPreference, SessionMode

SPEECH: Final = AudioFormat(encoding=AUDIO_ENCODING_LINEAR16, sample_rate_hz=SOUND_RATE_HZ, channels=1)
"""What every session of the gateway sends."""

LADDER: Final = ((512, 1200), (256, 350))
"""Width in pixels and kbit/s of the formats between which a player may choose."""


_LIVE_KEYFRAME_S: Final = 10.0
"""A viewer over WebRTC asks for the keyframes that he needs."""
_VP8_KBPS: Final = 1500


class Preset(Enum):
    """What matters most: how far an engine looks ahead, and the video's rate in kbit/s, 0 for constant quality."""

    LOWEST_LATENCY = 600
    BALANCED = 0
    BEST_QUALITY = 4000


@dataclass(frozen=True, slots=True)
class Order:
    """How a session is to be made; names and bounds are those of ``GenerationParameters``.

    Attributes:
        crop: find the face and crop to it.
        seed: of everything random.
        nfe: of a flow-matching engine.
        cfg_scale: of a flow-matching engine.
        chunk_duration: seconds that an engine may wait for.
        audio_sample_rate: of raw audio that names no rate, in Hz.
        pose_style: pitch, yaw and roll in radians, or nothing.
        gaze_style: x and y in radians, or nothing.
        engine: its name; empty for the service's default.
        preset: what matters most.
        is_adaptive: two formats instead of one.
        is_live: the video goes on while nobody speaks.
        has_vp8: of a live session: VP8 beside H.264.
        avatar_id: of an avatar that the service keeps, which has its crop already; empty for a portrait.
        is_degradable: of a live session: its frame rate may fall to half so that more are admitted.
    """

    crop: bool = True
    seed: int = 42
    nfe: int = 10
    cfg_scale: float = 2.0
    chunk_duration: float = 1.0
    audio_sample_rate: int = 24_000
    pose_style: tuple[float, ...] = ()
    gaze_style: tuple[float, ...] = ()
    engine: str = ""
    preset: Preset = Preset.BALANCED
    is_adaptive: bool = False
    is_live: bool = False
    has_vp8: bool = False
    avatar_id: str = ""
    is_degradable: bool = False

    def generation(self) -> GenerationParameters:
        """Return how the picture is to be animated."""
        generation = GenerationParameters(
            preset=_LOOK_AHEAD[self.preset],
            seed=self.seed,
            nfe=self.nfe,
            cfg_scale=self.cfg_scale,
            chunk_duration=_duration(self.chunk_duration),
            pose_style=HeadPose(**dict(zip(("pitch", "yaw", "roll"), self.pose_style, strict=False))),
            gaze_style=Gaze(**dict(zip("xy", self.gaze_style, strict=False))),
        )
        if not self.avatar_id:
            generation.crop = self.crop
        return generation

    @property
    def mode(self) -> SessionMode:
        """When frames are to be made."""
        return SESSION_MODE_LIVE if self.is_live else SESSION_MODE_ON_AUDIO

    @property
    def degradation_preference(self) -> DegradationPreference:
        """What the session gives up so that more are admitted."""
        if self.is_degradable:
            return DEGRADATION_PREFERENCE_MAINTAIN_RESOLUTION
        return DEGRADATION_PREFERENCE_DISABLED

    def video(self) -> list[VideoFormat]:
        """Return the formats that are asked for."""
        if self.is_adaptive:
            return [_video(width, bitrate_kbps) for width, bitrate_kbps in LADDER]
        return [_video(0, self.preset.value)]

    def live_video(self) -> list[VideoFormat]:
        """Return the formats of a session over WebRTC: H.264, and VP8 where it was asked for."""
        interval = _duration(_LIVE_KEYFRAME_S)
        formats = [
            VideoFormat(codec=VIDEO_CODEC_H264, bitrate_kbps=self.preset.value, keyframe_interval=interval),
            VideoFormat(codec=VIDEO_CODEC_VP8, bitrate_kbps=self.preset.value or _VP8_KBPS, keyframe_interval=interval),
        ]
        return formats if self.has_vp8 else formats[:1]


_LOOK_AHEAD: Final = {
    Preset.LOWEST_LATENCY: PRESET_LOWEST_LATENCY,
    Preset.BALANCED: PRESET_BALANCED,
    Preset.BEST_QUALITY: PRESET_BEST_QUALITY,
}


def _video(width: int, bitrate_kbps: int) -> VideoFormat:
    return VideoFormat(
        codec=VIDEO_CODEC_H264, width=width, bitrate_kbps=bitrate_kbps, keyframe_interval=_duration(KEYFRAME_S)
    )


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMicroseconds(round(seconds * 1_000_000))
    return duration

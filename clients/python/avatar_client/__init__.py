"""Client of avatar-service: a portrait and a stream of speech in, a stream of encoded video frames out.

``AvatarClient`` is the asyncio client; ``avatar_client.sync.AvatarClient`` has the same shape for plain threads.
Messages are those of the package ``avatar.v1``; the ones a caller needs are re-exported here.
"""

from avatar.v1.avatar_pb2 import Avatar
from avatar.v1.avatar_service_pb2 import GetCapabilitiesResponse, StreamAvatarResponse
from avatar.v1.control_pb2 import (
    EMOTION_KIND_ANGRY,
    EMOTION_KIND_HAPPY,
    EMOTION_KIND_NEUTRAL,
    EMOTION_KIND_SAD,
    EMOTION_KIND_SURPRISED,
    Control,
    Emotion,
)
from avatar.v1.event_pb2 import Ready
from avatar.v1.init_pb2 import (
    AUDIO_ENCODING_ALAW,
    AUDIO_ENCODING_FLOAT32,
    AUDIO_ENCODING_LINEAR16,
    AUDIO_ENCODING_MULAW,
    AUDIO_ENCODING_OPUS,
    DEGRADATION_PREFERENCE_DISABLED,
    DEGRADATION_PREFERENCE_MAINTAIN_RESOLUTION,
    PRESET_BALANCED,
    PRESET_BEST_QUALITY,
    PRESET_LOWEST_LATENCY,
    SESSION_MODE_LIVE,
    SESSION_MODE_ON_AUDIO,
    VIDEO_CODEC_H264,
    VIDEO_CODEC_JPEG,
    VIDEO_CODEC_PNG,
    VIDEO_CODEC_RAW_RGB,
    VIDEO_CODEC_VP8,
    AudioFormat,
    Gaze,
    GenerationParameters,
    HeadPose,
    VideoFormat,
)
from avatar.v1.media_pb2 import FRAME_KIND_IDLE, FRAME_KIND_SPEECH, FRAME_KIND_TRANSITION, Video

from avatar_client.aio import AvatarClient, AvatarStream
from avatar_client.channel import TRANSPORT_OPTIONS, channel_options
from avatar_client.errors import AvatarRpcError

__all__ = [
    "AUDIO_ENCODING_ALAW",
    "AUDIO_ENCODING_FLOAT32",
    "AUDIO_ENCODING_LINEAR16",
    "AUDIO_ENCODING_MULAW",
    "AUDIO_ENCODING_OPUS",
    "DEGRADATION_PREFERENCE_DISABLED",
    "DEGRADATION_PREFERENCE_MAINTAIN_RESOLUTION",
    "EMOTION_KIND_ANGRY",
    "EMOTION_KIND_HAPPY",
    "EMOTION_KIND_NEUTRAL",
    "EMOTION_KIND_SAD",
    "EMOTION_KIND_SURPRISED",
    "FRAME_KIND_IDLE",
    "FRAME_KIND_SPEECH",
    "FRAME_KIND_TRANSITION",
    "PRESET_BALANCED",
    "PRESET_BEST_QUALITY",
    "PRESET_LOWEST_LATENCY",
    "SESSION_MODE_LIVE",
    "SESSION_MODE_ON_AUDIO",
    "TRANSPORT_OPTIONS",
    "VIDEO_CODEC_H264",
    "VIDEO_CODEC_JPEG",
    "VIDEO_CODEC_PNG",
    "VIDEO_CODEC_RAW_RGB",
    "VIDEO_CODEC_VP8",
    "AudioFormat",
    "Avatar",
    "AvatarClient",
    "AvatarRpcError",
    "AvatarStream",
    "Control",
    "Emotion",
    "Gaze",
    "GenerationParameters",
    "GetCapabilitiesResponse",
    "HeadPose",
    "Ready",
    "StreamAvatarResponse",
    "Video",
    "VideoFormat",
    "channel_options",
]

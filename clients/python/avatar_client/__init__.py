"""Client of avatar-service: a portrait and a stream of speech in, a stream of encoded video frames out.

``AvatarClient`` is the asyncio client; ``avatar_client.sync.AvatarClient`` has the same shape for plain threads.
Messages are those of the package ``avatar.v1``; the ones a caller needs are re-exported here.
"""

from avatar.v1.avatar_service_pb2 import GetCapabilitiesResponse, StreamAvatarResponse
from avatar.v1.event_pb2 import Ready
from avatar.v1.init_pb2 import (
    AUDIO_ENCODING_ALAW,
    AUDIO_ENCODING_FLOAT32,
    AUDIO_ENCODING_LINEAR16,
    AUDIO_ENCODING_MULAW,
    VIDEO_CODEC_H264,
    VIDEO_CODEC_JPEG,
    VIDEO_CODEC_PNG,
    VIDEO_CODEC_RAW_RGB,
    AudioFormat,
    Gaze,
    GenerationParameters,
    HeadPose,
    VideoFormat,
)
from avatar.v1.media_pb2 import Video

from avatar_client.aio import AvatarClient, AvatarStream
from avatar_client.channel import TRANSPORT_OPTIONS, channel_options
from avatar_client.errors import AvatarRpcError

__all__ = [
    "AUDIO_ENCODING_ALAW",
    "AUDIO_ENCODING_FLOAT32",
    "AUDIO_ENCODING_LINEAR16",
    "AUDIO_ENCODING_MULAW",
    "TRANSPORT_OPTIONS",
    "VIDEO_CODEC_H264",
    "VIDEO_CODEC_JPEG",
    "VIDEO_CODEC_PNG",
    "VIDEO_CODEC_RAW_RGB",
    "AudioFormat",
    "AvatarClient",
    "AvatarRpcError",
    "AvatarStream",
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

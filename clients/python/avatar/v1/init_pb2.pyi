import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SessionMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SESSION_MODE_UNSPECIFIED: _ClassVar[SessionMode]
    SESSION_MODE_ON_AUDIO: _ClassVar[SessionMode]
    SESSION_MODE_LIVE: _ClassVar[SessionMode]

class DegradationPreference(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEGRADATION_PREFERENCE_UNSPECIFIED: _ClassVar[DegradationPreference]
    DEGRADATION_PREFERENCE_DISABLED: _ClassVar[DegradationPreference]
    DEGRADATION_PREFERENCE_MAINTAIN_RESOLUTION: _ClassVar[DegradationPreference]

class AudioEncoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUDIO_ENCODING_UNSPECIFIED: _ClassVar[AudioEncoding]
    AUDIO_ENCODING_LINEAR16: _ClassVar[AudioEncoding]
    AUDIO_ENCODING_FLOAT32: _ClassVar[AudioEncoding]
    AUDIO_ENCODING_MULAW: _ClassVar[AudioEncoding]
    AUDIO_ENCODING_ALAW: _ClassVar[AudioEncoding]
    AUDIO_ENCODING_OPUS: _ClassVar[AudioEncoding]

class VideoCodec(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VIDEO_CODEC_UNSPECIFIED: _ClassVar[VideoCodec]
    VIDEO_CODEC_JPEG: _ClassVar[VideoCodec]
    VIDEO_CODEC_PNG: _ClassVar[VideoCodec]
    VIDEO_CODEC_H264: _ClassVar[VideoCodec]
    VIDEO_CODEC_RAW_RGB: _ClassVar[VideoCodec]
    VIDEO_CODEC_VP8: _ClassVar[VideoCodec]

class Preset(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRESET_UNSPECIFIED: _ClassVar[Preset]
    PRESET_LOWEST_LATENCY: _ClassVar[Preset]
    PRESET_BALANCED: _ClassVar[Preset]
    PRESET_BEST_QUALITY: _ClassVar[Preset]
SESSION_MODE_UNSPECIFIED: SessionMode
SESSION_MODE_ON_AUDIO: SessionMode
SESSION_MODE_LIVE: SessionMode
DEGRADATION_PREFERENCE_UNSPECIFIED: DegradationPreference
DEGRADATION_PREFERENCE_DISABLED: DegradationPreference
DEGRADATION_PREFERENCE_MAINTAIN_RESOLUTION: DegradationPreference
AUDIO_ENCODING_UNSPECIFIED: AudioEncoding
AUDIO_ENCODING_LINEAR16: AudioEncoding
AUDIO_ENCODING_FLOAT32: AudioEncoding
AUDIO_ENCODING_MULAW: AudioEncoding
AUDIO_ENCODING_ALAW: AudioEncoding
AUDIO_ENCODING_OPUS: AudioEncoding
VIDEO_CODEC_UNSPECIFIED: VideoCodec
VIDEO_CODEC_JPEG: VideoCodec
VIDEO_CODEC_PNG: VideoCodec
VIDEO_CODEC_H264: VideoCodec
VIDEO_CODEC_RAW_RGB: VideoCodec
VIDEO_CODEC_VP8: VideoCodec
PRESET_UNSPECIFIED: Preset
PRESET_LOWEST_LATENCY: Preset
PRESET_BALANCED: Preset
PRESET_BEST_QUALITY: Preset

class Init(_message.Message):
    __slots__ = ("portrait", "engine", "audio", "video", "mode", "generation", "avatar_id", "resumable", "resume", "degradation_preference")
    PORTRAIT_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    VIDEO_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    AVATAR_ID_FIELD_NUMBER: _ClassVar[int]
    RESUMABLE_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    DEGRADATION_PREFERENCE_FIELD_NUMBER: _ClassVar[int]
    portrait: bytes
    engine: str
    audio: AudioFormat
    video: _containers.RepeatedCompositeFieldContainer[VideoFormat]
    mode: SessionMode
    generation: GenerationParameters
    avatar_id: str
    resumable: bool
    resume: Resume
    degradation_preference: DegradationPreference
    def __init__(self, portrait: _Optional[bytes] = ..., engine: _Optional[str] = ..., audio: _Optional[_Union[AudioFormat, _Mapping]] = ..., video: _Optional[_Iterable[_Union[VideoFormat, _Mapping]]] = ..., mode: _Optional[_Union[SessionMode, str]] = ..., generation: _Optional[_Union[GenerationParameters, _Mapping]] = ..., avatar_id: _Optional[str] = ..., resumable: bool = ..., resume: _Optional[_Union[Resume, _Mapping]] = ..., degradation_preference: _Optional[_Union[DegradationPreference, str]] = ...) -> None: ...

class Resume(_message.Message):
    __slots__ = ("token", "received_messages")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    token: str
    received_messages: int
    def __init__(self, token: _Optional[str] = ..., received_messages: _Optional[int] = ...) -> None: ...

class AudioFormat(_message.Message):
    __slots__ = ("encoding", "sample_rate_hz", "channels")
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    encoding: AudioEncoding
    sample_rate_hz: int
    channels: int
    def __init__(self, encoding: _Optional[_Union[AudioEncoding, str]] = ..., sample_rate_hz: _Optional[int] = ..., channels: _Optional[int] = ...) -> None: ...

class VideoFormat(_message.Message):
    __slots__ = ("codec", "width", "height", "quality", "bitrate_kbps", "keyframe_interval")
    CODEC_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    BITRATE_KBPS_FIELD_NUMBER: _ClassVar[int]
    KEYFRAME_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    codec: VideoCodec
    width: int
    height: int
    quality: int
    bitrate_kbps: int
    keyframe_interval: _duration_pb2.Duration
    def __init__(self, codec: _Optional[_Union[VideoCodec, str]] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., quality: _Optional[int] = ..., bitrate_kbps: _Optional[int] = ..., keyframe_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class GenerationParameters(_message.Message):
    __slots__ = ("crop", "crop_scale", "paste_back", "seed", "nfe", "cfg_scale", "chunk_duration", "pose_style", "gaze_style", "preset", "head_motion", "adapter")
    CROP_FIELD_NUMBER: _ClassVar[int]
    CROP_SCALE_FIELD_NUMBER: _ClassVar[int]
    PASTE_BACK_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    NFE_FIELD_NUMBER: _ClassVar[int]
    CFG_SCALE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_DURATION_FIELD_NUMBER: _ClassVar[int]
    POSE_STYLE_FIELD_NUMBER: _ClassVar[int]
    GAZE_STYLE_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    HEAD_MOTION_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_FIELD_NUMBER: _ClassVar[int]
    crop: bool
    crop_scale: float
    paste_back: bool
    seed: int
    nfe: int
    cfg_scale: float
    chunk_duration: _duration_pb2.Duration
    pose_style: HeadPose
    gaze_style: Gaze
    preset: Preset
    head_motion: float
    adapter: str
    def __init__(self, crop: bool = ..., crop_scale: _Optional[float] = ..., paste_back: bool = ..., seed: _Optional[int] = ..., nfe: _Optional[int] = ..., cfg_scale: _Optional[float] = ..., chunk_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., pose_style: _Optional[_Union[HeadPose, _Mapping]] = ..., gaze_style: _Optional[_Union[Gaze, _Mapping]] = ..., preset: _Optional[_Union[Preset, str]] = ..., head_motion: _Optional[float] = ..., adapter: _Optional[str] = ...) -> None: ...

class HeadPose(_message.Message):
    __slots__ = ("pitch", "yaw", "roll")
    PITCH_FIELD_NUMBER: _ClassVar[int]
    YAW_FIELD_NUMBER: _ClassVar[int]
    ROLL_FIELD_NUMBER: _ClassVar[int]
    pitch: float
    yaw: float
    roll: float
    def __init__(self, pitch: _Optional[float] = ..., yaw: _Optional[float] = ..., roll: _Optional[float] = ...) -> None: ...

class Gaze(_message.Message):
    __slots__ = ("x", "y")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    x: float
    y: float
    def __init__(self, x: _Optional[float] = ..., y: _Optional[float] = ...) -> None: ...

from avatar.v1 import init_pb2 as _init_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EmotionKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EMOTION_KIND_UNSPECIFIED: _ClassVar[EmotionKind]
    EMOTION_KIND_NEUTRAL: _ClassVar[EmotionKind]
    EMOTION_KIND_HAPPY: _ClassVar[EmotionKind]
    EMOTION_KIND_SAD: _ClassVar[EmotionKind]
    EMOTION_KIND_SURPRISED: _ClassVar[EmotionKind]
    EMOTION_KIND_ANGRY: _ClassVar[EmotionKind]
EMOTION_KIND_UNSPECIFIED: EmotionKind
EMOTION_KIND_NEUTRAL: EmotionKind
EMOTION_KIND_HAPPY: EmotionKind
EMOTION_KIND_SAD: EmotionKind
EMOTION_KIND_SURPRISED: EmotionKind
EMOTION_KIND_ANGRY: EmotionKind

class Control(_message.Message):
    __slots__ = ("pose", "gaze", "emotion", "head_motion", "bitrate_kbps", "force_keyframe", "paused", "avatar_id")
    POSE_FIELD_NUMBER: _ClassVar[int]
    GAZE_FIELD_NUMBER: _ClassVar[int]
    EMOTION_FIELD_NUMBER: _ClassVar[int]
    HEAD_MOTION_FIELD_NUMBER: _ClassVar[int]
    BITRATE_KBPS_FIELD_NUMBER: _ClassVar[int]
    FORCE_KEYFRAME_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    AVATAR_ID_FIELD_NUMBER: _ClassVar[int]
    pose: _init_pb2.HeadPose
    gaze: _init_pb2.Gaze
    emotion: Emotion
    head_motion: float
    bitrate_kbps: int
    force_keyframe: bool
    paused: bool
    avatar_id: str
    def __init__(self, pose: _Optional[_Union[_init_pb2.HeadPose, _Mapping]] = ..., gaze: _Optional[_Union[_init_pb2.Gaze, _Mapping]] = ..., emotion: _Optional[_Union[Emotion, _Mapping]] = ..., head_motion: _Optional[float] = ..., bitrate_kbps: _Optional[int] = ..., force_keyframe: bool = ..., paused: bool = ..., avatar_id: _Optional[str] = ...) -> None: ...

class Emotion(_message.Message):
    __slots__ = ("kind", "intensity")
    KIND_FIELD_NUMBER: _ClassVar[int]
    INTENSITY_FIELD_NUMBER: _ClassVar[int]
    kind: EmotionKind
    intensity: float
    def __init__(self, kind: _Optional[_Union[EmotionKind, str]] = ..., intensity: _Optional[float] = ...) -> None: ...

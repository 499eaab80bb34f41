from avatar.v1 import avatar_pb2 as _avatar_pb2
from avatar.v1 import control_pb2 as _control_pb2
from avatar.v1 import event_pb2 as _event_pb2
from avatar.v1 import init_pb2 as _init_pb2
from avatar.v1 import media_pb2 as _media_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StreamAvatarRequest(_message.Message):
    __slots__ = ("init", "audio", "end_of_segment", "interrupt", "end_of_audio", "control")
    INIT_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    END_OF_SEGMENT_FIELD_NUMBER: _ClassVar[int]
    INTERRUPT_FIELD_NUMBER: _ClassVar[int]
    END_OF_AUDIO_FIELD_NUMBER: _ClassVar[int]
    CONTROL_FIELD_NUMBER: _ClassVar[int]
    init: _init_pb2.Init
    audio: _media_pb2.Audio
    end_of_segment: _media_pb2.EndOfSegment
    interrupt: _media_pb2.Interrupt
    end_of_audio: _media_pb2.EndOfAudio
    control: _control_pb2.Control
    def __init__(self, init: _Optional[_Union[_init_pb2.Init, _Mapping]] = ..., audio: _Optional[_Union[_media_pb2.Audio, _Mapping]] = ..., end_of_segment: _Optional[_Union[_media_pb2.EndOfSegment, _Mapping]] = ..., interrupt: _Optional[_Union[_media_pb2.Interrupt, _Mapping]] = ..., end_of_audio: _Optional[_Union[_media_pb2.EndOfAudio, _Mapping]] = ..., control: _Optional[_Union[_control_pb2.Control, _Mapping]] = ...) -> None: ...

class StreamAvatarResponse(_message.Message):
    __slots__ = ("ready", "video", "event", "status", "go_away")
    READY_FIELD_NUMBER: _ClassVar[int]
    VIDEO_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    GO_AWAY_FIELD_NUMBER: _ClassVar[int]
    ready: _event_pb2.Ready
    video: _media_pb2.Video
    event: _event_pb2.Event
    status: _event_pb2.SessionStatus
    go_away: _event_pb2.GoAway
    def __init__(self, ready: _Optional[_Union[_event_pb2.Ready, _Mapping]] = ..., video: _Optional[_Union[_media_pb2.Video, _Mapping]] = ..., event: _Optional[_Union[_event_pb2.Event, _Mapping]] = ..., status: _Optional[_Union[_event_pb2.SessionStatus, _Mapping]] = ..., go_away: _Optional[_Union[_event_pb2.GoAway, _Mapping]] = ...) -> None: ...

class GetCapabilitiesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetSessionRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class GetSessionResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: _event_pb2.SessionStatus
    def __init__(self, status: _Optional[_Union[_event_pb2.SessionStatus, _Mapping]] = ...) -> None: ...

class EndSessionRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class EndSessionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetCapabilitiesResponse(_message.Message):
    __slots__ = ("version", "engines", "video_codecs", "audio_encodings", "capacity_sessions", "free_sessions", "limits")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ENGINES_FIELD_NUMBER: _ClassVar[int]
    VIDEO_CODECS_FIELD_NUMBER: _ClassVar[int]
    AUDIO_ENCODINGS_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_SESSIONS_FIELD_NUMBER: _ClassVar[int]
    FREE_SESSIONS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    version: str
    engines: _containers.RepeatedCompositeFieldContainer[EngineCapability]
    video_codecs: _containers.RepeatedScalarFieldContainer[_init_pb2.VideoCodec]
    audio_encodings: _containers.RepeatedScalarFieldContainer[_init_pb2.AudioEncoding]
    capacity_sessions: int
    free_sessions: int
    limits: _event_pb2.Limits
    def __init__(self, version: _Optional[str] = ..., engines: _Optional[_Iterable[_Union[EngineCapability, _Mapping]]] = ..., video_codecs: _Optional[_Iterable[_Union[_init_pb2.VideoCodec, str]]] = ..., audio_encodings: _Optional[_Iterable[_Union[_init_pb2.AudioEncoding, str]]] = ..., capacity_sessions: _Optional[int] = ..., free_sessions: _Optional[int] = ..., limits: _Optional[_Union[_event_pb2.Limits, _Mapping]] = ...) -> None: ...

class EngineCapability(_message.Message):
    __slots__ = ("name", "version", "fps", "device")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    fps: int
    device: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., fps: _Optional[int] = ..., device: _Optional[str] = ...) -> None: ...

import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SessionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SESSION_STATE_UNSPECIFIED: _ClassVar[SessionState]
    SESSION_STATE_WAITING_FOR_AUDIO: _ClassVar[SessionState]
    SESSION_STATE_PROCESSING: _ClassVar[SessionState]
    SESSION_STATE_COMPLETE: _ClassVar[SessionState]
    SESSION_STATE_ERROR: _ClassVar[SessionState]
SESSION_STATE_UNSPECIFIED: SessionState
SESSION_STATE_WAITING_FOR_AUDIO: SessionState
SESSION_STATE_PROCESSING: SessionState
SESSION_STATE_COMPLETE: SessionState
SESSION_STATE_ERROR: SessionState

class Ready(_message.Message):
    __slots__ = ("session_id", "engine", "engine_version", "fps", "video", "hop", "look_ahead", "limits", "resume_token", "received_messages")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_VERSION_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    VIDEO_FIELD_NUMBER: _ClassVar[int]
    HOP_FIELD_NUMBER: _ClassVar[int]
    LOOK_AHEAD_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    engine: str
    engine_version: str
    fps: int
    video: _containers.RepeatedCompositeFieldContainer[EffectiveVideo]
    hop: _duration_pb2.Duration
    look_ahead: _duration_pb2.Duration
    limits: Limits
    resume_token: str
    received_messages: int
    def __init__(self, session_id: _Optional[str] = ..., engine: _Optional[str] = ..., engine_version: _Optional[str] = ..., fps: _Optional[int] = ..., video: _Optional[_Iterable[_Union[EffectiveVideo, _Mapping]]] = ..., hop: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., look_ahead: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., resume_token: _Optional[str] = ..., received_messages: _Optional[int] = ...) -> None: ...

class EffectiveVideo(_message.Message):
    __slots__ = ("codec", "width", "height")
    CODEC_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    codec: str
    width: int
    height: int
    def __init__(self, codec: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_audio_message_bytes", "max_portrait_bytes", "max_buffered_audio", "idle_timeout", "slow_reader_timeout", "resume_window")
    MAX_AUDIO_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_PORTRAIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_BUFFERED_AUDIO_FIELD_NUMBER: _ClassVar[int]
    IDLE_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    SLOW_READER_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    RESUME_WINDOW_FIELD_NUMBER: _ClassVar[int]
    max_audio_message_bytes: int
    max_portrait_bytes: int
    max_buffered_audio: _duration_pb2.Duration
    idle_timeout: _duration_pb2.Duration
    slow_reader_timeout: _duration_pb2.Duration
    resume_window: _duration_pb2.Duration
    def __init__(self, max_audio_message_bytes: _Optional[int] = ..., max_portrait_bytes: _Optional[int] = ..., max_buffered_audio: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., idle_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., slow_reader_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., resume_window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("segment_started", "segment_finished", "interrupted", "warning", "idle", "underrun", "degraded", "recovered")
    SEGMENT_STARTED_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FINISHED_FIELD_NUMBER: _ClassVar[int]
    INTERRUPTED_FIELD_NUMBER: _ClassVar[int]
    WARNING_FIELD_NUMBER: _ClassVar[int]
    IDLE_FIELD_NUMBER: _ClassVar[int]
    UNDERRUN_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    RECOVERED_FIELD_NUMBER: _ClassVar[int]
    segment_started: SegmentStarted
    segment_finished: SegmentFinished
    interrupted: Interrupted
    warning: Warning
    idle: Idle
    underrun: Underrun
    degraded: Degraded
    recovered: Recovered
    def __init__(self, segment_started: _Optional[_Union[SegmentStarted, _Mapping]] = ..., segment_finished: _Optional[_Union[SegmentFinished, _Mapping]] = ..., interrupted: _Optional[_Union[Interrupted, _Mapping]] = ..., warning: _Optional[_Union[Warning, _Mapping]] = ..., idle: _Optional[_Union[Idle, _Mapping]] = ..., underrun: _Optional[_Union[Underrun, _Mapping]] = ..., degraded: _Optional[_Union[Degraded, _Mapping]] = ..., recovered: _Optional[_Union[Recovered, _Mapping]] = ...) -> None: ...

class SegmentStarted(_message.Message):
    __slots__ = ("segment_id", "pts")
    SEGMENT_ID_FIELD_NUMBER: _ClassVar[int]
    PTS_FIELD_NUMBER: _ClassVar[int]
    segment_id: str
    pts: int
    def __init__(self, segment_id: _Optional[str] = ..., pts: _Optional[int] = ...) -> None: ...

class SegmentFinished(_message.Message):
    __slots__ = ("segment_id", "played", "frames", "interrupted")
    SEGMENT_ID_FIELD_NUMBER: _ClassVar[int]
    PLAYED_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    INTERRUPTED_FIELD_NUMBER: _ClassVar[int]
    segment_id: str
    played: _duration_pb2.Duration
    frames: int
    interrupted: bool
    def __init__(self, segment_id: _Optional[str] = ..., played: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., frames: _Optional[int] = ..., interrupted: bool = ...) -> None: ...

class Interrupted(_message.Message):
    __slots__ = ("segment_ids", "played", "dropped")
    SEGMENT_IDS_FIELD_NUMBER: _ClassVar[int]
    PLAYED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    segment_ids: _containers.RepeatedScalarFieldContainer[str]
    played: _duration_pb2.Duration
    dropped: _duration_pb2.Duration
    def __init__(self, segment_ids: _Optional[_Iterable[str]] = ..., played: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., dropped: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Idle(_message.Message):
    __slots__ = ("pts",)
    PTS_FIELD_NUMBER: _ClassVar[int]
    pts: int
    def __init__(self, pts: _Optional[int] = ...) -> None: ...

class Underrun(_message.Message):
    __slots__ = ("segment_id", "pts")
    SEGMENT_ID_FIELD_NUMBER: _ClassVar[int]
    PTS_FIELD_NUMBER: _ClassVar[int]
    segment_id: str
    pts: int
    def __init__(self, segment_id: _Optional[str] = ..., pts: _Optional[int] = ...) -> None: ...

class Degraded(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class Recovered(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class Warning(_message.Message):
    __slots__ = ("reason", "message")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class SessionStatus(_message.Message):
    __slots__ = ("state", "frames_generated", "buffered_audio", "uptime", "real_time_factor", "received_messages")
    STATE_FIELD_NUMBER: _ClassVar[int]
    FRAMES_GENERATED_FIELD_NUMBER: _ClassVar[int]
    BUFFERED_AUDIO_FIELD_NUMBER: _ClassVar[int]
    UPTIME_FIELD_NUMBER: _ClassVar[int]
    REAL_TIME_FACTOR_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    state: SessionState
    frames_generated: int
    buffered_audio: _duration_pb2.Duration
    uptime: _duration_pb2.Duration
    real_time_factor: float
    received_messages: int
    def __init__(self, state: _Optional[_Union[SessionState, str]] = ..., frames_generated: _Optional[int] = ..., buffered_audio: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., uptime: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., real_time_factor: _Optional[float] = ..., received_messages: _Optional[int] = ...) -> None: ...

class GoAway(_message.Message):
    __slots__ = ("time_left",)
    TIME_LEFT_FIELD_NUMBER: _ClassVar[int]
    time_left: _duration_pb2.Duration
    def __init__(self, time_left: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

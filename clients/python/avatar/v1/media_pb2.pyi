from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FrameKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FRAME_KIND_UNSPECIFIED: _ClassVar[FrameKind]
    FRAME_KIND_SPEECH: _ClassVar[FrameKind]
    FRAME_KIND_IDLE: _ClassVar[FrameKind]
    FRAME_KIND_TRANSITION: _ClassVar[FrameKind]
FRAME_KIND_UNSPECIFIED: FrameKind
FRAME_KIND_SPEECH: FrameKind
FRAME_KIND_IDLE: FrameKind
FRAME_KIND_TRANSITION: FrameKind

class Audio(_message.Message):
    __slots__ = ("segment_id", "data", "seq")
    SEGMENT_ID_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    segment_id: str
    data: bytes
    seq: int
    def __init__(self, segment_id: _Optional[str] = ..., data: _Optional[bytes] = ..., seq: _Optional[int] = ...) -> None: ...

class EndOfSegment(_message.Message):
    __slots__ = ("segment_id",)
    SEGMENT_ID_FIELD_NUMBER: _ClassVar[int]
    segment_id: str
    def __init__(self, segment_id: _Optional[str] = ...) -> None: ...

class EndOfAudio(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Interrupt(_message.Message):
    __slots__ = ("segment_id",)
    SEGMENT_ID_FIELD_NUMBER: _ClassVar[int]
    segment_id: str
    def __init__(self, segment_id: _Optional[str] = ...) -> None: ...

class Video(_message.Message):
    __slots__ = ("pts", "duration", "keyframe", "segment_id", "frame_index", "format", "data", "kind")
    PTS_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    KEYFRAME_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_ID_FIELD_NUMBER: _ClassVar[int]
    FRAME_INDEX_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    pts: int
    duration: int
    keyframe: bool
    segment_id: str
    frame_index: int
    format: int
    data: bytes
    kind: FrameKind
    def __init__(self, pts: _Optional[int] = ..., duration: _Optional[int] = ..., keyframe: bool = ..., segment_id: _Optional[str] = ..., frame_index: _Optional[int] = ..., format: _Optional[int] = ..., data: _Optional[bytes] = ..., kind: _Optional[_Union[FrameKind, str]] = ...) -> None: ...

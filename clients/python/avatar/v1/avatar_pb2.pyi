import datetime

from avatar.v1 import event_pb2 as _event_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Avatar(_message.Message):
    __slots__ = ("avatar_id", "display_name", "engine", "width", "height", "warnings", "memory_bytes", "create_time")
    AVATAR_ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    avatar_id: str
    display_name: str
    engine: str
    width: int
    height: int
    warnings: _containers.RepeatedCompositeFieldContainer[_event_pb2.Warning]
    memory_bytes: int
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, avatar_id: _Optional[str] = ..., display_name: _Optional[str] = ..., engine: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., warnings: _Optional[_Iterable[_Union[_event_pb2.Warning, _Mapping]]] = ..., memory_bytes: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateAvatarRequest(_message.Message):
    __slots__ = ("portrait", "engine", "crop", "crop_scale", "paste_back", "display_name")
    PORTRAIT_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    CROP_FIELD_NUMBER: _ClassVar[int]
    CROP_SCALE_FIELD_NUMBER: _ClassVar[int]
    PASTE_BACK_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    portrait: bytes
    engine: str
    crop: bool
    crop_scale: float
    paste_back: bool
    display_name: str
    def __init__(self, portrait: _Optional[bytes] = ..., engine: _Optional[str] = ..., crop: bool = ..., crop_scale: _Optional[float] = ..., paste_back: bool = ..., display_name: _Optional[str] = ...) -> None: ...

class CreateAvatarResponse(_message.Message):
    __slots__ = ("avatar",)
    AVATAR_FIELD_NUMBER: _ClassVar[int]
    avatar: Avatar
    def __init__(self, avatar: _Optional[_Union[Avatar, _Mapping]] = ...) -> None: ...

class ListAvatarsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListAvatarsResponse(_message.Message):
    __slots__ = ("avatars",)
    AVATARS_FIELD_NUMBER: _ClassVar[int]
    avatars: _containers.RepeatedCompositeFieldContainer[Avatar]
    def __init__(self, avatars: _Optional[_Iterable[_Union[Avatar, _Mapping]]] = ...) -> None: ...

class DeleteAvatarRequest(_message.Message):
    __slots__ = ("avatar_id",)
    AVATAR_ID_FIELD_NUMBER: _ClassVar[int]
    avatar_id: str
    def __init__(self, avatar_id: _Optional[str] = ...) -> None: ...

class DeleteAvatarResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

"""Owns what crosses the border between the pool and a worker: small, frozen, picklable. Never a raw frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from avatar_service.codec.base import AccessUnit, VideoFormat
from avatar_service.engine.base import EngineSpec, Notice, Parameters, PrepareOptions
from avatar_service.errors import AvatarError


@dataclass(frozen=True, slots=True)
class SlotKey:
    """A place in a worker and which of its users is meant: a late message never reaches the next one."""

    index: int
    generation: int


@dataclass(frozen=True, slots=True)
class Work:
    """What a session asks of a worker.

    Attributes:
        portrait: the picture file as received.
        options: how it becomes an avatar.
        parameters: how motion is generated.
        chunk_duration_s: longest audio that one hop may wait for.
        video: one or two formats, an encoder each.
        window_frames: frames that may be rendered and not yet acknowledged.
        window_bytes: bytes of such frames, beyond which no other is rendered: raw pictures are large.
    """

    portrait: bytes
    options: PrepareOptions = field(default_factory=PrepareOptions)
    parameters: Parameters = field(default_factory=Parameters)
    chunk_duration_s: float = 1.0
    video: tuple[VideoFormat, ...] = (VideoFormat(),)
    window_frames: int = 25
    window_bytes: int = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Open:
    """Prepare the portrait and open engine state and encoders. Answered by ``Opened`` or ``Failed``."""

    key: SlotKey
    work: Work


@dataclass(frozen=True, slots=True)
class Feed:
    """Audio of a segment: 16 kHz mono float32 ``[n]``, and when it arrived (monotonic seconds)."""

    key: SlotKey
    segment: int
    samples: NDArray[np.float32]
    arrived: float


@dataclass(frozen=True, slots=True)
class End:
    """No more audio in the segment; its last frames may be made."""

    key: SlotKey
    segment: int
    arrived: float


@dataclass(frozen=True, slots=True)
class Cut:
    """Forget these segments: make no more frames of them."""

    key: SlotKey
    segments: frozenset[int]


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """The client has read this many frames more."""

    key: SlotKey
    frames: int


@dataclass(frozen=True, slots=True)
class Close:
    """Drop the slot."""

    key: SlotKey


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you alive? Answered by ``Alive``, between two steps."""


@dataclass(frozen=True, slots=True)
class Warm:
    """A worker's first word: its engine's spec, and the sessions it measured itself to serve (0: not measured)."""

    spec: EngineSpec
    sessions: int


@dataclass(frozen=True, slots=True)
class Alive:
    """The answer to ``Ping``."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The slot is ready: sizes (width, height) and codec strings of each format, and what the caller should know."""

    key: SlotKey
    sizes: tuple[tuple[int, int], ...]
    codec_strings: tuple[str, ...]
    notices: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class Rendered:
    """One frame of a segment, once for each format."""

    key: SlotKey
    segment: int
    index: int
    units: tuple[AccessUnit, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """The slot is lost, for this reason; others are not touched."""

    key: SlotKey
    error: AvatarError


Command: TypeAlias = Open | Feed | End | Cut | Acknowledge | Close
"""What a slot is told."""
Result: TypeAlias = Opened | Rendered | Failed
"""What a slot answers."""

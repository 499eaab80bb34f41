"""Owns what crosses the border between the pool and a worker: small, frozen, picklable. Never a raw frame."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TypeAlias

from avatar_service.codec.base import AccessUnit, VideoFormat
from avatar_service.engine.base import Controls, EngineSpec, Notice, Parameters, PrepareOptions
from avatar_service.errors import AvatarError
from avatar_service.pcm import Pcm


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
        live: make a frame at every tick of the clock, not for audio only.
    """

    portrait: bytes
    options: PrepareOptions = field(default_factory=PrepareOptions)
    parameters: Parameters = field(default_factory=Parameters)
    chunk_duration_s: float = 1.0
    video: tuple[VideoFormat, ...] = (VideoFormat(),)
    window_frames: int = 25
    window_bytes: int = 2 * 1024 * 1024
    live: bool = False


@dataclass(frozen=True, slots=True)
class Open:
    """Prepare the portrait and open engine state and encoders. Answered by ``Opened`` or ``Failed``."""

    key: SlotKey
    work: Work


@dataclass(frozen=True, slots=True)
class Feed:
    """Audio of a segment, and when it arrived (monotonic seconds)."""

    key: SlotKey
    segment: int
    pcm: Pcm
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
class Control:
    """Change how the avatar looks or how its video is encoded; ``None`` leaves a thing as it is.

    Attributes:
        key: of the slot.
        controls: take effect with the first frame behind the audio fed so far.
        bitrate_kbps: of H.264; 0 is constant quality with a bound.
        keyframe: the next frame is one.
        paused: leave out every tick until told otherwise (LIVE).
    """

    key: SlotKey
    controls: Controls | None = None
    bitrate_kbps: int | None = None
    keyframe: bool = False
    paused: bool | None = None


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
class Unfit:
    """A worker's only word if it cannot start: what the operator must put right."""

    message: str


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


class FrameKind(enum.Enum):
    """What a frame shows."""

    SPEECH = "speech"
    IDLE = "idle"
    TRANSITION = "transition"
    """Idle, with lips that are still on their way to rest."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """One frame, once for each format.

    Attributes:
        key: of the slot.
        segment: whose speech it shows, if any.
        index: number in the segment.
        units: none if the frame was left out (LIVE), so that only its time passed.
        kind: what it shows.
        tick: its place on the slot's tick grid (LIVE).
    """

    key: SlotKey
    segment: int | None
    index: int
    units: tuple[AccessUnit, ...]
    kind: FrameKind = FrameKind.SPEECH
    tick: int = 0


class SkipReason(enum.Enum):
    """Why ticks are left out."""

    PAUSED = "PAUSED"
    SLOW_CONSUMER = "SLOW_CONSUMER"
    OVERLOADED = "OVERLOADED"


@dataclass(frozen=True, slots=True)
class Degraded:
    """Ticks are being left out, though nobody asked for it; once an episode."""

    key: SlotKey
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Failed:
    """The slot is lost, for this reason; others are not touched."""

    key: SlotKey
    error: AvatarError


Command: TypeAlias = Open | Feed | End | Cut | Control | Acknowledge | Close
"""What a slot is told."""
Result: TypeAlias = Opened | Rendered | Degraded | Failed
"""What a slot answers."""

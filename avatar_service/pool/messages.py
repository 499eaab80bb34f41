"""Owns what crosses the border between the pool and a worker: small, frozen, picklable. Never a raw frame."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TypeAlias

from avatar_service.codec.base import AccessUnit, VideoFormat
from avatar_service.engine.base import Controls, EngineSpec, Notice, Parameters, PrepareOptions
from avatar_service.errors import AvatarError
from avatar_service.pcm import Pcm
from avatar_service.plain import Plain
from avatar_service.pool.snapshot import FrameKind, Resumption, Row, Snapshot


@dataclass(frozen=True, slots=True)
class SlotKey(Plain):
    """A place in a worker and which of its users is meant: a late message never reaches the next one."""

    index: int
    generation: int


@dataclass(frozen=True, slots=True)
class AvatarKey:
    """An avatar that every worker keeps, whichever session shows it."""

    avatar_id: str


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
        kept: the name under which the avatar may be kept, so that nothing needs to be prepared.
        resumable: say with every hop what another slot could go on from.
        degradable: leave out every second tick while ``Halve`` says so (LIVE).
    """

    portrait: bytes
    options: PrepareOptions = field(default_factory=PrepareOptions)
    parameters: Parameters = field(default_factory=Parameters)
    chunk_duration_s: float = 1.0
    video: tuple[VideoFormat, ...] = (VideoFormat(),)
    window_frames: int = 25
    window_bytes: int = 2 * 1024 * 1024
    live: bool = False
    kept: AvatarKey | None = None
    resumable: bool = False
    degradable: bool = False


@dataclass(frozen=True, slots=True)
class Open:
    """Prepare the portrait and open engine state and encoders. Answered by ``Opened`` or ``Failed``."""

    key: SlotKey
    work: Work
    resumption: Resumption | None = None
    """What to go on from; nothing for a new session."""


@dataclass(frozen=True, slots=True)
class Feed(Plain):
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
class Switch:
    """Show another avatar, which must be kept, from the next frame made on. Answered only if it cannot be."""

    key: SlotKey
    avatar: AvatarKey


@dataclass(frozen=True, slots=True)
class Acknowledge(Plain):
    """The client has read this many frames more."""

    key: SlotKey
    frames: int


@dataclass(frozen=True, slots=True)
class Close:
    """Drop the slot."""

    key: SlotKey


@dataclass(frozen=True, slots=True)
class Keep:
    """Prepare a portrait, and keep the avatar until ``Discard``. Answered by ``Kept`` or ``Failed``."""

    key: AvatarKey
    portrait: bytes
    options: PrepareOptions


@dataclass(frozen=True, slots=True)
class Discard:
    """Keep this avatar no longer; slots that show it go on."""

    key: AvatarKey


@dataclass(frozen=True, slots=True)
class Halve:
    """Whether every second tick of the slots that are degradable is left out from now on."""

    halving: bool


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


@dataclass(frozen=True, slots=True)
class Kept:
    """The avatar is prepared: width and height of its frames, what the caller should know, the bytes that it holds."""

    key: AvatarKey
    frame_size: tuple[int, int]
    notices: tuple[Notice, ...]
    nbytes: int


@dataclass(frozen=True, slots=True)
class Rendered(Plain):
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


@dataclass(frozen=True, slots=True)
class Moved(Plain):
    """Where the slot of a resumable session stands, and the motion that it made since it last said so."""

    key: SlotKey
    rows: tuple[Row, ...]
    snapshot: Snapshot


class SkipReason(enum.Enum):
    """Why ticks are left out."""

    PAUSED = "PAUSED"
    SLOW_CONSUMER = "SLOW_CONSUMER"
    OVERLOADED = "OVERLOADED"
    HALF_RATE = "HALF_RATE"


@dataclass(frozen=True, slots=True)
class Degraded:
    """Ticks are being left out, though nobody asked for it; once an episode."""

    key: SlotKey
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Halved:
    """Whether every second tick of a degradable slot is left out from here on; said at its first, and at a change."""

    key: SlotKey
    halved: bool


@dataclass(frozen=True, slots=True)
class Unswitched:
    """The slot goes on with the avatar that it had, for this reason."""

    key: SlotKey
    error: AvatarError


@dataclass(frozen=True, slots=True)
class Failed:
    """The slot, or the avatar to keep, is lost for this reason; others are not touched."""

    key: SlotKey | AvatarKey
    error: AvatarError


Order: TypeAlias = Open | Keep
"""What an avatar is made for."""
Told: TypeAlias = Feed | End | Cut | Control | Switch
"""What changes an open slot, so that one which takes its session over must be told it, too."""
SlotCommand: TypeAlias = Told | Acknowledge | Close
"""What an open slot is told."""
Command: TypeAlias = Order | SlotCommand | Discard | Halve
"""What a worker is told."""
Result: TypeAlias = Opened | Rendered | Moved | Degraded | Halved | Unswitched | Kept | Failed
"""What it answers."""

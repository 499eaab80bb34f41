"""Owns what a session needs to go on in another slot: a worker makes it with every hop, the front keeps the last. Pure.

Between two hops a slot is: the engine's state, motion not yet drawn, audio not yet heard, and what it was told of
late. The first three are here or said here; of the last the front keeps a journal.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from avatar_service.engine.base import Controls, Motion
from avatar_service.pcm import Pcm
from avatar_service.plain import Plain

AGAIN: Final = -1
"""The segment of a row that is drawn a second time: no command is about it any more."""


class FrameKind(enum.Enum):
    """What a frame shows."""

    SPEECH = "speech"
    IDLE = "idle"
    TRANSITION = "transition"
    """Idle, with lips that are still on their way to rest."""


@dataclass(frozen=True, slots=True)
class Row(Plain):
    """A frame whose motion is known."""

    segment: int | None
    index: int
    deadline: float
    motion: Motion
    kind: FrameKind = FrameKind.SPEECH

    @property
    def begins_segment(self) -> bool:
        """Whether it is a segment's first frame."""
        return self.segment is not None and self.index == 0


@dataclass(frozen=True, slots=True)
class SegmentMark(Plain):
    """How far a slot is with a segment.

    Attributes:
        number: of the segment.
        total: samples fed.
        frames_made: frames that became motion.
        ended: whether no more is fed.
        controls: what came among its audio and was not yet followed: the sample before which it came, and what.
    """

    number: int
    total: int
    frames_made: int
    ended: bool
    controls: tuple[tuple[int, Controls], ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot(Plain):
    """A slot behind a hop, but for its motion and its audio.

    Attributes:
        state: the engine's, pickled.
        told: commands that the slot had taken.
        segments: those that are not over.
        controls: what the next hop is to follow.
        flowing: LIVE: the segment that is being shown.
        began: LIVE: when the grid of ticks did, in monotonic seconds.
        was_cut: speech was cut off, and none followed.
        paused: LIVE: nobody watches.
        bitrate_kbps: last one asked for, if any was.
        avatar_id: of the avatar that was switched to, if any was.
        sizes: width and height of each format, which are those that suited the first avatar.
    """

    state: bytes
    told: int
    segments: tuple[SegmentMark, ...]
    controls: Controls | None = None
    flowing: int | None = None
    began: float | None = None
    was_cut: bool = False
    paused: bool = False
    bitrate_kbps: int | None = None
    avatar_id: str | None = None
    sizes: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class SegmentAudio:
    """What is still to be heard of a segment, and its context, from the sample ``start`` on."""

    start: int
    pcm: Pcm


@dataclass(frozen=True, slots=True)
class Resumption:
    """What another slot goes on from.

    Attributes:
        snapshot: the last one.
        rows: motion to be drawn first.
        audio: of the segments in the snapshot.
        dead: those of them of which no frame is wanted any more.
        arrived: now, in monotonic seconds: everything counts as fed then.
    """

    snapshot: Snapshot
    rows: tuple[Row, ...]
    audio: dict[int, SegmentAudio]
    dead: frozenset[int]
    arrived: float

"""Owns what one session holds in a worker: audio, motion, encoders, and which frames may be made now. Pure."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from avatar_service.codec.base import AccessUnit, Encoder, has_shape
from avatar_service.engine.base import Avatar, MotionStep, RenderStep, State
from avatar_service.errors import InvalidArgumentError
from avatar_service.frame import Frame, PixelFormat
from avatar_service.pcm import to_samples
from avatar_service.pool.messages import (
    Acknowledge,
    AvatarKey,
    Control,
    Cut,
    End,
    Feed,
    Rendered,
    SkipReason,
    SlotKey,
    Switch,
    Work,
)
from avatar_service.pool.scheduler import Candidate
from avatar_service.pool.snapshot import Resumption, Row, Snapshot
from avatar_service.pool.ticks import Ticks
from avatar_service.pool.track import Hop, Track


@dataclass(slots=True)
class Slot:
    """One session in this worker."""

    key: SlotKey
    work: Work
    track: Track
    ticks: Ticks | None
    """The grid of a LIVE session."""
    avatar: Avatar | None = None
    switched: AvatarKey | None = None
    """The one that it shows instead of its first."""
    wanted: AvatarKey | None = None
    """The one that it is to show once it has one."""
    state: State = None
    encoders: tuple[Encoder, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    """Width and height that each encodes in."""
    pixel_format: PixelFormat = PixelFormat.RGB
    """What all its encoders can take."""
    rows: deque[Row] = field(default_factory=deque)
    unread: deque[int] = field(default_factory=deque)
    """Bytes of each frame that was rendered and not yet acknowledged."""
    held_s: float = 0.0
    """How long its reader has held up the segment that is being made: so much later are its frames due."""
    paused: bool = False
    was_cut: bool = False
    """Speech was cut off, and none followed."""
    owes_keyframe: bool = False
    """What comes next must not lean on what came before."""
    halved: bool | None = None
    """Whether every second tick is left out; not known before the first."""
    next_bitrate_kbps: int | None = None
    """Of the encoders from the next frame on; the last one asked for before it counts."""
    bitrate_kbps: int | None = None
    """Last one asked for."""
    told: int = 0
    """Commands taken, acknowledgements apart."""
    noted: int = 0
    """Those that the last snapshot knows of."""

    @property
    def credit(self) -> int:
        """Frames that may be rendered and left unread, as far as the reader's window allows."""
        credit = self.work.window_frames - len(self.unread)
        return 0 if sum(self.unread) >= self.work.window_bytes else credit

    def candidates(self, now: float) -> Iterator[Candidate]:
        """Yield the frames that could be made now."""
        if self.avatar is None:
            return
        if self.ticks is not None:
            if (due := self.ticks.due(now)) <= now:
                yield Candidate(due, self.key.index, 0)
            return
        credit = self.credit
        if credit <= 0:
            self._note_held(now)
            return
        if self.unread and self.unread[-1] * credit > self.work.window_bytes:
            credit = 1  # frames are large: one at a time
        for ahead, row in zip(range(credit), self.rows, strict=False):
            yield Candidate(row.deadline + self.held_s, self.key.index, ahead)
        if not self.rows and (deadline := self.track.deadline) is not None:
            yield Candidate(deadline + self.held_s, self.key.index, 0)

    def _note_held(self, now: float) -> None:
        """Let a reader that comes back be served at the pace of speech, not before everybody else."""
        deadline = self.rows[0].deadline if self.rows else self.track.deadline
        if deadline is not None:
            self.held_s = max(self.held_s, now - deadline)

    def to_skip(self, now: float) -> Iterator[SkipReason]:
        """Yield, for each tick that is to be left out now, why; whoever asks passes it before asking on."""
        if self.avatar is None or self.ticks is None:
            return
        hopeless = self.ticks.hopeless(now)
        while self.ticks.due(now) <= now:
            if self.paused:
                yield SkipReason.PAUSED
            elif self.credit <= 0:
                yield SkipReason.SLOW_CONSUMER
            elif hopeless > 0:
                yield SkipReason.OVERLOADED
            else:
                return
            hopeless -= 1

    def halve(self, *, halving: bool) -> bool:
        """Leave out every second tick or none from the next one on; return whether that is to be told."""
        before, self.halved = self.halved, halving and self.work.degradable
        return self.work.degradable and self.halved is not before

    @property
    def rests(self) -> bool:
        """Whether the next tick is left out, because every second one is."""
        return bool(self.halved) and self.ticks is not None and self.ticks.is_odd

    def leave_out(self, row: Row) -> Rendered:
        """Let the next tick pass, and say so. Nothing that was encoded is lost, so no keyframe need follow.

        But a segment begins with one, be it with its second frame.
        """
        assert self.ticks is not None, "only ticks are left out"
        for encoder in self.encoders:
            encoder.skip()
        self.owes_keyframe = self.owes_keyframe or row.begins_segment
        return Rendered(self.key, row.segment, row.index, (), row.kind, self.ticks.advance())

    def check_shape(self, avatar: Avatar) -> None:
        """Check that the slot's video can show another avatar.

        Raises:
            InvalidArgumentError: ``AVATAR_SHAPE``.
        """
        width, height = avatar.frame_size
        for size in self.sizes:
            if not has_shape(size, avatar.frame_size):
                msg = f"the avatar's frames are {width}x{height}, which does not suit video of {size[0]}x{size[1]}"
                raise InvalidArgumentError("AVATAR_SHAPE", msg, field="control.avatar_id")

    def take(self, now: float) -> Hop:
        """Return what the next motion is made of."""
        if self.ticks is not None and not self.track.flows(now):
            return self.track.idle()
        self.was_cut = False
        hop = self.track.take()
        if hop.first_frame == 0:
            self.held_s = 0.0
        return hop

    def step(self, hop: Hop) -> MotionStep:
        """Return the engine's step for a hop."""
        idle = hop.segment is None
        return MotionStep(
            self.state,
            hop.window,
            hop.frames,
            hop.first_frame,
            hop.remaining,
            controls=hop.controls,
            idle=idle,
            cut=idle and self.was_cut,
        )

    def render_step(self, row: Row) -> RenderStep:
        """Return the engine's step for a frame."""
        assert self.avatar is not None, "only furnished slots are candidates"
        return RenderStep(self.avatar, row.motion, self.pixel_format)

    def snapshot(self) -> Snapshot:
        """Return what another slot could go on from, but for motion and audio."""
        self.noted = self.told
        return Snapshot(
            state=pickle.dumps(self.state, pickle.HIGHEST_PROTOCOL),
            told=self.told,
            segments=self.track.marks,
            controls=self.track.released,
            flowing=self.track.flowing,
            began=None if self.ticks is None else self.ticks.began,
            was_cut=self.was_cut,
            paused=self.paused,
            bitrate_kbps=self.bitrate_kbps,
            avatar_id=None if self.switched is None else self.switched.avatar_id,
            sizes=self.sizes,
        )

    def resume(self, resumption: Resumption) -> None:
        """Go on from where another slot was: what is to be drawn and was fed counts as due, or come, just now.

        The avatar that its work names is the one that was shown last, and the state already knows of it.
        """
        snapshot, now = resumption.snapshot, resumption.arrived
        self.state = snapshot.state
        self.switched = None if snapshot.avatar_id is None else AvatarKey(snapshot.avatar_id)
        self.sizes = snapshot.sizes
        self.track.resume(snapshot, resumption.audio, now)
        self.track.cut(resumption.dead)
        self.rows.extend(replace(row, deadline=now + i / self.track.fps) for i, row in enumerate(resumption.rows))
        self.told = self.noted = snapshot.told
        self.was_cut, self.paused = snapshot.was_cut, snapshot.paused
        self.bitrate_kbps = self.next_bitrate_kbps = snapshot.bitrate_kbps

    def encode(self, row: Row, frame: Frame) -> tuple[AccessUnit, ...]:
        """Return the frame in every format. A segment starts with a keyframe, so that a cut before it costs nothing."""
        if self.next_bitrate_kbps is not None:
            for encoder in self.encoders:
                encoder.set_bitrate(self.next_bitrate_kbps)
            self.next_bitrate_kbps = None
        keyframe = row.begins_segment or self.owes_keyframe
        units = tuple(encoder.encode(frame, keyframe=keyframe) for encoder in self.encoders)
        self.owes_keyframe = False
        self.unread.append(sum(len(unit.content) for unit in units))
        return units

    def receive(self, command: Feed | End | Cut | Control | Switch | Acknowledge) -> None:
        """Take one command."""
        self.told += not isinstance(command, Acknowledge)
        match command:
            case Feed(_, segment, pcm, arrived):
                self.track.feed(segment, to_samples(pcm), arrived)
            case End(_, segment, arrived):
                self.track.end(segment, arrived)
            case Cut(_, segments):
                self._cut(segments)
            case Control():
                self._control(command)
            case Switch(_, avatar):
                self.wanted = avatar  # the worker sees to it, once there is one to be switched from
            case Acknowledge(_, frames):
                for _ in range(frames):
                    self.unread.popleft()

    def _cut(self, segments: frozenset[int]) -> None:
        """Forget these segments. What was rendered of them never arrives, so in LIVE a keyframe must follow."""
        self.track.cut(segments)
        self.rows = deque(row for row in self.rows if row.segment not in segments)
        self.was_cut = True
        self.owes_keyframe = self.owes_keyframe or self.ticks is not None

    def _control(self, command: Control) -> None:
        if command.controls is not None:
            self.track.control(command.controls)
        if command.bitrate_kbps is not None:
            self.bitrate_kbps = self.next_bitrate_kbps = command.bitrate_kbps
        if command.paused is not None:
            self.paused = command.paused
        self.owes_keyframe = self.owes_keyframe or command.keyframe

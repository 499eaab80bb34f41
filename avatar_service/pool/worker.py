"""Owns one worker: an engine with the slots placed on it. Knows no thread, process or clock: a carrier drives it.

schedule -> step -> deliver
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Final

import numpy as np

from avatar_service.codec.base import common_format
from avatar_service.codec.registry import open_encoder
from avatar_service.engine.base import Avatar, Engine, State
from avatar_service.errors import UnavailableError
from avatar_service.frame import Frame
from avatar_service.pool.batch import in_batch
from avatar_service.pool.failure import attempt, told
from avatar_service.pool.messages import (
    Acknowledge,
    AvatarKey,
    Close,
    Command,
    Degraded,
    Discard,
    Failed,
    Halve,
    Halved,
    Keep,
    Moved,
    Open,
    Opened,
    Order,
    Rendered,
    Result,
    SkipReason,
    SlotCommand,
    SlotKey,
    Told,
    Unswitched,
)
from avatar_service.pool.scheduler import Candidate, schedule
from avatar_service.pool.shelf import Shelf
from avatar_service.pool.slot import Slot
from avatar_service.pool.snapshot import FrameKind, Row
from avatar_service.pool.ticks import Ticks
from avatar_service.pool.track import Hop, Track

_MOST_UNNOTED: Final = 64
"""Commands that a resumable session may send before another snapshot is made, though there was no hop."""


class Worker:
    """An engine and its slots.

    Args:
        engine: warmed up.
        prepare: starts making an avatar beside the engine's thread; ``prepared`` is called with it later.
        deliver: takes the results of one step, all at once.
    """

    def __init__(
        self,
        engine: Engine,
        prepare: Callable[[Order], None],
        deliver: Callable[[list[Result]], None],
    ) -> None:
        self._engine = engine
        self._prepare = prepare
        self._deliver = deliver
        self._slots: dict[int, Slot] = {}
        self._shelf = Shelf(engine.spec.name)
        self._halving = False

    def __repr__(self) -> str:
        return f"<Worker {self._engine.spec.name} with {len(self._slots)} slots>"

    def work(self, now: float) -> bool:
        """Make one micro-batch of frames; return whether there was anything to make.

        Args:
            now: monotonic seconds.
        """
        results = self._skip(now)
        batch = schedule(self._candidates(now), self._engine.spec.max_batch)
        if batch:
            results += self._step(batch, now)
        if results:
            self._deliver(results)
        return bool(batch)

    def next_tick(self, now: float) -> float | None:
        """Return when a frame is due without anybody asking for it, or ``None`` if no session is LIVE."""
        grids = (slot.ticks for slot in self._slots.values() if slot.avatar is not None)
        return min((ticks.due(now) for ticks in grids if ticks is not None), default=None)

    def receive(self, command: Command) -> None:
        """Take one command. Commands for a slot's earlier user are dropped."""
        match command:
            case Open():
                self._open(command)
            case Keep(key):
                self._shelf.reserve(key)
                self._prepare(command)
            case Discard(key):
                self._shelf.drop(key)
            case Halve(halving):
                self._halving = halving
            case _:
                self._tell(command)

    def prepared(self, order: Order, future: Future[Avatar]) -> None:
        """Take the avatar that ``prepare`` made, or the reason why it could not."""
        if isinstance(order, Keep):
            self._deliver([self._shelf.put(order.key, future)])
        elif (slot := self._find(order.key)) is not None:
            self._furnish(slot, future.result)

    def _find(self, key: SlotKey) -> Slot | None:
        slot = self._slots.get(key.index)
        return slot if slot is not None and slot.key == key else None

    def _tell(self, command: SlotCommand) -> None:
        slot = self._find(command.key)
        if slot is None:
            return
        if isinstance(command, Close):
            del self._slots[command.key.index]
            return
        error = attempt(lambda: self._follow(slot, command))
        if error is not None:
            self._deliver(self._fail(slot, error))
        elif slot.work.resumable and slot.avatar is not None and slot.told - slot.noted >= _MOST_UNNOTED:
            self._deliver(self._note(slot, ()))

    def _follow(self, slot: Slot, command: Told | Acknowledge) -> None:
        slot.receive(command)
        if slot.avatar is not None:
            self._switch(slot)

    def _open(self, command: Open) -> None:
        spec = self._engine.spec.under(command.work.parameters.preset)
        track = Track(spec, spec.hop_within(command.work.chunk_duration_s))
        resumption = command.resumption
        began = None if resumption is None else resumption.snapshot.began
        ticks = Ticks(spec.fps, began) if command.work.live else None
        slot = self._slots[command.key.index] = Slot(command.key, command.work, track, ticks)
        if resumption is not None:
            slot.resume(resumption)
        kept = self._shelf.find(command.work.kept)
        if kept is None:
            self._prepare(command)
        else:
            self._furnish(slot, lambda: kept)

    def _furnish(self, slot: Slot, prepared: Callable[[], Avatar]) -> None:
        """Open the slot's encoders and engine state, and say so, or why it is lost."""
        error = attempt(lambda: self._welcome(slot, prepared()))
        if error is not None:
            self._deliver(self._fail(slot, error))

    def _welcome(self, slot: Slot, avatar: Avatar) -> None:
        formats, fps = slot.work.video, self._engine.spec.fps
        slot.sizes = slot.sizes or tuple(video.size_for(avatar.frame_size) for video in formats)
        slot.encoders = tuple(open_encoder(*each, fps) for each in zip(formats, slot.sizes, strict=True))
        slot.pixel_format = common_format(slot.encoders)
        slot.state = self._engine.open(avatar, slot.work.parameters) if slot.state is None else _restored(slot.state)
        slot.avatar = avatar
        codec_strings = tuple(encoder.codec_string for encoder in slot.encoders)
        self._deliver([Opened(slot.key, slot.sizes, codec_strings, avatar.notices)])
        self._switch(slot)

    def _switch(self, slot: Slot) -> None:
        """Have the slot show the avatar that is wanted, if one is, or say why it cannot.

        Another slot shall neither show the former one nor say that again, so it is noted at once.
        """
        key, slot.wanted = slot.wanted, None
        if key is None:
            return
        error = attempt(lambda: self._show(slot, key))
        refusal = [] if error is None else [Unswitched(slot.key, told(error, self._engine.spec.name, "avatar"))]
        if results := [*refusal, *(self._note(slot, ()) if slot.work.resumable else ())]:
            self._deliver(results)

    def _show(self, slot: Slot, key: AvatarKey) -> None:
        """Show another avatar; the encoders bring its frames to their size."""
        avatar = self._shelf.find(key)
        if avatar is None:
            msg = "the avatar is not prepared on this engine yet; try again"
            raise UnavailableError("AVATAR_NOT_READY", msg)
        slot.check_shape(avatar)
        slot.state = self._engine.switch(slot.state, avatar)
        slot.avatar, slot.switched, slot.owes_keyframe = avatar, key, True

    def _candidates(self, now: float) -> Iterator[Candidate]:
        for slot in self._slots.values():
            yield from slot.candidates(now)

    def _skip(self, now: float) -> list[Result]:
        """Let the ticks pass that no frame is to be made for."""
        results: list[Result] = []
        for slot in [*self._slots.values()]:
            for reason in slot.to_skip(now):
                results += self._skip_tick(slot, reason, now)
                if not self._is_open(slot):
                    break
        return results

    def _skip_tick(self, slot: Slot, reason: SkipReason, now: float) -> list[Result]:
        """Let one tick pass: speech goes on unseen, so that it stays in time with its sound."""
        assert slot.ticks is not None, "only ticks are skipped"
        tick = slot.ticks.advance()
        slot.owes_keyframe = True
        results: list[Result] = []
        if reason is not SkipReason.PAUSED and slot.ticks.note_skipped(tick):
            results.append(Degraded(slot.key, reason))
        if not slot.rows and slot.track.flows(now):
            results += self._move([slot], now)
        if slot.rows:
            row = slot.rows.popleft()
            results.append(Rendered(slot.key, row.segment, row.index, (), row.kind, tick))
        return results

    def _step(self, batch: Sequence[Candidate], now: float) -> list[Result]:
        """Turn audio into motion where it is not yet, then motion into frames, then frames into access units."""
        slots = [self._slots[candidate.slot] for candidate in batch]
        results: list[Result] = self._move([slot for slot in slots if not slot.rows], now)
        taken = [(slot, slot.rows.popleft()) for slot in slots if slot.rows]
        told = [slot for slot, _ in taken if slot.halve(halving=self._halving)]
        results += [Halved(slot.key, halved=slot.halved is True) for slot in told]
        drawn = [(slot, row) for slot, row in taken if not slot.rests]
        results += [slot.leave_out(row) for slot, row in taken if slot.rests]
        steps = [slot.render_step(row) for slot, row in drawn]
        for (slot, row), frame in zip(drawn, in_batch(self._engine.render, steps), strict=True):
            results += self._encode(slot, row, frame)
        return results

    def _move(self, slots: Sequence[Slot], now: float) -> list[Result]:
        """Give each slot the motion of its next hop; return what is to be said of that."""
        hops = [slot.take(now) for slot in slots]
        steps = [slot.step(hop) for slot, hop in zip(slots, hops, strict=True)]
        results: list[Result] = []
        for slot, hop, motion in zip(slots, hops, in_batch(self._engine.motion, steps), strict=True):
            if isinstance(motion, Exception):
                results += self._fail(slot, motion)
            elif len(motion) != hop.frames or not np.isfinite(motion).all():
                results += self._fail(slot, ArithmeticError(f"{hop.frames} frames became motion {motion!r}"))
            else:
                kind = self._kind(slot, hop)
                rows = [
                    Row(hop.segment, hop.first_frame + i, hop.deadlines[i], motion[i], kind) for i in range(hop.frames)
                ]
                slot.rows.extend(rows)
                if slot.work.resumable:
                    results += self._note(slot, tuple(rows))
        return results

    def _note(self, slot: Slot, rows: tuple[Row, ...]) -> list[Result]:
        """Say what another slot could go on from."""
        snapshot = attempt(slot.snapshot)
        return self._fail(slot, snapshot) if isinstance(snapshot, Exception) else [Moved(slot.key, rows, snapshot)]

    def _kind(self, slot: Slot, hop: Hop) -> FrameKind:
        if hop.segment is not None:
            return FrameKind.SPEECH
        return FrameKind.IDLE if self._engine.at_rest(slot.state) else FrameKind.TRANSITION

    def _encode(self, slot: Slot, row: Row, frame: Frame | Exception) -> list[Result]:
        """Encode one frame in every format."""
        if not self._is_open(slot):
            return []  # an earlier frame of this batch was its last
        if isinstance(frame, Exception):
            return self._fail(slot, frame)
        units = attempt(lambda: slot.encode(row, frame))
        if isinstance(units, Exception):
            return self._fail(slot, units)
        tick = 0 if slot.ticks is None else slot.ticks.advance()
        return [Rendered(slot.key, row.segment, row.index, units, row.kind, tick)]

    def _is_open(self, slot: Slot) -> bool:
        return self._slots.get(slot.key.index) is slot

    def _fail(self, slot: Slot, error: BaseException) -> list[Result]:
        """Drop the slot, and say why."""
        del self._slots[slot.key.index]
        return [Failed(slot.key, told(error, self._engine.spec.name, "session"))]


def _restored(state: bytes) -> State:
    """Return the engine's state out of a snapshot, which a worker of this service made."""
    return pickle.loads(state)  # noqa: S301 - it was in no other hands than ours

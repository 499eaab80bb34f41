"""Owns one worker: an engine with the slots placed on it. Knows no thread, process or clock: a carrier drives it.

schedule -> step -> deliver
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from avatar_service.codec.base import Encoder
from avatar_service.codec.registry import open_encoder
from avatar_service.engine.base import Avatar, Engine, Motion, MotionStep, RenderStep, State
from avatar_service.errors import AvatarError, InternalError, ResourceExhaustedError
from avatar_service.frame import Frame, PixelFormat
from avatar_service.pool.messages import (
    Acknowledge,
    Close,
    Command,
    Cut,
    End,
    Failed,
    Feed,
    Open,
    Opened,
    Rendered,
    Result,
    SlotKey,
    Work,
)
from avatar_service.pool.scheduler import Candidate, schedule
from avatar_service.pool.track import Hop, Track

_log = logging.getLogger(__name__)
_RETRY_MEMORY_S: Final = 5.0
_S = TypeVar("_S")
_R = TypeVar("_R")
_D = TypeVar("_D", bound=np.generic)


@dataclass(frozen=True, slots=True)
class _Row:
    """A frame whose motion is known."""

    segment: int
    index: int
    deadline: float
    motion: Motion


@dataclass(slots=True)
class _Slot:
    """One session in this worker."""

    key: SlotKey
    work: Work
    track: Track
    avatar: Avatar | None = None
    state: State = None
    encoders: tuple[Encoder, ...] = ()
    pixel_format: PixelFormat = PixelFormat.RGB
    """What all its encoders can take."""
    rows: deque[_Row] = field(default_factory=deque)
    unread: deque[int] = field(default_factory=deque)
    """Bytes of each frame that was rendered and not yet acknowledged."""

    def candidates(self) -> Iterator[Candidate]:
        """Yield the frames that could be made now, as far as the reader's window allows."""
        credit = self.work.window_frames - len(self.unread)
        if self.avatar is None or credit <= 0 or sum(self.unread) >= self.work.window_bytes:
            return
        if self.unread and self.unread[-1] * credit > self.work.window_bytes:
            credit = 1  # frames are large: one at a time
        for ahead, row in zip(range(credit), self.rows, strict=False):
            yield Candidate(row.deadline, self.key.index, ahead)
        if not self.rows and (deadline := self.track.deadline) is not None:
            yield Candidate(deadline, self.key.index, 0)


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
        prepare: Callable[[SlotKey, Work], None],
        deliver: Callable[[list[Result]], None],
    ) -> None:
        self._engine = engine
        self._prepare = prepare
        self._deliver = deliver
        self._slots: dict[int, _Slot] = {}

    def __repr__(self) -> str:
        return f"<Worker {self._engine.spec.name} with {len(self._slots)} slots>"

    def work(self) -> bool:
        """Make one micro-batch of frames; return whether there was anything to make."""
        batch = schedule(self._candidates(), self._engine.spec.max_batch)
        if not batch:
            return False
        self._deliver(self._step(batch))
        return True

    def receive(self, command: Command) -> None:
        """Take one command. Commands for a slot's earlier user are dropped."""
        if isinstance(command, Open):
            self._open(command)
            return
        slot = self._slots.get(command.key.index)
        if slot is None or slot.key != command.key:
            return
        match command:
            case Feed():
                slot.track.feed(command.segment, command.samples, command.arrived)
            case End():
                slot.track.end(command.segment, command.arrived)
            case Cut():
                slot.track.cut(command.segments)
                slot.rows = deque(row for row in slot.rows if row.segment not in command.segments)
            case Acknowledge():
                for _ in range(command.frames):
                    slot.unread.popleft()
            case Close():
                del self._slots[command.key.index]

    def prepared(self, key: SlotKey, future: Future[Avatar]) -> None:
        """Take the avatar that ``prepare`` made, or the reason why it could not."""
        slot = self._slots.get(key.index)
        if slot is None or slot.key != key:
            return
        error = future.exception() or _attempt(lambda: self._furnish(slot, future.result()))
        if error is not None:
            self._deliver(self._fail(slot, error))

    def _open(self, command: Open) -> None:
        spec = self._engine.spec.under(command.work.parameters.preset)
        track = Track(spec, spec.hop_within(command.work.chunk_duration_s))
        self._slots[command.key.index] = _Slot(command.key, command.work, track)
        self._prepare(command.key, command.work)

    def _furnish(self, slot: _Slot, avatar: Avatar) -> None:
        """Open the slot's encoders and engine state, and say so."""
        fps = self._engine.spec.fps
        slot.encoders = tuple(open_encoder(video, avatar.frame_size, fps) for video in slot.work.video)
        slot.pixel_format = _common_format(slot.encoders)
        slot.state = self._engine.open(avatar, slot.work.parameters)
        slot.avatar = avatar
        sizes = tuple(video.size_for(avatar.frame_size) for video in slot.work.video)
        codec_strings = tuple(encoder.codec_string for encoder in slot.encoders)
        self._deliver([Opened(slot.key, sizes, codec_strings, avatar.notices)])

    def _candidates(self) -> Iterator[Candidate]:
        for slot in self._slots.values():
            yield from slot.candidates()

    def _step(self, batch: Sequence[Candidate]) -> list[Result]:
        """Turn audio into motion where it is not yet, then motion into frames, then frames into access units."""
        slots = [self._slots[candidate.slot] for candidate in batch]
        results: list[Result] = self._move([slot for slot in slots if not slot.rows])
        drawable = [slot for slot in slots if slot.rows]
        rows = [slot.rows.popleft() for slot in drawable]
        steps = [
            RenderStep(_avatar(slot), row.motion, slot.pixel_format) for slot, row in zip(drawable, rows, strict=True)
        ]
        for slot, row, frame in zip(drawable, rows, _batched(self._engine.render, steps), strict=True):
            results += self._encode(slot, row, frame)
        return results

    def _move(self, slots: Sequence[_Slot]) -> list[Result]:
        """Give each slot the motion of its next hop; return the failures."""
        hops = [slot.track.take() for slot in slots]
        steps = [_motion_step(slot, hop) for slot, hop in zip(slots, hops, strict=True)]
        failures: list[Result] = []
        for slot, hop, motion in zip(slots, hops, _batched(self._engine.motion, steps), strict=True):
            if isinstance(motion, Exception):
                failures += self._fail(slot, motion)
            elif len(motion) != hop.frames or not np.isfinite(motion).all():
                failures += self._fail(slot, ArithmeticError(f"{hop.frames} frames became motion {motion!r}"))
            else:
                slot.rows.extend(
                    _Row(hop.segment, hop.first_frame + i, hop.deadlines[i], motion[i]) for i in range(hop.frames)
                )
        return failures

    def _encode(self, slot: _Slot, row: _Row, frame: Frame | Exception) -> list[Result]:
        """Encode one frame in every format. A segment starts with a keyframe, so that a cut before it costs nothing."""
        if self._slots.get(slot.key.index) is not slot:
            return []  # an earlier frame of this batch was its last
        if isinstance(frame, Exception):
            return self._fail(slot, frame)
        units = _attempt(lambda: tuple(encoder.encode(frame, keyframe=row.index == 0) for encoder in slot.encoders))
        if isinstance(units, Exception):
            return self._fail(slot, units)
        slot.unread.append(sum(len(unit.content) for unit in units))
        return [Rendered(slot.key, row.segment, row.index, units)]

    def _fail(self, slot: _Slot, error: BaseException) -> list[Result]:
        """Drop the slot, and say why."""
        del self._slots[slot.key.index]
        if isinstance(error, AvatarError):
            return [Failed(slot.key, error)]
        _log.error("%s: a session was lost", self._engine.spec.name, exc_info=error)
        if isinstance(error, MemoryError):
            text = "there is not enough memory for this session; try again later, or with a smaller portrait"
            return [Failed(slot.key, ResourceExhaustedError("OUT_OF_MEMORY", text, retry_after_s=_RETRY_MEMORY_S))]
        text = "the engine failed on this session; others are not affected"
        return [Failed(slot.key, InternalError("ENGINE_FAILED", text))]


def _avatar(slot: _Slot) -> Avatar:
    assert slot.avatar is not None, "only furnished slots are candidates"
    return slot.avatar


def _common_format(encoders: Sequence[Encoder]) -> PixelFormat:
    """Return I420 if that suits all encoders, else RGB, which each can take."""
    formats = {encoder.pixel_format for encoder in encoders}
    return PixelFormat.I420 if formats == {PixelFormat.I420} else PixelFormat.RGB


def _motion_step(slot: _Slot, hop: Hop) -> MotionStep:
    return MotionStep(slot.state, hop.window, hop.frames, hop.first_frame, hop.remaining)


def _batched(call: Callable[[Sequence[_S]], list[NDArray[_D]]], steps: Sequence[_S]) -> list[NDArray[_D] | Exception]:
    """Call the engine once for all steps; if that fails, once for each, so that only the guilty one is lost."""
    if not steps:
        return []
    outcome = _attempt(lambda: call(steps))
    if not isinstance(outcome, Exception):
        assert len(outcome) == len(steps), "length in = length out"
        return [*outcome]
    if len(steps) == 1:
        return [outcome]
    return [_attempt(partial(_alone, call, step)) for step in steps]


def _alone(call: Callable[[Sequence[_S]], list[NDArray[_D]]], step: _S) -> NDArray[_D]:
    return call([step])[0]


def _attempt(call: Callable[[], _R]) -> _R | Exception:
    """Return what ``call`` returns or raises: an engine or encoder may fail in any way, at its own session's cost."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - the one place where a stranger's code meets everybody's loop
        return error

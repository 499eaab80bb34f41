"""Owns how clips of 50 frames become an endless stream of motion: hop by hop, without seams. Knows no tensor library.

A clip is the hop, the look-ahead and padding; only the hop's rows are shown, and the rows of the look-ahead are where
the next clip fades in. Everything is indexed by the frame's place in its segment, so it does not matter how audio came.

A step is taken in two halves with the generator between them, so that many sessions share one call of it:
``begin`` says what clip is needed, ``finish`` takes it. The state is changed by ``commit`` alone: until then nothing
has happened.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from avatar_service.engine.base import Motion, MotionStep
from avatar_service.engine.imtalker.gate import shown
from avatar_service.engine.imtalker.memory import Memory, Rows, StreamState, Terms
from avatar_service.engine.imtalker.noise import frame_noise
from avatar_service.engine.imtalker.sound import FRAME, Loudness, Window, hear, unbroken

CLIP: Final = 50
"""Rows that the generator makes at a time."""
FADE: Final = 5
"""Rows over which speech fades into idling, and idling into speech."""
IDLE: Final = CLIP - 2 * FADE
"""Rows of a clip that are shown while idling."""
_IDLING: Final = 0
"""The track that idle frames are numbered in; segments have theirs from 1."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A step that is under way.

    Attributes:
        state: of the session; unchanged so far.
        step: what is to be done; its sound is not broken.
        memory: what will be remembered.
        window: what is heard; ``None`` while there is no sound.
        pose: the head's course over a clip, ``[CLIP, 3]``, if it was told one.
        gaze: the eyes', ``[CLIP, 2]``.
        needs_clip: whether motion must be generated; idle frames mostly have been already.
    """

    state: StreamState
    step: MotionStep
    memory: Memory
    window: Window | None
    pose: Rows | None
    gaze: Rows | None
    needs_clip: bool

    @property
    def terms(self) -> Terms:
        """How its motion is generated."""
        return self.state.terms

    def noise(self) -> Rows:
        """Return the noise of its clip, ``[CLIP, 32]``."""
        if self.window is None:
            return frame_noise(self.terms.seed, _IDLING, self.memory.idled, CLIP)
        return frame_noise(self.terms.seed, self.memory.segments, self.step.first_frame, CLIP)

    def clip_of(self, heard: Rows) -> Rows:
        """Return the part ``[CLIP, 32]`` of what was heard, ``[n, 32]``, that its clip is made for.

        The rest of a clip is filled with the last row, as in the reference. What lies beyond a clip was heard, but gets
        no motion yet.
        """
        assert self.window is not None, "nothing is heard while idling"
        rows = heard[self.window.past : self.window.past + CLIP]
        return np.concatenate([rows, np.repeat(rows[-1:], CLIP - len(rows), axis=0)])

    def finish(self, clip: Rows, condition: Rows) -> Motion:
        """Return the step's rows as they are shown, ``[frames, 32]``.

        Args:
            clip: ``[CLIP, 32]`` as generated; empty if none was needed.
            condition: ``[CLIP, 32]`` that it was generated with; likewise.
        """
        memory = self.memory
        if len(clip):
            clip = faded(memory.ahead[: memory.seam], clip)
        if self.window is None:
            return self._idle(clip, condition)
        frames = self.step.frames
        raw, look_ahead = clip[:frames], self.terms.look_ahead
        kept = slice(frames, frames + max(look_ahead, FADE))
        memory.ahead, memory.ahead_condition = clip[kept], condition[kept]
        memory.seam, memory.idle = look_ahead, 0
        memory.show(raw, condition[:frames])
        remaining = -(-self.step.remaining // FRAME)
        context = self.step.window.size - frames * FRAME - look_ahead * FRAME
        sounds = (self.step.window[context + i * FRAME :] for i in range(frames))
        opened = [memory.gate.listen(sound, remaining - i) for i, sound in enumerate(sounds)]
        return self._shown(raw, opened)

    def _idle(self, clip: Rows, condition: Rows) -> Motion:
        memory = self.memory
        if len(clip):
            memory.ahead, memory.ahead_condition = clip, condition
            memory.idle = IDLE
            memory.idled += IDLE
        raw, said = memory.ahead[:1], memory.ahead_condition[:1]
        memory.ahead, memory.ahead_condition = memory.ahead[1:], memory.ahead_condition[1:]
        memory.idle -= 1
        memory.show(raw, said)
        return self._shown(raw, [memory.gate.rest(cut=self.step.cut)])

    def _shown(self, raw: Rows, opened: list[float]) -> Motion:
        """Draw the motion towards the reference by how much of it is to be shown."""
        lively = self.memory.manner.advance(len(raw))
        shares = np.array([shown(*pair) for pair in zip(opened, lively, strict=True)], np.float32)
        reference = self.terms.reference
        return reference + np.float32(self.terms.motion_scale) * shares[:, None] * (raw - reference)

    def commit(self) -> None:
        """Let it have happened."""
        self.state.memory = self.memory


def begin(state: StreamState, step: MotionStep, context: int) -> Draft:
    """Return what a step needs; the state stays as it is.

    Args:
        state: of the session.
        step: the next one.
        context: samples that a window shows before the hop.
    """
    memory = deepcopy(state.memory)
    if step.controls is not None:
        memory.manner.follow(step.controls)
    if step.idle:
        memory.seam = FADE
        if step.controls is not None and (step.controls.pose or step.controls.gaze):
            memory.idle = 0  # what was generated ahead knows nothing of it
        pose, gaze = memory.manner.course(CLIP)
        return Draft(state, step, memory, None, pose, gaze, needs_clip=memory.idle == 0)
    step = replace(step, window=unbroken(step.window))
    if step.first_frame == 0:
        memory.segments += 1
        memory.loudness = Loudness()
        memory.gate.renew()
        memory.seam = FADE
    window = hear(step, context, memory.loudness)
    pose, gaze = memory.manner.course(CLIP)
    return Draft(state, step, memory, window, pose, gaze, needs_clip=True)


def faded(before: Rows, after: Rows) -> Rows:
    """Return the rows ``after``, which come in gradually over the rows ``before`` of the same frames.

    The weights are those of the frames' middles, so that where one fade ends and the next begins nothing is quicker.
    """
    count = min(len(before), len(after))
    weight = ((np.arange(count, dtype=np.float32) + np.float32(0.5)) / np.float32(max(count, 1)))[:, None]
    return np.concatenate([(1 - weight) * before[:count] + weight * after[:count], after[count:]])

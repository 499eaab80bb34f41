"""Owns one session's motion: sound and idling become motion rows, one frame after the other.

Every frame sees only its own part of the window and the state left by the frame before, so rows do not depend on
how frames are grouped into steps. Must never know of pictures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from avatar_service.engine.base import Motion, MotionStep, Parameters, Samples
from avatar_service.engine.portrait.idle import Bearing, Idle
from avatar_service.engine.portrait.manner import POSE_LIMIT, Look, Manner, clamped
from avatar_service.engine.portrait.rig import WIDTH, Column
from avatar_service.engine.portrait.voice import FRAME, LOOK_AHEADS, Articulation, Voice
from avatar_service.plain import Plain

POSE_KNEE: Final = 0.7
"""Share of a limit up to which a pose is taken as it is; beyond, it slows down instead of hitting the limit."""
SWIFTEST: Final = 0.4
"""Most that a lip column changes in one frame: after an interruption, too, lips move and do not jump."""
CALM: Final = 0.2
"""The same where speech that waits for its audio comes to rest, and in the frames in which it goes on."""
CALM_FRAMES: Final = 4
SHUTTING: Final = 0.5
"""The same after speech was cut off: lips are shut two frames later, however wide they were open."""
ONSET: Final = 0.25
"""The same for how much the face is a speaker's."""
EASE: Final = 2 * FRAME
"""Samples over which the lips close before the end of a segment; they are closed in its last frame."""
IDLE_REST: Final = 0.15
"""How much of its own opening a smiling portrait keeps while it is silent."""
LEAST: Final = 1e-3
"""Lip columns below this are zero: lips that rest do not creep."""
LIPS: Final = slice(Column.OPEN, Column.SMILE + 1)
_SHUT: Final = Articulation()


@dataclass(slots=True)
class MotionState(Plain):
    """One session's memory.

    Attributes:
        idle: how the head moves by itself; lives as long as the session.
        manner: how it was told to look.
        voice: what is remembered of the segment's sound.
        lips: the last frame's lip columns: they move on from there, whatever the sound does.
        tongue: the last frame's.
        speaking: how much the last frame's face was a speaker's, 0-1.
        calm: frames for which the lips move on calmly, after they waited for sound.
    """

    idle: Idle
    manner: Manner
    voice: Voice
    lips: list[float] = field(default_factory=lambda: [0.0] * LIPS.stop)
    tongue: float = 0.0
    speaking: float = 0.0
    calm: int = 0

    @property
    def at_rest(self) -> bool:
        """Whether the lips have come to rest."""
        return not any(self.lips)

    def advance(self, step: MotionStep) -> Motion:
        """Return the step's rows ``[frames, WIDTH]``."""
        if step.controls is not None:
            self.manner.follow(step.controls)
        if step.idle:
            return np.array([self._idle_row(SHUTTING if step.cut else CALM)], np.float32)
        if step.first_frame == 0:
            self.voice, self.calm = Voice(self.voice.look_ahead), 0
        rows = np.zeros((step.frames, WIDTH), np.float32)
        for number in range(step.frames):
            start = number * FRAME
            sound = step.window[start : start + FRAME + self.voice.look_ahead]
            rows[number] = self._row(sound, step.remaining - start)
        return rows

    def _row(self, sound: Samples, remaining: int) -> list[float]:
        said = self.voice.articulate(_unbroken(sound))
        easing = min(max((remaining - FRAME) / EASE, 0.0), 1.0)
        swiftest = SWIFTEST
        if self.calm:
            self.calm -= 1
            swiftest = CALM
        self.tongue = said.tongue
        return self._moved_on(said, swiftest, easing)

    def _idle_row(self, swiftest: float) -> list[float]:
        """Return the row of a frame without sound: nothing is heard, and the voice stays as it is."""
        self.calm = CALM_FRAMES
        self.tongue = _moved(self.tongue, 0.0, swiftest)
        return self._moved_on(_SHUT, swiftest)

    def _moved_on(self, said: Articulation, swiftest: float, easing: float = 1.0) -> list[float]:
        self.manner.advance()
        self.speaking += min(max(said.speaking - self.speaking, -ONSET), ONSET)
        self.idle.amount = self.manner.liveliness
        bearing = self.idle.advance(self.speaking, said.loudness)
        aims = _lip_columns(said)
        self.lips = [easing * _moved(last, aim, swiftest) for last, aim in zip(self.lips, aims, strict=True)]
        self.lips = [column if column >= LEAST else 0.0 for column in self.lips]
        row = [0.0] * WIDTH
        row[LIPS] = self.lips
        row[Column.REST] = IDLE_REST * (1 - self.speaking)
        row[Column.TONGUE] = self.tongue
        self._place_head(row, bearing)
        _show(row, self.manner.face)
        return row

    def _place_head(self, row: list[float], bearing: Bearing) -> None:
        pose = bearing.pose
        (pitch, yaw, roll), (gaze_x, gaze_y) = self.manner.pose, self.manner.gaze
        angles = (pose.pitch + pitch, pose.yaw + yaw, pose.roll + roll)
        row[Column.PITCH], row[Column.YAW], row[Column.ROLL] = map(_slowed, angles, POSE_LIMIT)
        row[Column.X], row[Column.Y] = pose.x, pose.y
        row[Column.BLINK] = bearing.blink
        row[Column.GAZE_X], row[Column.GAZE_Y] = clamped((bearing.gaze[0] + gaze_x, bearing.gaze[1] + gaze_y), (1, 1))
        row[Column.BROW_LEFT] = row[Column.BROW_RIGHT] = bearing.brow


def open_motion(parameters: Parameters) -> MotionState:
    """Return the fresh state of a session; styles beyond what looks good are clamped."""
    idle = Idle(np.random.default_rng(parameters.seed), parameters.head_motion)
    return MotionState(idle, Manner.of(parameters), Voice(LOOK_AHEADS[parameters.preset]))


def _show(row: list[float], look: Look) -> None:
    """Add what an emotion shows, as far as the face goes."""
    row[Column.OPEN] = min(row[Column.OPEN] + look.open, 1.0)
    row[Column.PRESS] += look.press
    row[Column.SMILE] += look.smile
    brow = min(row[Column.BROW_LEFT] + look.brow, 1.0)
    row[Column.BROW_LEFT] = row[Column.BROW_RIGHT] = brow
    row[Column.BLINK] += look.lids * (1 - row[Column.BLINK])


def _slowed(value: float, limit: float) -> float:
    knee = POSE_KNEE * limit
    beyond = abs(value) - knee
    if beyond <= 0:
        return value
    return math.copysign(knee + (limit - knee) * math.tanh(beyond / (limit - knee)), value)


def _lip_columns(said: Articulation) -> list[float]:
    columns = [0.0] * LIPS.stop
    columns[Column.OPEN], columns[Column.ROUND], columns[Column.WIDE] = said.open, said.round, said.wide
    columns[Column.CLOSE], columns[Column.FV] = said.close, said.fv
    columns[Column.UPLIP], columns[Column.LOLIP] = said.uplip, said.lolip
    return columns


def _moved(last: float, aim: float, swiftest: float) -> float:
    return last + min(max(aim - last, -swiftest), swiftest)


def _unbroken(sound: Samples) -> Samples:
    """Return the samples within full scale; a broken one must neither spread nor stay in what is remembered."""
    clipped = np.clip(sound, -1, 1)
    return np.nan_to_num(clipped) if np.isnan(clipped).any() else clipped

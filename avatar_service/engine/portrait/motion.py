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
from avatar_service.engine.portrait.rig import WIDTH, Column
from avatar_service.engine.portrait.voice import FRAME, LOOK_AHEADS, Articulation, Voice

POSE_LIMIT: Final = (0.16, 0.21, 0.10)
"""Largest pitch, yaw and roll in radians: farther, a flat picture stops looking like a head."""
POSE_KNEE: Final = 0.7
"""Share of a limit up to which a pose is taken as it is; beyond, it slows down instead of hitting the limit."""
GAZE_LIMIT: Final = 0.5
"""Radians of ``gaze_style`` that turn the eyes fully."""
SWIFTEST: Final = 0.4
"""Most that a lip column changes in one frame: after an interruption, too, lips move and do not jump."""
ONSET: Final = 0.25
"""The same for how much the face is a speaker's."""
EASE: Final = 2 * FRAME
"""Samples over which the lips close before the end of a segment; they are closed in its last frame."""
IDLE_REST: Final = 0.15
"""How much of its own opening a smiling portrait keeps while it is silent."""
LEAST: Final = 1e-3
"""Lip columns below this are zero: lips that rest do not creep."""
LIPS: Final = slice(Column.OPEN, Column.SMILE + 1)


@dataclass(slots=True)
class MotionState:
    """One session's memory.

    Attributes:
        idle: how the head moves by itself; lives as long as the session.
        style: offsets of pitch, yaw, roll (radians) and of the gaze (-1 to 1).
        voice: what is remembered of the segment's sound.
        lips: the last frame's lip columns: they move on from there, whatever the sound does.
        speaking: how much the last frame's face was a speaker's, 0-1.
    """

    idle: Idle
    style: tuple[float, float, float, float, float]
    voice: Voice
    lips: list[float] = field(default_factory=lambda: [0.0] * LIPS.stop)
    speaking: float = 0.0

    def advance(self, step: MotionStep) -> Motion:
        """Return the step's rows ``[frames, WIDTH]``."""
        if step.first_frame == 0:
            self.voice = Voice(self.voice.look_ahead)
        rows = np.zeros((step.frames, WIDTH), np.float32)
        for number in range(step.frames):
            start = number * FRAME
            sound = step.window[start : start + FRAME + self.voice.look_ahead]
            rows[number] = self._row(sound, step.remaining - start)
        return rows

    def _row(self, sound: Samples, remaining: int) -> list[float]:
        said = self.voice.articulate(_unbroken(sound))
        self.speaking += min(max(said.speaking - self.speaking, -ONSET), ONSET)
        bearing = self.idle.advance(self.speaking, said.loudness)
        easing = min(max((remaining - FRAME) / EASE, 0.0), 1.0)
        self.lips = [_moved(last, aim, easing) for last, aim in zip(self.lips, _lip_columns(said), strict=True)]
        row = [0.0] * WIDTH
        row[LIPS] = self.lips
        row[Column.REST] = IDLE_REST * (1 - self.speaking)
        row[Column.TONGUE] = said.tongue
        self._place_head(row, bearing)
        return row

    def _place_head(self, row: list[float], bearing: Bearing) -> None:
        pitch, yaw, roll, gaze_x, gaze_y = self.style
        pose = bearing.pose
        angles = (pose.pitch + pitch, pose.yaw + yaw, pose.roll + roll)
        row[Column.PITCH], row[Column.YAW], row[Column.ROLL] = map(_slowed, angles, POSE_LIMIT)
        row[Column.X], row[Column.Y] = pose.x, pose.y
        row[Column.BLINK] = bearing.blink
        row[Column.GAZE_X], row[Column.GAZE_Y] = _clamped((bearing.gaze[0] + gaze_x, bearing.gaze[1] + gaze_y), (1, 1))
        row[Column.BROW_LEFT] = row[Column.BROW_RIGHT] = bearing.brow


def open_motion(parameters: Parameters) -> MotionState:
    """Return the fresh state of a session; styles beyond what looks good are clamped."""
    pitch, yaw, roll = _clamped(parameters.pose_style, POSE_LIMIT)
    gaze_x, gaze_y = _clamped(parameters.gaze_style, (GAZE_LIMIT, GAZE_LIMIT))
    style = (pitch, yaw, roll, gaze_x / GAZE_LIMIT, gaze_y / GAZE_LIMIT)
    idle = Idle(np.random.default_rng(parameters.seed), parameters.head_motion)
    return MotionState(idle, style, Voice(LOOK_AHEADS[parameters.preset]))


def _slowed(value: float, limit: float) -> float:
    knee = POSE_KNEE * limit
    beyond = abs(value) - knee
    if beyond <= 0:
        return value
    return math.copysign(knee + (limit - knee) * math.tanh(beyond / (limit - knee)), value)


def _clamped(values: tuple[float, ...], limits: tuple[float, ...]) -> list[float]:
    return [min(max(value, -limit), limit) for value, limit in zip(values, limits, strict=True)]


def _lip_columns(said: Articulation) -> list[float]:
    columns = [0.0] * LIPS.stop
    columns[Column.OPEN], columns[Column.ROUND], columns[Column.WIDE] = said.open, said.round, said.wide
    columns[Column.CLOSE], columns[Column.FV] = said.close, said.fv
    columns[Column.UPLIP], columns[Column.LOLIP] = said.uplip, said.lolip
    return columns


def _moved(last: float, aim: float, easing: float) -> float:
    moved = easing * (last + min(max(aim - last, -SWIFTEST), SWIFTEST))
    return moved if moved >= LEAST else 0.0


def _unbroken(sound: Samples) -> Samples:
    """Return the samples within full scale; a broken one must neither spread nor stay in what is remembered."""
    clipped = np.clip(sound, -1, 1)
    return np.nan_to_num(clipped) if np.isnan(clipped).any() else clipped

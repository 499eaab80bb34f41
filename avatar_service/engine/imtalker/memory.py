"""Owns what is remembered of one session between its steps: less than 64 KB, on the host, picklable. Computes nothing.

Audio is not in it: the worker keeps that, and shows it again in every step's window.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from avatar_service.engine.base import Controls, Parameters, Preset
from avatar_service.engine.imtalker.gate import Gate
from avatar_service.engine.imtalker.noise import WIDTH
from avatar_service.engine.imtalker.sound import Loudness
from avatar_service.engine.portrait.manner import Eased, clamped

Rows: TypeAlias = NDArray[np.float32]
"""Rows of motion or of conditions: ``[n, 32]`` float32."""

CONTEXT: Final = 10
"""Rows before a clip that the generator is shown."""
NFE: Final = {Preset.LOWEST_LATENCY: 5, Preset.BEST_QUALITY: 15}
"""Function evaluations of the presets that differ, for sessions that ask for no number of their own."""
POSE_LIMIT: Final = (0.35, 0.5, 0.35)
"""Largest pitch, yaw and roll in radians: farther, few talking heads of any training set go."""
GAZE_LIMIT: Final = (0.5, 0.5)
TURN_FRAMES: Final = 12
LOOK_FRAMES: Final = 3


@dataclass(frozen=True, slots=True)
class Terms:
    """How a session's motion is generated; never changes.

    Attributes:
        reference: the portrait's own motion ``[32]``.
        seed: of its noise.
        nfe: points of the Euler grid.
        cfg_scale: guidance.
        look_ahead: frames that are seen beyond a hop.
        motion_scale: by how much motion is scaled about the reference.
        adapter: name of the low-rank adapter; empty for none.
    """

    reference: Rows
    seed: int = 42
    nfe: int = 10
    cfg_scale: float = 2.0
    look_ahead: int = 5
    motion_scale: float = 1.0
    adapter: str = ""


class Manner:
    """How a session was told to hold its head and eyes; what it was never told is left to the model.

    Args:
        parameters: how it begins.
    """

    def __init__(self, parameters: Parameters) -> None:
        self._pose = Eased(clamped(parameters.pose_style, POSE_LIMIT), TURN_FRAMES)
        self._gaze = Eased(clamped(parameters.gaze_style, GAZE_LIMIT), LOOK_FRAMES)
        self._liveliness = Eased((parameters.head_motion,), TURN_FRAMES)
        self._posed, self._gazes = any(parameters.pose_style), any(parameters.gaze_style)

    @property
    def liveliness(self) -> float:
        """How much the head moves by itself, 0-2."""
        return self._liveliness.now[0]

    def follow(self, controls: Controls) -> None:
        """Begin to do as one is told. Emotions are not: the model knows none."""
        if controls.pose is not None:
            self._pose.aim(clamped(controls.pose, POSE_LIMIT))
            self._posed = True
        if controls.gaze is not None:
            self._gaze.aim(clamped(controls.gaze, GAZE_LIMIT))
            self._gazes = True
        if controls.head_motion is not None:
            self._liveliness.aim((controls.head_motion,))

    def course(self, frames: int) -> tuple[Rows | None, Rows | None]:
        """Return the pose ``[frames, 3]`` and gaze ``[frames, 2]`` of the next frames as the model knows them.

        The model learned poses as rotation vectors of a head that looks at the camera, as SMIRK says them: x to the
        right, y up, z to the camera, so that a tilt has the other sign; and gazes as L2CS says them, left and up.
        """
        pose, gaze = _course(self._pose, frames), _course(self._gaze, frames)
        pose[:, 2] *= -1
        return pose if self._posed else None, -gaze if self._gazes else None

    def advance(self, frames: int) -> list[float]:
        """Move on by so many frames; return the liveliness in each of them."""
        said = []
        for _ in range(frames):
            for eased in (self._pose, self._gaze, self._liveliness):
                eased.advance()
            said.append(self.liveliness)
        return said


def _course(eased: Eased, frames: int) -> Rows:
    ahead = copy(eased)
    rows = np.empty((frames, len(eased.now)), np.float32)
    for row in rows:
        ahead.advance()
        row[:] = ahead.now
    return rows


def _nothing() -> Rows:
    return np.empty((0, WIDTH), np.float32)


def _silence() -> Rows:
    return np.zeros((CONTEXT, WIDTH), np.float32)


@dataclass(slots=True)
class Memory:
    """What changes from step to step.

    Attributes:
        gate: how much of the motion is shown.
        manner: pose, gaze and liveliness.
        loudness: of the segment's sound.
        motion: the last ``CONTEXT`` real rows as generated; zeros before the first, as in the reference.
        condition: the conditions they were generated with.
        ahead: rows that were generated beyond the last one shown.
        ahead_condition: the conditions of those.
        seam: over how many of them the next clip fades in.
        idle: how many of them may be shown as they are, while there is no sound.
        segments: begun so far.
        idled: frames of idling generated so far.
    """

    gate: Gate
    manner: Manner
    loudness: Loudness = field(default_factory=Loudness)
    motion: Rows = field(default_factory=_silence)
    condition: Rows = field(default_factory=_silence)
    ahead: Rows = field(default_factory=_nothing)
    ahead_condition: Rows = field(default_factory=_nothing)
    seam: int = 0
    idle: int = 0
    segments: int = 0
    idled: int = 0

    def show(self, motion: Rows, condition: Rows) -> None:
        """Remember rows that are shown now."""
        self.motion = np.concatenate([self.motion, motion])[-CONTEXT:]
        self.condition = np.concatenate([self.condition, condition])[-CONTEXT:]


@dataclass(slots=True)
class StreamState:
    """One session's state: what the engine contract calls so."""

    terms: Terms
    memory: Memory

    @property
    def at_rest(self) -> bool:
        """Whether the lips have come to rest."""
        return self.memory.gate.open == 0

"""Owns how a session was told to look: pose, gaze, liveliness and emotion, and how each eases in. Knows no sound.

What is asked for is clamped to what looks good, and reached along a smooth step: ``3 s^2 - 2 s^3``, whose speed is 0 at
both ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self, TypeAlias

from avatar_service.engine.base import Controls, Emotion, Parameters
from avatar_service.plain import Plain

POSE_LIMIT: Final = (0.16, 0.21, 0.10)
"""Largest pitch, yaw and roll in radians: farther, a flat picture stops looking like a head."""
GAZE_LIMIT: Final = 0.5
"""Radians of ``gaze_style`` that turn the eyes fully."""
TURN_FRAMES: Final = 12
"""Frames in which the head goes where it is told, and in which its liveliness changes."""
LOOK_FRAMES: Final = 3
FACE_FRAMES: Final = 8

_Values: TypeAlias = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """What an emotion adds to a face; units as in ``rig.Column``, ``brow`` and ``smile`` may be negative."""

    smile: float = 0.0
    brow: float = 0.0
    lids: float = 0.0
    press: float = 0.0
    open: float = 0.0


LOOKS: Final = {
    Emotion.NEUTRAL: Look(),
    Emotion.HAPPY: Look(smile=0.60, brow=0.15, lids=0.10),
    Emotion.SAD: Look(smile=-0.50, brow=0.20, lids=0.25),
    Emotion.SURPRISED: Look(brow=0.90, open=0.18),
    Emotion.ANGRY: Look(smile=-0.25, brow=-0.70, lids=0.15, press=0.35),
}


@dataclass(slots=True)
class Eased(Plain):
    """Numbers on their way.

    Attributes:
        now: where they are.
        frames: that a passage takes.
    """

    now: _Values
    frames: int
    _start: _Values = ()
    _aim: _Values = ()
    _left: int = 0

    def aim(self, values: _Values) -> None:
        """Be at these values in ``frames`` frames, from wherever they are."""
        self._start, self._aim, self._left = self.now, values, self.frames

    def advance(self) -> None:
        """Move on by one frame."""
        if self._left:
            self._left -= 1
            share = 1 - self._left / self.frames
            share *= share * (3 - 2 * share)
            moved = (start + share * (aim - start) for start, aim in zip(self._start, self._aim, strict=True))
            self.now = tuple(moved) if self._left else self._aim


@dataclass(slots=True)
class Manner(Plain):
    """How one session looks, as far as it was told."""

    _pose: Eased
    _gaze: Eased
    _liveliness: Eased
    _face: Eased

    @classmethod
    def of(cls, parameters: Parameters) -> Self:
        """Return how a session begins."""
        return cls(
            Eased(_pose(parameters.pose_style), TURN_FRAMES),
            Eased(_gaze(parameters.gaze_style), LOOK_FRAMES),
            Eased((parameters.head_motion,), TURN_FRAMES),
            Eased(_face(Emotion.NEUTRAL, 0.0), FACE_FRAMES),
        )

    @property
    def pose(self) -> _Values:
        """Offsets of pitch, yaw and roll in radians."""
        return self._pose.now

    @property
    def gaze(self) -> _Values:
        """Offsets of the gaze, -1 to 1."""
        return self._gaze.now

    @property
    def liveliness(self) -> float:
        """How much the head moves by itself, 0-2."""
        return self._liveliness.now[0]

    @property
    def face(self) -> Look:
        """What emotion adds."""
        return Look(*self._face.now)

    def follow(self, controls: Controls) -> None:
        """Begin to do as one is told."""
        if controls.pose is not None:
            self._pose.aim(_pose(controls.pose))
        if controls.gaze is not None:
            self._gaze.aim(_gaze(controls.gaze))
        if controls.head_motion is not None:
            self._liveliness.aim((controls.head_motion,))
        if controls.emotion is not None:
            self._face.aim(_face(*controls.emotion))

    def advance(self) -> None:
        """Move on by one frame."""
        for eased in (self._pose, self._gaze, self._liveliness, self._face):
            eased.advance()


def clamped(values: _Values, limits: _Values) -> _Values:
    """Return the values within plus and minus their limits."""
    return tuple(min(max(value, -limit), limit) for value, limit in zip(values, limits, strict=True))


def _pose(angles: _Values) -> _Values:
    return clamped(angles, POSE_LIMIT)


def _gaze(angles: _Values) -> _Values:
    return tuple(angle / GAZE_LIMIT for angle in clamped(angles, (GAZE_LIMIT, GAZE_LIMIT)))


def _face(emotion: Emotion, intensity: float) -> _Values:
    look = LOOKS[emotion]
    return tuple(intensity * share for share in (look.smile, look.brow, look.lids, look.press, look.open))

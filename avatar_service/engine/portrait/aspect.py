"""Owns how far a face is turned aside, and what it may do then. Must never look at pixels.

A portrait knows only one side of a face that is turned far aside: what it hides would have to be invented for the
head to turn farther, or for the lips to open as wide as a frontal one's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from avatar_service.engine.portrait.lips import Lips

PROFILE: Final = 0.2
"""Below this sidedness of the lips only the head and the near eye's lid move."""
TURNED: Final = 0.35
"""Below this one the lips move half as much, and the head turns no farther aside."""


@dataclass(frozen=True, slots=True)
class Aspect:
    """What one portrait's view of the face allows.

    Attributes:
        strength: by how much the motion of lips and brows is scaled, 0-1.
        yaw_sign: of the only direction the head may turn to, which is towards the viewer; 0 if any.
        gazes: whether the eyes look about.
        eyes: which eyes move at all: the right one, the left one.
    """

    strength: float = 1.0
    yaw_sign: int = 0
    gazes: bool = True
    eyes: tuple[bool, bool] = (True, True)

    @property
    def frontal(self) -> bool:
        """Whether everything is allowed."""
        return self == FRONTAL

    def turned(self, yaw: float) -> float:
        """Return the yaw, in radians, that comes nearest to ``yaw``."""
        return yaw if yaw * self.yaw_sign >= 0 else 0.0


FRONTAL: Final = Aspect()


def aspect_of(lips: Lips) -> Aspect:
    """Return the aspect of a face with these lips: the half that is turned away looks the narrower."""
    if lips.sidedness >= TURNED:
        return FRONTAL
    faces_left = lips.widths[0] < lips.widths[1]
    yaw_sign = 1 if faces_left else -1
    if lips.sidedness >= PROFILE:
        return Aspect(0.5, yaw_sign)
    # The portrait's right eye is the one on the picture's left.
    return Aspect(0.0, yaw_sign, gazes=False, eyes=(not faces_left, faces_left))

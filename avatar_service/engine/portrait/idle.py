# ruff: noqa: PLR2004 - the constants are the model: degrees, seconds and shares observed in people who listen.
"""Owns how a head moves by itself: sway, breath, blinks, gaze and emphasis. Must never look at sound samples.

It is advanced strictly frame by frame, and the random numbers come from the session's own generator, so the motion
does not depend on how frames are grouped into steps.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar_service.engine.portrait.pose import Pose

FPS: Final = 25
FRAME_S: Final = 1 / FPS
SWAY: Final = np.array([np.radians(2.4), np.radians(1.3), np.radians(1.0), 1.6, 0.8])
"""Standard deviation of yaw, pitch, roll (radians), x and y (pixels of a 512-pixel frame)."""
SWAY_KEPT: Final = np.exp(-FRAME_S / np.array([1.8, 1.4, 2.2, 2.5, 2.0]))
"""Share of each that is left after one frame; the times are in seconds."""
SWAY_STRENGTH: Final = (0.75, 1.2)
"""While idle and while speaking."""
FILTER_RATE: Final = 2 * np.pi * 0.55
"""Of the critically damped second-order filter that turns the random walk into motion of a mass, in 1/s."""
BREATH: Final = (0.7, 0.24)
"""Pixels of a 512-pixel frame, and breaths per second."""
BLINK: Final = (0.35, 0.9, 1.0, 0.8, 0.45, 0.15)
"""How far the lids are closed, frame by frame."""
FIRST_BLINK_S: Final = 1.2
FIRST_LOOK_S: Final = 0.8


@dataclass(frozen=True, slots=True)
class Bearing:
    """What one frame of idling looks like: the head, the lids (0-1), the gaze (-1 to 1) and the brows (0-1)."""

    pose: Pose
    blink: float
    gaze: tuple[float, float]
    brow: float


@dataclass(slots=True)
class Idle:
    """The state of one session's idling; about 2 KB.

    Attributes:
        random: the session's generator.
    """

    random: np.random.Generator
    _drift: NDArray[np.float64] = field(default_factory=lambda: np.zeros(5))
    _place: NDArray[np.float64] = field(default_factory=lambda: np.zeros(5))
    _speed: NDArray[np.float64] = field(default_factory=lambda: np.zeros(5))
    _frames: int = 0
    _next_blink_s: float = FIRST_BLINK_S
    _blink: deque[float] = field(default_factory=deque)
    _look: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    _gaze: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    _next_look_s: float = FIRST_LOOK_S
    _loudness: float = 0.0
    _emphasis: float = 0.0

    def advance(self, speaking: float, loudness: float) -> Bearing:
        """Move on by one frame.

        Args:
            speaking: 0-1.
            loudness: of the frame's sound, 0-1.
        """
        self._frames += 1
        now = self._frames * FRAME_S
        self._sway(speaking)
        self._emphasise(loudness)
        lids = self._blink_at(now, speaking)
        self._look_at(now)
        yaw, pitch, roll, x, y = (float(value) for value in self._place)
        size, rate = BREATH
        stress = self._emphasis * speaking
        pose = Pose(yaw, pitch + np.radians(5) * stress, roll, x, y + size * float(np.sin(2 * np.pi * rate * now)))
        # The eyes stay on the viewer while the head turns.
        gaze = self._gaze - np.degrees([0.035 * yaw, 0.03 * pitch])
        return Bearing(pose, lids, (float(gaze[0]), float(gaze[1])), min(1.0, 1.3 * stress))

    def _sway(self, speaking: float) -> None:
        """Draw an Ornstein-Uhlenbeck walk and follow it like a damped mass."""
        still, lively = SWAY_STRENGTH
        size = SWAY * (still + (lively - still) * speaking) * np.sqrt(1 - SWAY_KEPT**2)
        self._drift = SWAY_KEPT * self._drift + size * self.random.standard_normal(5)
        pull = FILTER_RATE**2 * (self._drift - self._place) - 2 * FILTER_RATE * self._speed
        self._speed = self._speed + FRAME_S * pull
        self._place = self._place + FRAME_S * self._speed

    def _emphasise(self, loudness: float) -> None:
        """Follow what is louder than the recent past."""
        self._loudness += 0.10 * (loudness - self._loudness)
        self._emphasis += 0.28 * (float(np.clip(loudness - self._loudness, 0, 1)) - self._emphasis)

    def _blink_at(self, now: float, speaking: float) -> float:
        if now >= self._next_blink_s and not self._blink:
            times = 2 if self.random.random() < 0.10 else 1
            self._blink.extend(BLINK * times)
            median = 3.2 - 0.6 * speaking
            self._next_blink_s = now + float(np.clip(self.random.lognormal(np.log(median), 0.45), 0.9, 8))
        return self._blink.popleft() if self._blink else 0.0

    def _look_at(self, now: float) -> None:
        if now >= self._next_look_s:
            away = self.random.random() < 0.45
            self._look = self.random.normal(0, (0.30, 0.15)) if away else np.zeros(2)
            self._next_look_s = now + 0.5 + float(self.random.exponential(1.4))
            jump = float(np.abs(self._look - self._gaze).max())
            if not self._blink and jump > 0.35 and self.random.random() < 0.35:
                self._blink.extend(BLINK)
        self._gaze = self._gaze + 0.7 * (self._look - self._gaze)

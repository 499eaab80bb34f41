# ruff: noqa: PLR2004 - the constants are the model: degrees, seconds and shares observed in people who talk and listen.
"""Owns how a head moves by itself: sway, breath, blinks, gaze and emphasis. Must never look at sound samples.

It is advanced strictly frame by frame, and the random numbers come from the session's own generator, so the motion
does not depend on how frames are grouped into steps. Numbers are plain floats: for so few, arrays only cost time.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from avatar_service.engine.portrait.pose import Pose
from avatar_service.plain import Plain

FPS: Final = 25
FRAME_S: Final = 1 / FPS
SWAY: Final = (math.radians(2.4), math.radians(1.3), math.radians(1.0), 1.6, 0.8)
"""Standard deviation of yaw, pitch, roll (radians), x and y (pixels of a 512-pixel frame)."""
SWAY_KEPT: Final = tuple(math.exp(-FRAME_S / seconds) for seconds in (1.8, 1.4, 2.2, 2.5, 2.0))
"""Share of each that is left after one frame."""
SWAY_STRENGTH: Final = (0.75, 1.2)
"""While idle and while speaking."""
FILTER_RATE: Final = 2 * math.pi * 0.55
"""Of the critically damped second-order filter that turns the random walk into motion of a mass, in 1/s."""
FOLLOWED: Final = (math.radians(2.5), math.radians(1.5), 0.0, 0.0, 0.0)
"""How far the head turns after a full look aside and down, in the order of ``SWAY``."""
NOD: Final = (math.radians(2.0), math.radians(5.0), math.radians(1.2))
"""Turn, nod and tilt of a full emphasis: yaw and roll at random either way, pitch down."""
BREATH: Final = (0.7, 0.24)
"""Pixels of a 512-pixel frame, and breaths per second."""
BLINK: Final = (0.35, 0.9, 1.0, 0.8, 0.45, 0.15)
"""How far the lids are closed, frame by frame."""
FIRST_BLINK_S: Final = 1.2
FIRST_LOOK_S: Final = 0.8
PASSING: Final = 0.12
"""Share of the way from silence to speech, or back, that the head's liveliness goes in a frame."""
TALKING, QUIET = 0.6, 0.3
"""From this liveliness on somebody talks; below this one they have finished."""


@dataclass(frozen=True, slots=True)
class Bearing:
    """What one frame of idling looks like: the head, the lids (0-1), the gaze (-1 to 1) and the brows (0-1)."""

    pose: Pose
    blink: float
    gaze: tuple[float, float]
    brow: float


@dataclass(slots=True)
class Idle(Plain):
    """The state of one session's idling; about 2 KB.

    Attributes:
        random: the session's generator.
        amount: by how much the head's own motion is scaled, 0-2; lids and gaze do not depend on it.
    """

    random: np.random.Generator
    amount: float = 1.0
    _drift: list[float] = field(default_factory=lambda: [0.0] * 5)
    _place: list[float] = field(default_factory=lambda: [0.0] * 5)
    _speed: list[float] = field(default_factory=lambda: [0.0] * 5)
    _frames: int = 0
    _breath: float = 0.0
    _next_blink_s: float = FIRST_BLINK_S
    _blink: deque[float] = field(default_factory=deque)
    _look: tuple[float, float] = (0.0, 0.0)
    _gaze: tuple[float, float] = (0.0, 0.0)
    _next_look_s: float = FIRST_LOOK_S
    _lively: float = 0.0
    _talks: bool = False
    _loudness: float = 0.0
    _emphasis: float = 0.0
    _accent: tuple[float, float, float] = (0.0, 0.0, 0.0)
    _nod: list[float] = field(default_factory=lambda: [0.0] * 3)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what makes an equal one; the generator as its numbers, which takes a seventh of its own pickling."""
        kind, (random, *rest) = Plain.__reduce__(self)  # a class with slots is no longer the one that ``super`` means
        return _again, (kind, random.bit_generator.state, rest)

    def advance(self, speaking: float, loudness: float) -> Bearing:
        """Move on by one frame.

        Args:
            speaking: 0-1.
            loudness: of the frame's sound, 0-1.
        """
        self._frames += 1
        now = self._frames * FRAME_S
        self._listen(speaking, now)
        self._sway()
        stress = self._emphasise(loudness)
        lids = self._blink_at(now)
        self._look_at(now)
        pose = self._pose()
        # The eyes stay on the viewer while the head turns.
        gaze_x = self._gaze[0] - 0.035 * math.degrees(pose.yaw)
        gaze_y = self._gaze[1] - 0.03 * math.degrees(pose.pitch)
        return Bearing(pose, lids, (gaze_x, gaze_y), min(1.0, 1.3 * stress))

    def _listen(self, speaking: float, now: float) -> None:
        """Pass gradually between silence and speech; who has finished looks back at the viewer, often with a blink."""
        self._lively += PASSING * (speaking - self._lively)
        if self._lively > TALKING:
            self._talks = True
        elif self._talks and self._lively < QUIET:
            self._talks = False
            self._look, self._next_look_s = (0.0, 0.0), now + 1.0
            if not self._blink and self.random.random() < 0.4:
                self._blink.extend(BLINK)

    def _sway(self) -> None:
        """Draw an Ornstein-Uhlenbeck walk and follow it, and the gaze, like a damped mass."""
        still, lively = SWAY_STRENGTH
        strength = still + (lively - still) * self._lively
        steps = self.random.standard_normal(5).tolist()
        looks = (*self._look, 0.0, 0.0, 0.0)
        for number, (kept, size) in enumerate(zip(SWAY_KEPT, SWAY, strict=True)):
            drift = kept * self._drift[number] + size * strength * math.sqrt(1 - kept * kept) * steps[number]
            aim = drift + FOLLOWED[number] * looks[number]
            speed = self._speed[number]
            pull = FILTER_RATE * FILTER_RATE * (aim - self._place[number]) - 2 * FILTER_RATE * speed
            self._drift[number] = drift
            self._speed[number] = speed = speed + FRAME_S * pull
            self._place[number] += FRAME_S * speed

    def _emphasise(self, loudness: float) -> float:
        """Follow what is louder than the recent past; return it, 0-1. Every stress nods in a direction of its own."""
        before = self._emphasis
        self._loudness += 0.10 * (loudness - self._loudness)
        self._emphasis += 0.28 * (min(max(loudness - self._loudness, 0.0), 1.0) - before)
        if before < 0.08 <= self._emphasis:
            turn, tilt = self.random.standard_normal(2).tolist()
            self._accent = turn, 0.6 + 0.8 * self.random.random(), tilt
        stress = self._emphasis * self._lively
        for number, (size, accent) in enumerate(zip(NOD, self._accent, strict=True)):
            self._nod[number] += 0.4 * (size * accent * stress - self._nod[number])
        return stress

    def _pose(self) -> Pose:
        yaw, pitch, roll, x, y = self._place
        size, rate = BREATH
        self._breath += 2 * math.pi * FRAME_S * rate * (1 + 0.15 * self._lively)
        # In is quicker than out.
        y += size * (math.sin(self._breath) + 0.2 * math.sin(2 * self._breath))
        turn, nod, tilt = self._nod
        much = self.amount
        return Pose(much * (yaw + turn), much * (pitch + nod), much * (roll + tilt), much * x, much * y)

    def _blink_at(self, now: float) -> float:
        if now >= self._next_blink_s and not self._blink:
            times = 2 if self.random.random() < 0.10 else 1
            self._blink.extend(BLINK * times)
            median = 3.2 - 0.6 * self._lively
            self._next_blink_s = now + min(max(self.random.lognormal(math.log(median), 0.45), 0.9), 8.0)
        return self._blink.popleft() if self._blink else 0.0

    def _look_at(self, now: float) -> None:
        if now >= self._next_look_s:
            away = self.random.random() < 0.45
            self._look = (self.random.normal(0, 0.30), self.random.normal(0, 0.15)) if away else (0.0, 0.0)
            self._next_look_s = now + 0.5 + self.random.exponential(1.4)
            jump = max(abs(self._look[0] - self._gaze[0]), abs(self._look[1] - self._gaze[1]))
            if not self._blink and jump > 0.35 and self.random.random() < 0.35:
                self._blink.extend(BLINK)
        (x, y), (aim_x, aim_y) = self._gaze, self._look
        self._gaze = x + 0.7 * (aim_x - x), y + 0.7 * (aim_y - y)


def _again(kind: type[Idle], random: dict[str, Any], rest: list[Any]) -> Idle:
    """Return the state of a session with a generator that goes on from these numbers."""
    generator = np.random.Generator(np.random.PCG64())
    generator.bit_generator.state = random
    return kind(generator, *rest)

"""Owns the trial by length: one session of ten minutes that says the same every minute."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from avatar_service.media import SAMPLE_RATE_HZ
from benchmarks.lipsync.agreement import Comparison, Curve, common_lag, drift_frames
from benchmarks.lipsync.script import Script, Stretch, within
from benchmarks.lipsync.studio import Shot, Sound
from training.visemes import RATE_HZ


@dataclass(frozen=True)
class Recital:
    """A part that is said again and again, as often as it fits.

    Attributes:
        script: of the part; what it has beyond the part's length is left out.
        part_s: the part's length in whole seconds: a minute, so that the first and the last one say the same.
        parts: how often it is said.
    """

    script: Script
    part_s: int
    parts: int

    @property
    def sound(self) -> Sound:
        """All that is said."""
        length = self.part_s * SAMPLE_RATE_HZ
        return np.tile(np.resize(self.script.sound, length), self.parts)

    @property
    def frames(self) -> int:
        """Frames that it must become at 25 a second."""
        return self.part_s * self.parts * 25

    @property
    def watched_s(self) -> tuple[Stretch, Stretch]:
        """The first and the last part."""
        return (0.0, float(self.part_s)), (float(self.part_s * (self.parts - 1)), float(self.part_s * self.parts))


@dataclass(frozen=True)
class Scene:
    """A recital, and the film of it."""

    recital: Recital
    shot: Shot

    @cached_property
    def first(self) -> Comparison:
        """The first part beside what it should show."""
        return self._part(0)

    @cached_property
    def last(self) -> Comparison:
        """The last part beside what it should show."""
        return self._part(1)

    def _part(self, number: int) -> Comparison:
        start, end = self.recital.watched_s[number]
        film = self.shot.film.part(within(self.shot.film.times, [(start, end)]))
        wanted = Curve(np.resize(self.recital.script.gap.values, self.recital.part_s * RATE_HZ), RATE_HZ)
        return Comparison(film.times - start, film.gaps, wanted, np.ones(len(film.times), bool))


def figures(scene: Scene) -> dict[str, Any]:
    """Return by how many frames the picture drifted against the sound, and whether any was lost or gained."""
    film, seconds = scene.shot.film, scene.recital.part_s * scene.recital.parts
    return {
        "drift_frames": drift_frames(scene.first, scene.last, film.fps),
        "first_lag_ms": round(1000 * common_lag([scene.first])),
        "last_lag_ms": round(1000 * common_lag([scene.last])),
        "seconds": seconds,
        "frames": film.frames,
        "frames_wanted": scene.recital.frames,
        "real_time_factor": round(seconds / scene.shot.wall_s, 2),
    }

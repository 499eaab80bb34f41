"""Owns the trial by held-out voices: each of them speaks through each portrait."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from benchmarks.lipsync.agreement import (
    Closures,
    Comparison,
    Curve,
    Mask,
    closures,
    common_lag,
    mean_r,
    met,
)
from benchmarks.lipsync.ruler import Ruler
from benchmarks.lipsync.script import Script, within
from benchmarks.lipsync.sight import Film
from training.visemes import RATE_HZ

CLOSE_WANTED: Final = 0.5
"""The lips should be shut in a frame in whose middle the target ``close`` is at least this: m, b and p."""
SHUT_MARGIN: Final = 0.004
"""They are shut where the gap is at most so much, in outer-eye distances, above that of shut lips: the noise of a
measurement. A mouth that follows the targets exactly is told from them best with no more than this."""
FARTHEST_LAG_S: Final = 0.04
"""Closures are compared at the lag of the openings, but at no larger one than this."""


@dataclass(frozen=True)
class Scene:
    """One voice through one portrait.

    Attributes:
        portrait: its name.
        script: what was said.
        film: what was seen.
        ruler: what the detector sees of this portrait.
    """

    portrait: str
    script: Script
    film: Film
    ruler: Ruler

    @cached_property
    def opening(self) -> Comparison:
        """The gaps in the sentences."""
        return Comparison(self.film.times, self.film.gaps, self.script.gap, self._spoken)

    @cached_property
    def width(self) -> Comparison:
        """The widths in the sentences."""
        return Comparison(self.film.times, self.film.widths, self.script.width, self._spoken)

    @cached_property
    def strange(self) -> Comparison:
        """The gaps beside what was wanted at another time: what chance alone would agree with."""
        values = self.script.gap.values
        return Comparison(
            self.film.times, self.film.gaps, Curve(np.roll(values, len(values) // 2), RATE_HZ), self._spoken
        )

    @property
    def _spoken(self) -> Mask:
        return within(self.film.times, self.script.phrases)

    @property
    def shut(self) -> Mask:
        """The frames with shut lips."""
        return np.asarray(self.film.gaps <= self.ruler.shut + SHUT_MARGIN)

    def to_be_shut(self, lag_s: float) -> Mask:
        """Return the frames that should show shut lips."""
        return np.asarray(self.script.close.at(self.film.times - lag_s) >= CLOSE_WANTED)

    def sounding(self, lag_s: float) -> Mask:
        """Return the frames that show a sound: the rest at pauses is no closure."""
        return within(self.film.times - lag_s, self.script.sounds)

    def closures(self, lag_s: float) -> Closures:
        """Count the closed frames."""
        return closures(self.shut, self.to_be_shut(lag_s), self.sounding(lag_s))

    def met(self, lag_s: float) -> tuple[int, int]:
        """Return how many closures show one closed frame at least, and how many there are."""
        return met(self.shut, self.to_be_shut(lag_s), self.sounding(lag_s))


def figures(scenes: Sequence[Scene]) -> dict[str, Any]:
    """Return the figures of all scenes, and of each portrait and voice."""
    lag_s = common_lag([scene.opening for scene in scenes])
    return {
        "synthetic_lag_ms": round(1000 * lag_s),
        **_figures(scenes, lag_s),
        "control_other_speech_r": _rounded(mean_r([scene.strange for scene in scenes], lag_s)),
        "at_no_lag": _figures(scenes, 0.0),
        "by_portrait": _by(scenes, lambda scene: scene.portrait, lag_s),
        "by_voice": _by(scenes, lambda scene: scene.script.name, lag_s),
    }


def _by(scenes: Sequence[Scene], name: Callable[[Scene], str], lag_s: float) -> dict[str, dict[str, Any]]:
    groups: defaultdict[str, list[Scene]] = defaultdict(list)
    for scene in scenes:
        groups[name(scene)].append(scene)
    return {
        key: {**_figures(group, lag_s), "own_lag_ms": round(1000 * common_lag([scene.opening for scene in group]))}
        for key, group in groups.items()
    }


def _figures(scenes: Sequence[Scene], lag_s: float) -> dict[str, Any]:
    near_s = float(np.clip(lag_s, -FARTHEST_LAG_S, FARTHEST_LAG_S))
    counted = sum((scene.closures(near_s) for scene in scenes), Closures(0, 0, 0))
    found, there = np.sum([scene.met(near_s) for scene in scenes], axis=0)
    return {
        "synthetic_open_r": _rounded(mean_r([scene.opening for scene in scenes], lag_s)),
        "synthetic_width_r": _rounded(mean_r([scene.width for scene in scenes], lag_s)),
        "closure_f1": _rounded(counted.f1),
        "closure_precision": _rounded(counted.precision),
        "closure_recall": _rounded(counted.recall),
        "closures_met": _rounded(int(found) / max(int(there), 1)),
        "closures": int(there),
    }


def _rounded(value: float) -> float:
    return round(value, 3)

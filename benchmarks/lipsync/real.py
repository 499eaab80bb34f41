"""Owns the trial by real speakers: a clip's own sound through one of its own frames, beside the clip's own mouth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from benchmarks.lipsync.agreement import Comparison, Curve, Values, common_lag, mean_r
from benchmarks.lipsync.sight import Film, frames, shown, watch

CALM: Final = 10
"""Percentile of the gap in the frame that is taken as portrait: of a mouth near rest, as in other portraits."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A real speaker.

    Attributes:
        path: of the movie.
        portrait: a picture of one of its frames.
        film: its own mouth.
    """

    path: Path
    portrait: Path
    film: Film


def study(path: Path, folder: Path) -> Clip:
    """Watch a clip's own mouth, and lay a frame of it into the folder as portrait."""
    film = watch(path)
    calm = int(film.numbers[np.argmin(np.abs(film.gaps - np.percentile(film.gaps, CALM)))])
    portrait = folder / f"{path.stem}.png"
    Image.fromarray(next(shown(frame) for number, frame in frames(path) if number == calm)).save(portrait)
    return Clip(path, portrait, film)


@dataclass(frozen=True)
class Scene:
    """A clip, and what the service made of its sound."""

    clip: Clip
    film: Film

    @cached_property
    def opening(self) -> Comparison:
        """The gaps."""
        return self._compared(self.film.gaps, self.clip.film.gaps)

    @cached_property
    def width(self) -> Comparison:
        """The widths."""
        return self._compared(self.film.widths, self.clip.film.widths)

    def _compared(self, seen: Values, real: Values) -> Comparison:
        times, fps = self.film.times, self.clip.film.fps
        return Comparison(times, seen, Curve(real, fps), times < len(real) / fps)


def figures(scenes: Sequence[Scene]) -> dict[str, Any]:
    """Return the figures of all clips and of each; nulls where there is none."""
    if not scenes:
        return {"real_gap_r": None, "real_width_r": None, "real_lag_ms": None, "by_clip": {}}
    lag_s = common_lag([scene.opening for scene in scenes])
    return {
        "real_lag_ms": round(1000 * lag_s),
        **_figures(scenes, lag_s),
        "at_no_lag": _figures(scenes, 0.0),
        "by_clip": {
            scene.clip.path.stem: {
                "at_no_lag": _figures([scene], 0.0),
                "own_lag_ms": round(1000 * common_lag([scene.opening])),
                "at_own_lag": _figures([scene], common_lag([scene.opening])),
            }
            for scene in scenes
        },
    }


def _figures(scenes: Sequence[Scene], lag_s: float) -> dict[str, float]:
    return {
        "real_gap_r": round(mean_r([scene.opening for scene in scenes], lag_s), 3),
        "real_width_r": round(mean_r([scene.width for scene in scenes], lag_s), 3),
    }

"""Owns the question what the landmark detector can see at all: openings that were commanded, against those measured.

The pictures are drawn by the engine's own rows, with a still head and no sound, and go through the service's encoder
like any other; so what is lost here is lost in every figure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import numpy as np

from avatar_service.codec.base import VideoFormat
from avatar_service.codec.registry import open_encoder
from avatar_service.engine.base import Frame, PrepareOptions, RenderStep
from avatar_service.engine.portrait.engine import SPEC, create
from avatar_service.engine.portrait.motion import IDLE_REST
from avatar_service.engine.portrait.rig import OPEN_REACH, WIDTH, Column
from avatar_service.picture import decode_picture
from benchmarks.lipsync.agreement import Values, correlation
from benchmarks.lipsync.sight import watch_frames

LARGEST: Final = 0.8
"""Widest opening that every portrait is allowed."""
STEPS: Final = 33
REPEATS: Final = 3
UNIT: Final = 0.3
"""Eye distances in one mouth unit, see ``lips.UNIT_PER_EYE_SPAN``."""


@dataclass(frozen=True, slots=True)
class Ruler:
    """What the detector makes of one portrait.

    Attributes:
        commanded: gaps of the inner lips that were drawn, in outer-eye distances, ``[STEPS]`` ascending.
        measured: what was seen, the mean of ``REPEATS`` times, ``[STEPS]``.
        noise: standard deviation of the single measurement about that mean.
        r: correlation of single measurements with what was commanded.
        shut: measured gap of lips that are shut.
        rest: measured gap of the mouth as it idles.
        own: measured gap of the portrait's own mouth.
    """

    commanded: Values
    measured: Values
    noise: float
    r: float
    shut: float
    rest: float
    own: float

    def report(self) -> dict[str, float]:
        """Return the figures."""
        names = ("r", "noise", "shut", "rest", "own")
        return {name: round(float(getattr(self, name)), 4) for name in names}


def measure_ruler(portrait: Path) -> Ruler:
    """Draw every opening in a random order, several times, and measure it."""
    engine = create()
    avatar = engine.prepare(decode_picture(portrait.read_bytes()), PrepareOptions())
    steps = np.linspace(0, LARGEST, STEPS)
    order = np.concatenate([np.random.default_rng(number).permutation(STEPS) for number in range(REPEATS)])
    rows = np.zeros((len(order) + 2, WIDTH), np.float32)
    rows[:-2, Column.OPEN] = steps[order]
    rows[-2:, Column.REST] = IDLE_REST, 1
    drawn = (engine.render([RenderStep(avatar, row)])[0] for row in rows)
    film = watch_frames(coded(drawn, avatar.frame_size), SPEC.fps)
    gaps = film.gaps[:-2]
    measured = np.array([gaps[order == step].mean() for step in range(STEPS)])
    commanded = steps * OPEN_REACH * UNIT
    return Ruler(
        commanded=commanded,
        measured=measured,
        noise=float(np.std(gaps - measured[order])),
        r=correlation(gaps, commanded[order]),
        shut=float(measured[0]),
        rest=float(film.gaps[-2]),
        own=float(film.gaps[-1]),
    )


def coded(drawn: Iterator[Frame], size: tuple[int, int]) -> Iterator[av.VideoFrame]:
    """Yield the frames as a player gets them: H.264 there and back."""
    encoder = open_encoder(VideoFormat(), size, SPEC.fps)
    decoder = av.VideoCodecContext.create("h264", "r")
    for number, frame in enumerate(drawn):
        yield from decoder.decode(av.Packet(encoder.encode(frame, keyframe=number == 0).content))
    yield from decoder.decode(None)

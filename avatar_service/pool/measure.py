"""Owns the measuring of a worker's speed at warm-up: what a session costs, from its audio to its access units."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from avatar_service.codec.base import VideoFormat
from avatar_service.codec.registry import open_encoder
from avatar_service.engine.base import Avatar, Engine, MotionStep, Parameters, RenderStep, Samples

_FRAMES: Final = 60
_FIRST_FRAMES: Final = 10
"""Caches fill and the encoder's first keyframe falls into these; they are not counted."""
_ENOUGH_S: Final = 10.0
"""Of an engine that is slow, no more is measured than this and the call that exceeds it."""
_SEED: Final = 1


def measured_sessions(engine: Engine, avatar: Avatar, head_room: float) -> int:
    """Return how many sessions the engine serves in real time on this core, ``head_room`` kept free; at least 1.

    The sound is noise in syllables, so that the face is really moving; the video is the default H.264. The median
    of the frames counts, because other processes start at the same time.
    """
    spec = engine.spec
    frame_s = frame_seconds(engine, avatar)
    return max(1, int((1 - head_room) / (frame_s * spec.fps)))


def frame_seconds(engine: Engine, avatar: Avatar) -> float:
    """Return the seconds that one frame takes, motion, rendering and encoding together; medians.

    As many sessions run at once as one call of the engine takes.
    """
    spec = engine.spec
    states = [engine.open(avatar, Parameters(seed=number)) for number in range(spec.max_batch)]
    encoder = open_encoder(VideoFormat(), avatar.frame_size, spec.fps)
    hop = spec.hop_frames * spec.frame_samples
    hops = -(-_FRAMES // spec.hop_frames)
    sound = _babble(spec.context + hops * hop + spec.look_ahead)
    moving, drawing = _Costs(len(states) * spec.hop_frames), _Costs(len(states))
    for number in range(hops):
        window = sound[number * hop : number * hop + spec.context + hop + spec.look_ahead]
        first = number * spec.hop_frames
        steps = [MotionStep(state, window, spec.hop_frames, first, hop + spec.look_ahead) for state in states]
        with moving.measured():
            made = engine.motion(steps)
        for rows in zip(*made, strict=True):
            with drawing.measured():
                for frame in engine.render([RenderStep(avatar, row, encoder.pixel_format) for row in rows]):
                    encoder.encode(frame, keyframe=False)
            if moving.spent_s + drawing.spent_s > _ENOUGH_S:
                return moving.median_s + drawing.median_s
    return moving.median_s + drawing.median_s


@dataclass(slots=True)
class _Costs:
    """What one kind of call costs.

    Attributes:
        frames: that a call is for.
        seconds: of each call.
    """

    frames: int
    seconds: list[float] = field(default_factory=list)

    @property
    def spent_s(self) -> float:
        """All seconds together."""
        return sum(self.seconds)

    @property
    def median_s(self) -> float:
        """Of a frame; the first ones do not count."""
        ignored = min(-(-_FIRST_FRAMES // self.frames), len(self.seconds) - 1)
        return statistics.median(self.seconds[ignored:]) / self.frames

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Add what is done within."""
        began = time.perf_counter()
        yield
        self.seconds.append(time.perf_counter() - began)


def _babble(samples: int) -> Samples:
    """Return noise that comes and goes four times a second, as syllables do."""
    noise = np.random.default_rng(_SEED).standard_normal(samples).astype(np.float32)
    level = np.maximum(0.0, np.sin(np.arange(samples, dtype=np.float32) * np.float32(2 * np.pi * 4 / 16000)))
    return np.asarray(noise * level * np.float32(0.1), np.float32)

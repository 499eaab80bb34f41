"""Owns the measuring of a worker's speed at warm-up: what a session costs, from its audio to its access units."""

from __future__ import annotations

import statistics
import time
from typing import Final

import numpy as np

from avatar_service.codec.base import VideoFormat
from avatar_service.codec.registry import open_encoder
from avatar_service.engine.base import Avatar, Engine, MotionStep, Parameters, RenderStep, Samples

_FRAMES: Final = 60
_FIRST_FRAMES: Final = 10
"""Caches fill and the encoder's first keyframe falls into these; they are not counted."""
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
    """Return the median seconds that one frame takes, motion, rendering and encoding together."""
    spec = engine.spec
    state = engine.open(avatar, Parameters())
    encoder = open_encoder(VideoFormat(), avatar.frame_size, spec.fps)
    hop = spec.hop_frames * spec.frame_samples
    hops = -(-_FRAMES // spec.hop_frames)
    sound = _babble(spec.context + hops * hop + spec.look_ahead)
    costs = []
    for number in range(hops):
        began = time.perf_counter()
        window = sound[number * hop : number * hop + spec.context + hop + spec.look_ahead]
        step = MotionStep(state, window, spec.hop_frames, number * spec.hop_frames, hop + spec.look_ahead)
        for row in engine.motion([step])[0]:
            encoder.encode(engine.render([RenderStep(avatar, row, encoder.pixel_format)])[0], keyframe=False)
        costs.append((time.perf_counter() - began) / spec.hop_frames)
    return statistics.median(costs[min(_FIRST_FRAMES, len(costs) - 1) :])


def _babble(samples: int) -> Samples:
    """Return noise that comes and goes four times a second, as syllables do."""
    noise = np.random.default_rng(_SEED).standard_normal(samples).astype(np.float32)
    level = np.maximum(0.0, np.sin(np.arange(samples, dtype=np.float32) * np.float32(2 * np.pi * 4 / 16000)))
    return np.asarray(noise * level * np.float32(0.1), np.float32)

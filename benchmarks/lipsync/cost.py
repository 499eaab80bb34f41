"""Owns what a frame costs the engine: sound to motion to picture, on one core."""

from __future__ import annotations

import time
from typing import Final

import numpy as np

from avatar_service.commands.load import Speech
from avatar_service.engine.base import MotionStep, Parameters, RenderStep
from avatar_service.engine.portrait.engine import create
from avatar_service.media import SAMPLE_RATE_HZ

FRAMES: Final = 500


def engine_ms_p5() -> float:
    """Return the 5th percentile of the ms that motion and picture of a frame take: the estimate of an idle core."""
    engine = create()
    avatar, spec = engine.warmup(), engine.spec
    state = engine.open(avatar, Parameters())
    speech = Speech.sample()
    places = np.arange(0, FRAMES * spec.frame_samples + spec.look_ahead) * speech.rate_hz // SAMPLE_RATE_HZ
    heard = speech.samples[places % speech.samples.size].astype(np.float32) / 32768
    sound = np.concatenate([np.zeros(spec.context, np.float32), heard])
    size = spec.context + spec.frame_samples + spec.look_ahead
    times = []
    for number in range(FRAMES):
        start = number * spec.frame_samples
        step = MotionStep(state, sound[start : start + size], 1, number, size - spec.context)
        began = time.perf_counter()
        [rows] = engine.motion([step])
        engine.render([RenderStep(avatar, rows[0])])
        times.append(1000 * (time.perf_counter() - began))
    return round(float(np.percentile(times, 5)), 3)

"""Owns the pacing of an engine by itself: many sessions at 25 frames a second, without network, codec or processes.

What is measured is how late frames are when the engine alone is the bottleneck: earliest deadline first, in the
engine's own batches, as a worker does it.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from avatar_service.engine.base import Avatar, Engine, Motion, MotionStep, Parameters, RenderStep, Samples

STAGGER_S = 0.613
"""Between the beginnings of two sessions, modulo a hop: nobody's calls begin in step."""


@dataclass
class Speaker:
    """One session that hears the same speech for ever.

    Attributes:
        state: the engine's.
        began: when its first frame is due.
        made: frames so far.
        rows: motion that is not drawn yet.
        hops: begun so far.
    """

    state: Any
    began: float
    made: int = 0
    hops: int = 0
    rows: deque[Motion] = field(default_factory=deque)


def lateness_ms(engine: Engine, avatar: Avatar, sound: Samples, sessions: int, seconds: float) -> np.ndarray:
    """Return how late each frame was, in ms; 0 for those in time.

    Args:
        engine: warm.
        avatar: of all sessions.
        sound: speech at 16 kHz, of at least a hop; repeated.
        sessions: at once.
        seconds: that each of them speaks.
    """
    spec = engine.spec
    hop = min(spec.hop_frames, 5)
    hop_s = hop / spec.fps
    start = time.monotonic() + 0.1
    speakers = [
        Speaker(engine.open(avatar, Parameters(seed=number)), start + number * STAGGER_S % hop_s)
        for number in range(sessions)
    ]
    frames = int(seconds * spec.fps)
    late: list[float] = []
    while any(speaker.made < frames for speaker in speakers):
        now = time.monotonic()
        due = [
            (speaker.began + speaker.made / spec.fps, i) for i, speaker in enumerate(speakers) if speaker.made < frames
        ]
        batch = [speakers[i] for when, i in heapq.nsmallest(spec.max_batch, due) if when <= now]
        if not batch:
            time.sleep(max(0.0, min(due)[0] - now))
            continue
        thirsty = [speaker for speaker in batch if not speaker.rows]
        if thirsty:
            steps = [_step(spec, speaker, sound, hop) for speaker in thirsty]
            for speaker, rows in zip(thirsty, engine.motion(steps), strict=True):
                speaker.rows.extend(rows)
                speaker.hops += 1
        engine.render([RenderStep(avatar, speaker.rows.popleft()) for speaker in batch])
        done = time.monotonic()
        for speaker in batch:
            late.append(1000 * max(0.0, done - (speaker.began + speaker.made / spec.fps)))
            speaker.made += 1
    return np.asarray(late)


def most_sessions(
    engine: Engine, avatar: Avatar, sound: Samples, limit_ms: float, seconds: float = 5.0
) -> dict[str, Any]:
    """Return the most sessions whose frames are at most ``limit_ms`` late in 99 of 100 cases, and that percentile."""
    held = {"sessions": 0, "lateness_ms_p99": None}
    low, high = 0, 1
    while high - low > 0:
        late = float(np.percentile(lateness_ms(engine, avatar, sound, high, seconds), 99))
        if late > limit_ms:
            break
        held = {"sessions": high, "lateness_ms_p99": round(late, 1)}
        low, high = high, 2 * high
    while high - low > max(1, low // 16):
        middle = (low + high) // 2
        late = float(np.percentile(lateness_ms(engine, avatar, sound, middle, seconds), 99))
        if late <= limit_ms:
            low, held = middle, {"sessions": middle, "lateness_ms_p99": round(late, 1)}
        else:
            high = middle
    return held


def _step(spec: Any, speaker: Speaker, sound: Samples, hop: int) -> MotionStep:
    length = spec.context + hop * spec.frame_samples + spec.look_ahead
    first = speaker.hops * hop
    places = np.arange(first * spec.frame_samples - spec.context, first * spec.frame_samples - spec.context + length)
    window = np.where(places >= 0, sound[places % sound.size], 0.0).astype(np.float32)
    return MotionStep(speaker.state, window, hop, first, length - spec.context)

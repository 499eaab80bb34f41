"""What a worker measures of itself: ratios, because every machine has its own pace."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

import numpy as np
import pytest

from avatar_service.engine.base import Engine, Frame, Motion, MotionStep, RenderStep
from avatar_service.engine.fake import FakeEngine
from avatar_service.pool import measure
from avatar_service.pool.measure import frame_seconds, measured_sessions


def seconds(engine: Engine) -> float:
    """Return what a frame costs."""
    return frame_seconds(engine, engine.warmup())


def sessions(engine: Engine, head_room: float) -> int:
    """Return how many sessions fit."""
    return measured_sessions(engine, engine.warmup(), head_room)


def test_a_dearer_frame_takes_longer() -> None:
    """The measured time follows the engine's cost, and is never below it."""
    cheap, dear = seconds(FakeEngine(cost_ms=2)), seconds(FakeEngine(cost_ms=10))
    assert cheap >= 0.002
    assert dear >= 0.010
    assert dear > 1.5 * cheap


def test_a_dearer_frame_leaves_room_for_fewer_sessions() -> None:
    """Five times the cost, far fewer sessions."""
    assert sessions(FakeEngine(cost_ms=2), 0.0) >= 1.5 * sessions(FakeEngine(cost_ms=10), 0.0)


def test_head_room_is_kept_free() -> None:
    """Nine tenths kept free leave about a tenth of the sessions."""
    whole, tenth = (sessions(FakeEngine(cost_ms=0.5), head_room) for head_room in (0.0, 0.9))
    assert whole > 3 * tenth


def test_there_is_always_room_for_one() -> None:
    """Even where a session is more than the engine can do in real time."""
    assert sessions(FakeEngine(cost_ms=5), 0.99) == 1


class Stalling(FakeEngine):
    """Stands still once, as if another process had the core."""

    drawn = 0

    def render(self, steps: Sequence[RenderStep]) -> list[Frame]:
        """Take half a second for the 30th frame."""
        self.drawn += 1
        if self.drawn == 30:
            time.sleep(0.5)
        return super().render(steps)


class Slow(FakeEngine):
    """Would take minutes."""

    drawn = 0

    def render(self, steps: Sequence[RenderStep]) -> list[Frame]:
        """Say that much time has passed."""
        self.drawn += 1
        return super().render(steps)


def test_a_slow_engine_is_measured_for_some_seconds_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that cannot be started is worse than one whose capacity is known less well."""
    clock = itertools.count(0.0, 3.0)
    monkeypatch.setattr(measure.time, "perf_counter", lambda: next(clock))
    slow = Slow()
    assert seconds(slow) == pytest.approx(2 * 3.0 / slow.spec.max_batch)
    assert slow.drawn < 10


def test_sessions_are_measured_as_they_are_served() -> None:
    """As many at once as one call takes."""
    engine = Listening(1)
    seconds(engine)
    states = {id(step.state) for step in engine.steps}
    assert len(states) == engine.spec.max_batch


def test_one_bad_moment_does_not_count() -> None:
    """The middle of the frames does, not their mean."""
    stalling = Stalling(cost_ms=1)
    assert 0.001 <= seconds(stalling) < 0.5 / 60
    assert stalling.drawn >= 30


class Listening(FakeEngine):
    """Notes what it is shown."""

    def __init__(self, hop_frames: int) -> None:
        super().__init__(hop_frames=hop_frames)
        self.steps: list[MotionStep] = []

    def motion(self, steps: Sequence[MotionStep]) -> list[Motion]:
        """Note the steps."""
        self.steps += steps
        return super().motion(steps)


def test_the_engine_is_shown_speech_as_in_a_session() -> None:
    """Whole windows of sound that comes and goes, hop by hop, each one continuing the last."""
    for hop_frames in (1, 4, 25):
        engine = Listening(hop_frames)
        seconds(engine)
        spec, hop = engine.spec, hop_frames * engine.spec.frame_samples
        steps = engine.steps[:: spec.max_batch]
        assert [step.first_frame for step in steps] == list(range(0, len(steps) * hop_frames, hop_frames))
        assert len(steps) * hop_frames >= 60
        for step in engine.steps:
            assert step.window.shape == (spec.context + hop + spec.look_ahead,)
            assert step.window.dtype == np.float32
        for step, follower in itertools.pairwise(steps):
            assert np.array_equal(step.window[hop:], follower.window[:-hop])
        sound = np.concatenate([step.window[:hop] for step in steps])
        assert 0.02 < np.sqrt(np.mean(sound**2)) < 0.2
        assert np.mean(sound == 0) > 0.3

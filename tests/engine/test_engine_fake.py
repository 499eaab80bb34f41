"""The fake engine keeps the contract, and shows what it was fed."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from avatar_service.engine.base import Controls, Frame, MotionStep, Parameters, PrepareOptions, RenderStep
from avatar_service.engine.fake import FakeAvatar, FakeEngine, FakeState, create, read_number

PORTRAIT = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
PORTRAIT.setflags(write=False)


def avatar_of(engine: FakeEngine) -> FakeAvatar:
    """Return the portrait, prepared."""
    return engine.prepare(PORTRAIT, PrepareOptions())


def steps_of(engine: FakeEngine, state: FakeState, samples: NDArray[np.float32], hop: int) -> list[MotionStep]:
    """Cut a whole segment into steps."""
    spec = engine.spec
    frames = -(-samples.size // 640)
    padded = np.concatenate([np.zeros(spec.context), samples, np.zeros(hop * 640 + spec.look_ahead)]).astype(np.float32)
    steps = []
    for first in range(0, frames, hop):
        count = min(hop, frames - first)
        window = padded[first * 640 : first * 640 + spec.context + count * 640 + spec.look_ahead]
        remaining = min(samples.size - first * 640, count * 640 + spec.look_ahead)
        steps.append(MotionStep(state, window, count, first, remaining))
    return steps


def speak(engine: FakeEngine, samples: NDArray[np.float32], hop: int = 1, seed: int = 42) -> list[Frame]:
    """Return all frames of one segment."""
    avatar = avatar_of(engine)
    state = engine.open(avatar, Parameters(seed=seed))
    rows = [row for step in steps_of(engine, state, samples, hop) for row in engine.motion([step])[0]]
    return engine.render([RenderStep(avatar, row) for row in rows])


def noise(samples: int, seed: int = 0) -> NDArray[np.float32]:
    """Return noise."""
    return np.random.default_rng(seed).uniform(-0.3, 0.3, samples).astype(np.float32)


@given(count=st.integers(1, 10_000), hop=st.integers(1, 7))
def test_the_hop_changes_no_frame(count: int, hop: int) -> None:
    """Steps of any length give the frames of steps of one."""
    frames = speak(FakeEngine(), noise(count), hop)
    np.testing.assert_array_equal(frames, speak(FakeEngine(), noise(count)))
    assert len(frames) == -(-count // 640)


def test_every_frame_carries_its_number() -> None:
    """The number survives JPEG, and so a test can tell frames apart."""
    for number, frame in enumerate(speak(FakeEngine(), noise(640 * 300))):
        content = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
        assert read_number(frame) == number
        assert read_number(np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)) == number


def test_other_sound_or_seed_is_seen() -> None:
    """The digest of all audio so far differs from the first sample that differs, look-ahead included."""
    first = noise(6_400)
    second = first.copy()
    second[3 * 640 + 1_600] += 0.01
    one, other = (speak(FakeEngine(), samples) for samples in (first, second))
    assert [read_number(a, 1) == read_number(b, 1) for a, b in zip(one, other, strict=True)] == [True] * 3 + [False] * 7
    assert read_number(speak(FakeEngine(), first, seed=1)[0], 1) != read_number(one[0], 1)


def test_louder_is_a_longer_bar() -> None:
    """The sound's level shows at the right edge."""
    heights = []
    for level in (0.0, 0.1, 0.2):
        frame = speak(FakeEngine(), np.full(640, level, np.float32))[0]
        heights.append(int((frame[:, -1] == (255, 64, 64)).all(axis=1).sum()))
    assert heights == sorted(heights)
    assert heights[0] == 0
    assert heights[2] == pytest.approx(0.8 * 128, abs=1)


def test_batches_are_what_their_steps_are() -> None:
    """Length in is length out, in order, and company changes nothing."""
    engine = FakeEngine()
    avatar = avatar_of(engine)
    sounds = [noise(640 * 3, seed) for seed in range(3)]
    states = [engine.open(avatar, Parameters(seed=seed)) for seed in range(3)]
    together: list[list[NDArray[np.float32]]] = [[], [], []]
    for batch in zip(*(steps_of(engine, s, sound, 1) for s, sound in zip(states, sounds, strict=True)), strict=True):
        for rows, motion in zip(together, engine.motion(list(batch)), strict=True):
            rows.append(motion)
    for seed, sound in enumerate(sounds):
        state = engine.open(avatar, Parameters(seed=seed))
        alone = [engine.motion([step])[0] for step in steps_of(engine, state, sound, 1)]
        np.testing.assert_array_equal(together[seed], alone)


def idle_row(engine: FakeEngine, state: FakeState, controls: Controls | None = None) -> NDArray[np.float32]:
    """Return the row of a frame without sound."""
    return engine.motion([MotionStep(state, np.empty(0, np.float32), 1, 0, 0, controls, idle=True)])[0][0]


def test_idle_frames_are_told_apart_and_change_no_speech() -> None:
    """They have a number of their own; what is heard goes on from where it was."""
    engine = FakeEngine()
    steps = {waits: steps_of(engine, engine.open(avatar_of(engine), Parameters()), noise(6_400), 1) for waits in (0, 3)}
    rows: dict[int, list[NDArray[np.float32]]] = {0: [], 3: []}
    for waits, segment in steps.items():
        for number, step in enumerate(segment):
            for wait in range(waits if number == 5 else 0):
                frame = engine.render([RenderStep(avatar_of(engine), idle_row(engine, step.state))])[0]
                assert read_number(frame, 2) == wait + 1
            rows[waits].append(engine.motion([step])[0][0])
    np.testing.assert_array_equal(rows[0], rows[3])


def test_the_bar_falls_to_rest() -> None:
    """From speech over some frames, and stays there."""
    engine = FakeEngine()
    state = engine.open(avatar_of(engine), Parameters())
    engine.motion(steps_of(engine, state, np.full(640, 0.5, np.float32), 1))
    assert not engine.at_rest(state)
    levels = [float(idle_row(engine, state)[0]) for _ in range(4)]
    assert levels == pytest.approx([0.3, 0.1, 0.0, 0.0], abs=1e-6)
    assert engine.at_rest(state)


def test_controls_are_seen() -> None:
    """From the frame on with which they come; others look otherwise."""
    engine = FakeEngine()
    seen = set()
    for controls in (Controls(head_motion=1.0), Controls(head_motion=0.5)):
        state = engine.open(avatar_of(engine), Parameters())
        rows = [idle_row(engine, state), idle_row(engine, state, controls), idle_row(engine, state)]
        numbers = [read_number(engine.render([RenderStep(avatar_of(engine), row)])[0], 3) for row in rows]
        assert numbers[1] == numbers[2] != 0
        seen.add(numbers[1])
    assert len(seen) == 2


def test_the_avatar_is_never_changed() -> None:
    """Sessions share it, so frames are copies."""
    engine = FakeEngine()
    avatar = avatar_of(engine)
    before = avatar.picture.copy()
    frame = engine.render([RenderStep(avatar, np.array([1.0, 5, 7, 0, 0], np.float32))])[0]
    assert not np.shares_memory(frame, avatar.picture)
    np.testing.assert_array_equal(avatar.picture, before)
    assert frame.shape == (128, 128, 3)
    assert frame.flags.c_contiguous


def test_cost_is_time_per_frame() -> None:
    """Three frames at 5 ms take 15 ms or a little more."""
    engine = FakeEngine(cost_ms=5)
    step = RenderStep(avatar_of(engine), np.zeros(5, np.float32))
    began = time.monotonic()
    engine.render([step] * 3)
    assert time.monotonic() - began >= 0.015


def test_options_come_as_strings() -> None:
    """The command line's words make the same engine."""
    engine = create(size="256", hop_frames="3", look_ahead="0", cost_ms="1.5")
    engine.warmup()
    assert avatar_of(engine).frame_size == (256, 256)
    assert (engine.spec.hop_frames, engine.spec.look_ahead) == (3, 0)

"""The endless stream of motion, around a model of nothing."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from avatar_service.engine.base import Controls, Motion, MotionStep, Parameters, PrepareOptions, Preset, Samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.engine.imtalker.stream.conftest import Cutter

Make = Callable[..., Any]
Silent = Callable[..., MotionStep]
WHOLE = PrepareOptions(crop=False)


@pytest.fixture
def face(engine: Make, square: NDArray[np.uint8]) -> Any:
    """An avatar of the model of nothing."""
    return engine().prepare(square, WHOLE)


def opened(engine: Any, face: Any, **parameters: Any) -> Any:
    """Return the fresh state of a session."""
    return engine.open(face, Parameters(**parameters))


def velocities(rows: Motion) -> NDArray[np.float64]:
    """Return how far each row is from the one before."""
    return np.linalg.norm(np.diff(rows.astype(np.float64), axis=0), axis=1)


def idled(engine: Any, state: Any, silent: Silent, frames: int, **kinds: Any) -> Motion:
    """Return so many rows without sound."""
    return np.concatenate([engine.motion([silent(state, **kinds)])[0] for _ in range(frames)])


# Length, order, grouping ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hop", [1, 3, 5, 25, 40])
@pytest.mark.parametrize("samples", [1, 640, 12_345, 40_000])
def test_every_frame_of_sound_becomes_one_row(
    engine: Make, face: Any, cutter: type[Cutter], spoken: Samples, hop: int, samples: int
) -> None:
    """Whatever the hop, a segment of n samples has ceil(n / 640) finite rows."""
    engine = engine()
    rows = cutter(hop, 5).speak(engine.motion, spoken[:samples], opened(engine, face))
    assert rows.shape == (-(-samples // 640), 32)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()


def test_the_first_rows_do_not_depend_on_what_comes_later(
    engine: Make, face: Any, cutter: type[Cutter], spoken: Samples
) -> None:
    """A hop sees its look-ahead and nothing beyond it."""
    engine = engine()
    cut = 40 * 640
    other = np.concatenate([spoken[:cut], spoken[cut:][::-1]])
    rows, others = (cutter(5, 5).speak(engine.motion, sound, opened(engine, face)) for sound in (spoken, other))
    assert np.array_equal(rows[:35], others[:35])
    assert not np.array_equal(rows[35:40], others[35:40])


def test_a_batch_of_sessions_gives_what_each_gives_alone(
    engine: Make, face: Any, cutter: type[Cutter], spoken: Samples
) -> None:
    """Sessions of several hops, presets and seeds, stepped together in any order."""
    engine = engine()
    kinds = [{"seed": 1}, {"seed": 2, "nfe": 12}, {"seed": 3, "cfg_scale": 4.0}, {"seed": 1, "pose_style": (0.1, 0, 0)}]
    sounds = [spoken[: 640 * frames] for frames in (60, 47, 33, 60)]
    alone = [
        cutter(hop, 5).speak(engine.motion, sound, opened(engine, face, **kind))
        for sound, kind, hop in zip(sounds, kinds, (5, 5, 7, 3), strict=True)
    ]
    queues = [
        cutter(hop, 5).steps(sound, opened(engine, face, **kind))
        for sound, kind, hop in zip(sounds, kinds, (5, 5, 7, 3), strict=True)
    ]
    together: list[list[Motion]] = [[] for _ in queues]
    while any(queues):
        turn = [number for number, queue in enumerate(queues) if queue]
        for number, rows in zip(turn, engine.motion([queues[number].pop(0) for number in turn]), strict=True):
            together[number].append(rows)
    for rows, parts in zip(alone, together, strict=True):
        assert np.abs(rows - np.concatenate(parts)).max() <= 1e-5


def test_sessions_of_one_kind_share_a_call(
    engine: Make, puppet: Any, face: Any, cutter: type[Cutter], spoken: Samples
) -> None:
    """One call of the generator for all that have the same number of evaluations."""
    engine = engine()
    states = [opened(engine, face, seed=seed, nfe=nfe) for seed, nfe in ((1, 10), (2, 10), (3, 10), (4, 20))]
    engine.motion([cutter(5, 5).steps(spoken, state)[0] for state in states])
    assert sorted(puppet.calls) == [(1, 20), (3, 10)]


def test_the_seed_is_all_the_chance_there_is(engine: Make, face: Any, cutter: type[Cutter], spoken: Samples) -> None:
    """The same seed gives the same rows, another one others."""
    engine = engine()
    one, same, other = (cutter(5, 5).speak(engine.motion, spoken, opened(engine, face, seed=s)) for s in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.allclose(one, other)


# Seams ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hop", "slack"), [(5, 1.1), (10, 1.0), (25, 1.0)])
def test_no_seam_is_faster_than_speech(
    engine: Make, face: Any, cutter: type[Cutter], spoken: Samples, hop: int, slack: float
) -> None:
    """At 95 % of the borders of hops the motion is no quicker than in 99 % of the frames inside hops.

    Where a hop is all fade, its inside is a mixture of two clips, which is slower than either; borders are not.
    """
    engine = engine(gated=False)
    speed = velocities(cutter(hop, 5).speak(engine.motion, spoken, opened(engine, face)))
    border = np.arange(1, len(speed) + 1) % hop == 0
    assert np.percentile(speed[border], 95) <= slack * np.percentile(speed[~border], 99)


def test_without_fading_the_seams_would_show(engine: Make, face: Any, cutter: type[Cutter], spoken: Samples) -> None:
    """The test above can fail: without look-ahead there is nothing to fade over."""
    engine = engine(gated=False, look_ahead_frames=0)
    speed = velocities(cutter(5, 0).speak(engine.motion, spoken, opened(engine, face)))
    border = np.arange(1, len(speed) + 1) % 5 == 0
    assert np.percentile(speed[border], 95) > 1.1 * np.percentile(speed[~border], 99)


def test_speech_and_idling_pass_into_each_other(
    engine: Make, face: Any, cutter: type[Cutter], spoken: Samples, silent: Silent
) -> None:
    """Neither the first frame of speech nor the first after it jumps."""
    engine = engine()
    state = opened(engine, face)
    before = idled(engine, state, silent, 30)
    speech = cutter(5, 5).speak(engine.motion, spoken[: 640 * 60], state)
    after = idled(engine, state, silent, 60)
    speed = velocities(np.concatenate([before, speech, after]))
    quick = np.percentile(velocities(speech), 99)
    assert speed[28:33].max() <= quick
    assert speed[88:100].max() <= quick


# Rest ----------------------------------------------------------------------------------------------------------------


def test_silence_closes_the_mouth(engine: Make, face: Any, cutter: type[Cutter], spoken: Samples) -> None:
    """Within half a second of silence nine tenths of the motion are gone, though the segment goes on."""
    engine = engine()
    state = opened(engine, face)
    sound = np.concatenate([spoken[: 640 * 60], np.zeros(640 * 60, np.float32)])
    away = np.linalg.norm(cutter(5, 5).speak(engine.motion, sound, state) - face.reference, axis=1)
    assert np.median(away[75:]) < 0.2 * np.median(away[10:55])


def test_a_segment_ends_at_rest(engine: Make, face: Any, cutter: type[Cutter], spoken: Samples) -> None:
    """In its last frame the mouth is shut, even where speech is cut in the middle of a word."""
    engine = engine()
    state = opened(engine, face)
    rows = cutter(5, 5).speak(engine.motion, spoken[: 640 * 41], state)
    away = np.linalg.norm(rows - face.reference, axis=1)
    assert away[-1] < 0.3 * np.median(away[10:-5])
    assert engine.at_rest(state)


def test_after_an_interruption_the_lips_are_shut_two_frames_later(
    engine: Make, face: Any, cutter: type[Cutter], spoken: Samples, silent: Silent
) -> None:
    """However wide they were open."""
    engine = engine()
    state = opened(engine, face)
    for step in cutter(5, 5).steps(spoken, state)[:6]:
        engine.motion([step])
    assert not engine.at_rest(state)
    idled(engine, state, silent, 2, cut=True)
    assert engine.at_rest(state)


def test_idling_lives_but_hardly(engine: Make, face: Any, silent: Silent) -> None:
    """The face moves a little, without end, and more if it is told to; at head_motion 0 it is still."""
    engine = engine()
    spread = {}
    for much in (0.0, 1.0, 2.0):
        rows = idled(engine, opened(engine, face, head_motion=much), silent, 130)
        spread[much] = float(np.linalg.norm(rows - face.reference, axis=1).mean())
    assert spread[0.0] == 0
    assert spread[2.0] == pytest.approx(2 * spread[1.0], rel=1e-3)


def test_motion_scale_scales_motion_about_the_portraits_own(
    engine: Make, face: Any, cutter: type[Cutter], spoken: Samples
) -> None:
    """At 0.6 every row is 0.6 times as far away."""
    whole, scaled = (
        cutter(5, 5).speak(e.motion, spoken[:20_000], opened(e, face)) for e in (engine(), engine(motion_scale=0.6))
    )
    assert np.allclose(scaled - face.reference, 0.6 * (whole - face.reference), atol=1e-5)


# What is remembered --------------------------------------------------------------------------------------------------


def test_the_state_is_small_and_goes_on_elsewhere(
    engine: Make, face: Any, cutter: type[Cutter], spoken: Samples, silent: Silent
) -> None:
    """Less than 64 KB, and a copy of it in another process would go on with the same rows."""
    engine = engine()
    state = opened(engine, face, pose_style=(0.1, 0.1, 0.0))
    steps = cutter(5, 5).steps(spoken, state)
    for step in steps[:10]:
        engine.motion([step])
    idled(engine, state, silent, 3)
    content = pickle.dumps(state)
    assert len(content) < 64 * 1024
    there = pickle.loads(content)  # noqa: S301 - our own
    for step in steps[10:20]:
        [row], [moved] = engine.motion([step]), engine.motion([replaced(step, there)])
        assert np.array_equal(row, moved)


def replaced(step: MotionStep, state: Any) -> MotionStep:
    """Return the step of another state."""
    return MotionStep(state, step.window, step.frames, step.first_frame, step.remaining, step.controls)


def test_segments_have_noise_of_their_own(engine: Make, face: Any, cutter: type[Cutter], spoken: Samples) -> None:
    """Saying the same twice does not look the same twice."""
    engine = engine()
    state = opened(engine, face)
    first, second = (cutter(5, 5).speak(engine.motion, spoken[:25_600], state) for _ in range(2))
    assert not np.allclose(first[10:], second[10:], atol=1e-3)


def test_a_call_that_fails_has_changed_nothing(
    engine: Make, puppet: Any, face: Any, cutter: type[Cutter], spoken: Samples
) -> None:
    """The worker repeats its steps one by one; those that succeed then give what they would have given."""
    engine = engine()
    state, twin = opened(engine, face), opened(engine, face)
    steps, twins = cutter(5, 5).steps(spoken, state), cutter(5, 5).steps(spoken, twin)
    engine.motion(steps[:1])
    engine.motion(twins[:1])
    works, puppet.clip = puppet.clip, broken
    with pytest.raises(LookupError):
        engine.motion(steps[1:2])
    puppet.clip = works
    assert np.array_equal(engine.motion(steps[1:2])[0], engine.motion(twins[1:2])[0])


def broken(*_: Any, **__: Any) -> Any:
    """Fail."""
    msg = "on purpose"
    raise LookupError(msg)


# Controls ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wish", [Controls(pose=(0.2, -0.3, 0.1)), Controls(gaze=(0.3, 0.2))], ids=["pose", "gaze"])
def test_controls_ease_in_from_their_frame_on(
    engine: Make, face: Any, cutter: type[Cutter], spoken: Samples, wish: Controls
) -> None:
    """Nothing before it changes, and no frame jumps."""
    engine = engine(gated=False)
    free = cutter(5, 5).speak(engine.motion, spoken, opened(engine, face))
    steps = cutter(5, 5).steps(spoken, opened(engine, face), {50: wish})
    told = np.concatenate([engine.motion([step])[0] for step in steps])
    assert np.array_equal(told[:50], free[:50])
    assert not np.allclose(told[60:], free[60:], atol=1e-2)
    assert velocities(told)[48:65].max() <= 1.2 * np.percentile(velocities(free), 99)


def test_idling_follows_a_control_at_once(engine: Make, face: Any, silent: Silent) -> None:
    """What was generated ahead is thrown away."""
    engine = engine()
    free, told = opened(engine, face), opened(engine, face)
    idled(engine, free, silent, 5)
    idled(engine, told, silent, 5)
    engine.motion([silent(told, controls=Controls(pose=(0.3, 0.0, 0.0)))])
    engine.motion([silent(free)])
    later, others = idled(engine, told, silent, 20), idled(engine, free, silent, 20)
    assert not np.allclose(later[10:], others[10:], atol=1e-3)


# Presets -------------------------------------------------------------------------------------------------------------


def test_presets_choose_delay_and_effort(
    engine: Make, face: Any, puppet: Any, cutter: type[Cutter], spoken: Samples
) -> None:
    """Short hops and 5 evaluations, or clips of 2 s and 15; a number that was asked for wins."""
    engine = engine()
    expected: Sequence[tuple[Preset, int, int, int]] = (
        (Preset.LOWEST_LATENCY, 3, 3, 5),
        (Preset.BALANCED, 25, 5, 10),
        (Preset.BEST_QUALITY, 40, 10, 15),
    )
    for preset, hop, ahead, nfe in expected:
        spec = engine.spec.under(preset)
        assert (spec.hop_frames, spec.look_ahead // 640) == (hop, ahead)
        engine.motion(cutter(hop, ahead).steps(spoken, opened(engine, face, preset=preset))[:1])
        assert puppet.calls[-1] == (1, nfe)
        engine.motion(cutter(hop, ahead).steps(spoken, opened(engine, face, preset=preset, nfe=30))[:1])
        assert puppet.calls[-1] == (1, 30)

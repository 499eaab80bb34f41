"""Motion: rows do not depend on grouping or company, the mouth closes when it should, the head moves on."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from avatar_service.engine.base import MotionStep, Parameters, Preset
from avatar_service.engine.portrait.avatar import PortraitAvatar
from avatar_service.engine.portrait.engine import PortraitEngine
from avatar_service.engine.portrait.motion import IDLE_REST
from avatar_service.engine.portrait.rig import WIDTH, Column

FRAMES = 24
LIPS = slice(Column.OPEN, Column.SMILE + 1)

Speak = Callable[..., NDArray[np.float32]]
VoiceLike = Callable[..., NDArray[np.float32]]


def noise(frames: int, seed: int, level: float = 0.1) -> NDArray[np.float32]:
    """Return noise whose loudness changes from frame to frame."""
    generator = np.random.default_rng(seed)
    swell = np.repeat(generator.uniform(0, 1, frames), 640)
    return (level * swell * generator.standard_normal(frames * 640)).astype(np.float32)


def grouped(
    engine: PortraitEngine, avatar: PortraitAvatar, sound: NDArray[np.float32], sizes: list[int]
) -> NDArray[np.float32]:
    """Feed a segment in steps of these sizes, telling the truth about what remains as the contract asks."""
    spec = engine.spec
    state = engine.open(avatar, Parameters(seed=7))
    padded = np.concatenate([np.zeros(spec.context), sound, np.zeros(spec.look_ahead)]).astype(np.float32)
    rows, first = [], 0
    for size in sizes:
        start = first * 640
        window = padded[start : start + spec.context + size * 640 + spec.look_ahead]
        ahead = size * 640 + spec.look_ahead
        left = len(sound) - start
        rows.append(engine.motion([MotionStep(state, window, size, first, min(left, ahead))])[0])
        first += size
    return np.concatenate(rows)


@settings(max_examples=15, deadline=None)
@given(cuts=st.sets(st.integers(1, FRAMES - 1)), seed=st.integers(0, 3))
def test_grouping_frames_into_steps_changes_nothing(
    engine: PortraitEngine, avatar: PortraitAvatar, cuts: set[int], seed: int
) -> None:
    """One step with k frames gives, bit for bit, what k steps with one frame give."""
    sound = noise(FRAMES, seed)
    edges = [0, *sorted(cuts), FRAMES]
    sizes = [end - start for start, end in itertools.pairwise(edges)]
    one_by_one = grouped(engine, avatar, sound, [1] * FRAMES)
    np.testing.assert_array_equal(grouped(engine, avatar, sound, sizes), one_by_one)


def test_company_in_a_batch_changes_nothing(engine: PortraitEngine, avatar: PortraitAvatar) -> None:
    """Sessions in one batch get what each gets alone, also beside one with broken samples."""
    spec = engine.spec
    size = spec.context + 640 + spec.look_ahead
    sounds = [noise(4, seed)[:size] for seed in range(3)]
    sounds[1] = np.full(size, np.nan, np.float32)
    states = [engine.open(avatar, Parameters(seed=seed)) for seed in range(3)]
    together = engine.motion([MotionStep(s, w, 1, 0, size) for s, w in zip(states, sounds, strict=True)])
    for seed in range(3):
        state = engine.open(avatar, Parameters(seed=seed))
        (alone,) = engine.motion([MotionStep(state, sounds[seed], 1, 0, size)])
        np.testing.assert_array_equal(together[seed], alone)
    assert np.isfinite(np.concatenate(together)).all()


def test_state_survives_pickling(engine: PortraitEngine, avatar: PortraitAvatar) -> None:
    """A session goes on from a pickled state, of at most 64 KB, as if nothing had happened."""
    spec = engine.spec
    window = noise(4, 1)[: spec.context + 640 + spec.look_ahead]
    state = engine.open(avatar, Parameters())
    engine.motion([MotionStep(state, window, 1, 0, 5000)])
    kept = pickle.dumps(state)
    assert len(kept) < 64 * 1024
    copy = pickle.loads(kept)  # noqa: S301 - our own bytes
    first, second = (engine.motion([MotionStep(one, window, 1, 1, 5000)])[0] for one in (state, copy))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("level", [0.0, 0.0005, 0.002])
def test_lips_rest_in_silence_and_room_noise(speak: Speak, avatar: PortraitAvatar, level: float) -> None:
    """Neither digital silence nor the noise of a room, however long, moves the lips."""
    sound = (level * np.random.default_rng(0).standard_normal(25 * 640 * 20)).astype(np.float32)
    assert not speak(sound, avatar)[:, LIPS].any()


def test_noise_after_long_silence_does_not_pump(speak: Speak, avatar: PortraitAvatar) -> None:
    """Room noise that begins after half a minute of silence does not open the mouth."""
    room = 0.003 * np.random.default_rng(0).standard_normal(25 * 640)
    sound = np.concatenate([np.zeros(30 * 16_000), room]).astype(np.float32)
    assert speak(sound, avatar)[:, Column.OPEN].max() < 0.05


@pytest.mark.parametrize("level", [0.03, 0.1, 0.3])
def test_speech_opens_the_mouth(speak: Speak, voice_like: VoiceLike, avatar: PortraitAvatar, level: float) -> None:
    """A loud open vowel opens the mouth, whatever the recording's level."""
    rows = speak(voice_like(0.8, level), avatar)
    assert rows[6:14, Column.OPEN].min() > 0.3


def test_mouth_closes_soon_after_speech(speak: Speak, voice_like: VoiceLike, avatar: PortraitAvatar) -> None:
    """Within 120 ms after the voice stops the mouth is as good as closed."""
    sound = np.concatenate([voice_like(0.8), np.zeros(16_000)]).astype(np.float32)
    rows = speak(sound, avatar)
    assert rows[20 + 3 :, Column.OPEN].max() < 0.03


def test_mouth_is_closed_at_the_end_of_a_segment(speak: Speak, voice_like: VoiceLike, avatar: PortraitAvatar) -> None:
    """A segment that is cut in full voice still ends with closed lips, reached gradually."""
    rows = speak(voice_like(1.01), avatar)
    assert not rows[-1, LIPS].any()
    assert 0 < rows[-2, Column.OPEN] < rows[-3, Column.OPEN]


def test_new_segment_forgets_the_sound_but_not_the_pose(
    engine: PortraitEngine, speak: Speak, voice_like: VoiceLike, avatar: PortraitAvatar
) -> None:
    """At a new segment the head moves on without a jump."""
    state = engine.open(avatar, Parameters(seed=3))
    before = speak(voice_like(2.0), avatar, state)
    after = speak(voice_like(2.0), avatar, state)
    angles = slice(Column.YAW, Column.ROLL + 1)
    joined = np.concatenate([before, after])[:, angles]
    steps = np.abs(np.diff(joined, axis=0)).max(axis=1)
    assert steps[len(before) - 1] <= np.delete(steps, len(before) - 1).max()


def test_lips_go_on_from_where_they_were_after_an_interruption(
    engine: PortraitEngine, voice_like: VoiceLike, avatar: PortraitAvatar
) -> None:
    """If a segment is cut off with the mouth open, the next one starts from that mouth."""
    state = engine.open(avatar, Parameters())
    spec = engine.spec
    sound = voice_like(1.0)
    for number in range(10):
        window = sound[number * 640 :][: spec.context + 640 + spec.look_ahead]
        (row,) = engine.motion([MotionStep(state, window, 1, number, 5000)])
    silence = np.zeros(spec.context + 640 + spec.look_ahead, np.float32)
    (after,) = engine.motion([MotionStep(state, silence, 1, 0, 5000)])
    assert 0 < after[0, Column.OPEN] < row[0, Column.OPEN]


def test_same_seed_same_motion(speak: Speak, avatar: PortraitAvatar) -> None:
    """The seed decides the idle motion, and nothing else does."""
    silence = np.zeros(640 * 50, np.float32)
    first, again, other = (speak(silence, avatar, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_styles_are_clamped(engine: PortraitEngine, avatar: PortraitAvatar) -> None:
    """A pose far beyond what looks good is cut to the limits, also together with the sway."""
    spec = engine.spec
    state = engine.open(avatar, Parameters(pose_style=(9.0, -9.0, 9.0), gaze_style=(-9.0, 9.0)))
    window = np.zeros(spec.context + 100 * 640 + spec.look_ahead, np.float32)
    (rows,) = engine.motion([MotionStep(state, window, 100, 0, 100 * 640 + spec.look_ahead)])
    assert rows.shape == (100, WIDTH)
    assert rows[:, Column.PITCH].max() <= 0.16 + 1e-6
    assert rows[:, Column.YAW].min() >= -0.21 - 1e-6
    assert rows[:, Column.ROLL].max() <= 0.10 + 1e-6
    assert rows[:, Column.GAZE_X].min() >= -1
    assert rows[:, Column.GAZE_X].mean() < -0.5


def test_offsets_turn_the_head(engine: PortraitEngine, avatar: PortraitAvatar) -> None:
    """A pose style within the limits shifts the head by just that."""
    spec = engine.spec
    window = np.zeros(spec.context + 640 + spec.look_ahead, np.float32)
    plain, turned = (
        engine.motion([MotionStep(engine.open(avatar, Parameters(pose_style=style)), window, 1, 0, 2000)])[0][0]
        for style in ((0.0, 0.0, 0.0), (0.0, 0.1, 0.0))
    )
    assert turned[Column.YAW] - plain[Column.YAW] == pytest.approx(0.1, abs=1e-6)


def test_pose_slows_down_before_its_limit(engine: PortraitEngine, avatar: PortraitAvatar) -> None:
    """A head that sways about its farthest turn never stands still there, as one that is cut off would."""
    spec = engine.spec
    state = engine.open(avatar, Parameters(pose_style=(0.0, 0.21, 0.0), head_motion=2.0))
    window = np.zeros(spec.context + 500 * 640 + spec.look_ahead, np.float32)
    (rows,) = engine.motion([MotionStep(state, window, 500, 0, 500 * 640 + spec.look_ahead)])
    yaw = rows[:, Column.YAW]
    assert yaw.max() < 0.21
    assert np.abs(np.diff(yaw)).min() > 0


def test_head_motion_amount_reaches_the_rows(engine: PortraitEngine, avatar: PortraitAvatar) -> None:
    """Without head motion the head holds its pose style to the bit, and still blinks."""
    spec = engine.spec
    state = engine.open(avatar, Parameters(pose_style=(0.05, 0.1, 0.0), head_motion=0.0))
    window = np.zeros(spec.context + 200 * 640 + spec.look_ahead, np.float32)
    (rows,) = engine.motion([MotionStep(state, window, 200, 0, 200 * 640 + spec.look_ahead)])
    assert np.unique(rows[:, Column.YAW : Column.Y + 1], axis=0).shape[0] == 1
    assert rows[0, Column.YAW] == np.float32(0.1)
    assert rows[:, Column.BLINK].max() == 1


def test_idle_head_blinks_looks_and_sways(speak: Speak, avatar: PortraitAvatar) -> None:
    """In a minute of silence there are 8 to 40 blinks, some glances and a sway of a few degrees."""
    rows = speak(np.zeros(640 * 1500, np.float32), avatar, seed=5)
    shut = rows[:, Column.BLINK] == 1
    blinks = int(np.count_nonzero(shut[1:] & ~shut[:-1]))
    assert 8 <= blinks <= 40
    assert np.abs(rows[:, Column.GAZE_X]).max() > 0.2
    assert 0.5 < np.degrees(rows[:, Column.YAW].std()) < 3
    assert np.degrees(np.abs(np.diff(rows[:, Column.YAW])).max()) < 1.0


def test_long_speech_has_its_frames_and_stays_finite(engine: PortraitEngine, avatar: PortraitAvatar) -> None:
    """An hour, of which every tenth minute is heard: one row for each frame, all finite and within bounds.

    What grows with time is the head's own state; ``test_an_hour_of_idling`` runs it for the whole hour.
    """
    spec, minute = engine.spec, 25 * 60
    state = engine.open(avatar, Parameters(seed=1))
    sound = noise(minute + 8, 5)
    frames = 0
    for number in range(0, 60, 10):
        (rows,) = engine.motion([MotionStep(state, sound, minute, number * minute, len(sound) - spec.context)])
        assert np.isfinite(rows).all()
        assert np.abs(rows[:, : Column.X]).max() <= 1
        frames += len(rows)
    assert frames == 6 * minute


@pytest.mark.parametrize("preset", [Preset.LOWEST_LATENCY, Preset.BALANCED])
def test_lips_enter_and_leave_speech_as_smoothly_as_they_speak(
    speak: Speak, speech: NDArray[np.float32], avatar: PortraitAvatar, preset: Preset
) -> None:
    """At the borders of speech no lip column moves faster than it does in all but a hundredth of the speech."""
    pause = np.zeros(32_000, np.float32)
    rows = speak(np.concatenate([pause, speech, pause]), avatar, preset=preset)[:, LIPS]
    speed = np.abs(np.diff(rows, axis=0)).max(axis=1)
    first, last = 50, 50 + len(speech) // 640
    fast = np.quantile(speed[first + 8 : last - 8], 0.99)
    assert fast > 0.1
    assert speed[first - 8 : first + 8].max() <= fast
    assert speed[last - 8 : last + 8].max() <= fast


def test_a_face_at_rest_comes_back_within_120_ms(
    speak: Speak, speech: NDArray[np.float32], avatar: PortraitAvatar
) -> None:
    """When speech stops the lip columns are shut three frames on, and the portrait's own rest fades in."""
    rows = speak(np.concatenate([speech, np.zeros(32_000, np.float32)]), avatar)
    end = -(-len(speech) // 640)
    assert rows[end + 3 :, LIPS].max() < 0.05
    rest = rows[end:, Column.REST]
    assert (np.diff(rest) >= 0).all()
    assert rest[6] == np.float32(IDLE_REST)


@pytest.mark.parametrize("style", [(0.05, 0.0, 0.0), (0.0, -0.08, 0.0), (0.0, 0.0, 0.04)])
def test_pose_style_offsets_the_head(
    engine: PortraitEngine, avatar: PortraitAvatar, style: tuple[float, float, float]
) -> None:
    """Pitch, yaw and roll of the style are added to what the head does by itself, as long as that is small."""

    def mean_pose(pose_style: tuple[float, float, float]) -> NDArray[np.float32]:
        state = engine.open(avatar, Parameters(seed=4, head_motion=0.3, pose_style=pose_style))
        sound = np.zeros(engine.spec.context + 60 * 640 + engine.spec.look_ahead, np.float32)
        (rows,) = engine.motion([MotionStep(state, sound, 60, 0, len(sound))])
        return rows[:, [Column.PITCH, Column.YAW, Column.ROLL]].mean(axis=0)

    np.testing.assert_allclose(mean_pose(style) - mean_pose((0, 0, 0)), style, atol=1e-3)


def test_gaze_style_offsets_the_eyes(engine: PortraitEngine, avatar: PortraitAvatar) -> None:
    """Half of the limit turns the eyes half of the way, on top of where they look."""

    def gaze(gaze_style: tuple[float, float]) -> NDArray[np.float32]:
        state = engine.open(avatar, Parameters(seed=4, head_motion=0.0, gaze_style=gaze_style))
        sound = np.zeros(engine.spec.context + 10 * 640 + engine.spec.look_ahead, np.float32)
        (rows,) = engine.motion([MotionStep(state, sound, 10, 0, len(sound))])
        return rows[:, [Column.GAZE_X, Column.GAZE_Y]]

    np.testing.assert_allclose(gaze((0.25, -0.25)) - gaze((0, 0)), np.tile([0.5, -0.5], (10, 1)), atol=1e-6)


def test_head_motion_scales_what_the_head_does(speak: Speak, engine: PortraitEngine, avatar: PortraitAvatar) -> None:
    """Twice the amount sways twice as far, below the knee of the limits; none not at all; the eyes blink alike."""
    silence = np.zeros(640 * 200, np.float32)
    none, usual, twice = (
        speak(silence, avatar, engine.open(avatar, Parameters(seed=8, head_motion=amount))) for amount in (0, 1, 2)
    )
    assert not none[:, Column.YAW : Column.Y + 1].any()
    np.testing.assert_allclose(twice[:, Column.X], 2 * usual[:, Column.X], rtol=1e-5)
    np.testing.assert_array_equal(twice[:, Column.BLINK], usual[:, Column.BLINK])
    assert twice[:, Column.YAW].std() > 1.5 * usual[:, Column.YAW].std()


def test_same_seed_same_motion_while_speaking(
    speak: Speak, speech: NDArray[np.float32], avatar: PortraitAvatar
) -> None:
    """The same sound with the same seed gives the same rows to the bit; another seed moves the lips alike."""
    first, again, other = (speak(speech, avatar, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first[:, LIPS], other[:, LIPS])
    assert not np.array_equal(first, other)

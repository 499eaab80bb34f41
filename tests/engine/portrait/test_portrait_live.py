"""Motion without sound: the voice waits, the lips rest and come back softly, and what is controlled eases in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from avatar_service.engine.base import Controls, Emotion, MotionStep, Parameters, Preset
from avatar_service.engine.portrait.avatar import PortraitAvatar
from avatar_service.engine.portrait.engine import PortraitEngine
from avatar_service.engine.portrait.motion import CALM, CALM_FRAMES, LIPS, SHUTTING
from avatar_service.engine.portrait.rig import Column

Rows = NDArray[np.float32]
NOTHING = np.empty(0, np.float32)
HEAD = [Column.YAW, Column.PITCH, Column.ROLL]


def idle(engine: PortraitEngine, state: object, *, cut: bool = False, controls: Controls | None = None) -> Rows:
    """Return the row of one frame without sound."""
    return engine.motion([MotionStep(state, NOTHING, 1, 0, 0, controls, idle=True, cut=cut)])[0][0]


class Waiting:
    """Speaks ``speech`` and idles at places within it.

    Attributes:
        rows: all of them.
        heard: which of them are speech.
    """

    def __init__(
        self, engine: PortraitEngine, avatar: PortraitAvatar, sound: Rows, pauses: dict[int, int], seed: int = 1
    ) -> None:
        preset = Preset.LOWEST_LATENCY
        ahead = engine.spec.under(preset).look_ahead
        state = engine.open(avatar, Parameters(seed=seed, preset=preset))
        padded = np.concatenate([sound, np.zeros(640 + ahead, np.float32)])
        rows, heard = [], []
        for number in range(-(-len(sound) // 640)):
            for _ in range(pauses.get(number, 0)):
                rows.append(idle(engine, state))
                heard.append(False)
            window = padded[number * 640 : (number + 1) * 640 + ahead]
            left = min(len(sound) - number * 640, 640 + ahead)
            rows.append(engine.motion([MotionStep(state, window, 1, number, left)])[0][0])
            heard.append(True)
        self.rows, self.heard = np.array(rows), np.array(heard)


@settings(max_examples=12)
@given(pauses=st.dictionaries(st.integers(1, 190), st.integers(1, 40), max_size=6))
def test_lips_say_the_same_however_long_they_waited(
    engine: PortraitEngine, avatar: PortraitAvatar, speech: Rows, pauses: dict[int, int]
) -> None:
    """To the bit, but for the frames in which they catch up with the sound within their speed limit."""
    whole = Waiting(engine, avatar, speech, {})
    waited = Waiting(engine, avatar, speech, pauses)
    ours, theirs = waited.rows[waited.heard][:, LIPS], whole.rows[:, LIPS]
    near = {place + after for place in pauses for after in range(CALM_FRAMES + 4)}
    far = [number for number in range(len(theirs)) if number not in near]
    np.testing.assert_array_equal(ours[far], theirs[far])


@settings(max_examples=12)
@given(pauses=st.dictionaries(st.integers(1, 190), st.integers(1, 40), max_size=6), seed=st.integers(0, 9))
def test_nothing_jumps_where_idling_meets_speech(
    engine: PortraitEngine, avatar: PortraitAvatar, speech: Rows, pauses: dict[int, int], seed: int
) -> None:
    """At the borders no lip is faster than in all but a hundredth of the speech, and no head than it ever is."""
    whole = Waiting(engine, avatar, speech, {}, seed)
    waited = Waiting(engine, avatar, speech, pauses, seed)
    lips = [*range(LIPS.start, LIPS.stop)]
    fast = np.quantile(np.abs(np.diff(whole.rows[:, lips], axis=0)).max(axis=1), 0.99)
    borders = np.flatnonzero(np.diff(waited.heard.astype(int)))
    speed = np.abs(np.diff(waited.rows, axis=0))
    assert (speed[borders][:, lips] <= fast).all()
    assert (speed[borders][:, lips] <= CALM + 1e-6).all()
    assert (speed[borders][:, HEAD] < np.radians(1.0)).all()


@pytest.mark.parametrize("frames", [6, 10, 16])
def test_lips_are_shut_two_frames_after_a_cut(
    engine: PortraitEngine, avatar: PortraitAvatar, voice_like: Callable[..., Rows], frames: int
) -> None:
    """However wide they were open; without a cut they take longer, and go no faster than calmly."""
    for cut, limit in ((True, SHUTTING), (False, CALM)):
        state = engine.open(avatar, Parameters())
        sound = voice_like(1.2)
        for number in range(frames):
            window = sound[number * 640 : number * 640 + 640 + engine.spec.look_ahead]
            [before] = engine.motion([MotionStep(state, window, 1, number, 9_000)])[0]
        assert before[Column.OPEN] > 0.4
        assert not engine.at_rest(state)
        rows = np.array([before, *(idle(engine, state, cut=cut) for _ in range(8))])
        assert np.abs(np.diff(rows[:, LIPS], axis=0)).max() <= limit + 1e-6
        assert not rows[2 if cut else 6 :, LIPS].any()
        assert engine.at_rest(state)


def test_the_head_idles_on(engine: PortraitEngine, avatar: PortraitAvatar) -> None:
    """It sways, blinks and looks about as in silence, with lips that rest."""
    state, listening = engine.open(avatar, Parameters(seed=3)), engine.open(avatar, Parameters(seed=3))
    silence = np.zeros(640 + engine.spec.look_ahead, np.float32)
    without = np.array([idle(engine, state) for _ in range(200)])
    rows = [engine.motion([MotionStep(listening, silence, 1, k, 9_000)])[0][0] for k in range(200)]
    np.testing.assert_array_equal(without, np.array(rows))


# Controls --------------------------------------------------------------------------------------------------------


def eased(engine: PortraitEngine, avatar: PortraitAvatar, controls: Controls, frames: int = 20) -> Rows:
    """Return the rows of a still head around a change: frame 0 is before it."""
    state = engine.open(avatar, Parameters(head_motion=0.0))
    first = idle(engine, state)
    return np.array([first, idle(engine, state, controls=controls), *(idle(engine, state) for _ in range(frames))])


def test_a_pose_is_reached_gradually_and_held(engine: PortraitEngine, avatar: PortraitAvatar) -> None:
    """Within half a second, without a jump, and clamped to what looks good."""
    yaw = eased(engine, avatar, Controls(pose=(0.0, 0.14, 0.0)))[:, Column.YAW]
    assert yaw[0] == 0
    assert (np.diff(yaw) >= 0).all()
    assert np.diff(yaw).max() < 0.14 / 6
    assert yaw[12:] == pytest.approx(0.14, abs=1e-6)
    far = eased(engine, avatar, Controls(pose=(3.0, -3.0, 3.0)))[-1]
    assert (far[Column.PITCH], far[Column.YAW], far[Column.ROLL]) == pytest.approx((0.16, -0.21, 0.10), rel=0.08)


def test_a_gaze_is_reached_in_three_frames(engine: PortraitEngine, avatar: PortraitAvatar) -> None:
    """Eyes are quicker than heads."""
    plain, looks = (eased(engine, avatar, controls) for controls in (Controls(), Controls(gaze=(0.25, -0.25))))
    moved = looks[:, [Column.GAZE_X, Column.GAZE_Y]] - plain[:, [Column.GAZE_X, Column.GAZE_Y]]
    np.testing.assert_allclose(moved[3:], np.tile([0.5, -0.5], (len(moved) - 3, 1)), atol=1e-6)


def test_liveliness_fades(engine: PortraitEngine, avatar: PortraitAvatar) -> None:
    """Asked to keep still, a head comes to rest, without a jerk."""
    state = engine.open(avatar, Parameters(seed=2, head_motion=2.0))
    rows = [idle(engine, state) for _ in range(60)]
    rows += [idle(engine, state, controls=Controls(head_motion=0.0)), *(idle(engine, state) for _ in range(20))]
    angles = np.array(rows)[:, HEAD]
    assert np.abs(angles[60]).max() > 0
    assert not angles[72:].any()
    assert np.abs(np.diff(angles[59:], axis=0)).max() < np.radians(1.0)


@pytest.mark.parametrize("emotion", [one for one in Emotion if one is not Emotion.NEUTRAL])
def test_an_emotion_shows_and_passes(engine: PortraitEngine, avatar: PortraitAvatar, emotion: Emotion) -> None:
    """Half of it is half as much; it eases in and out, stays in bounds, and leaves no trace."""
    face = [Column.OPEN, Column.PRESS, Column.SMILE, Column.BROW_LEFT, Column.BROW_RIGHT]
    full, half = (eased(engine, avatar, Controls(emotion=(emotion, amount)))[:, face] for amount in (1.0, 0.5))
    assert np.abs(full[-1]).max() > 0.2
    np.testing.assert_allclose(half[-1], full[-1] / 2, atol=1e-6)
    assert np.abs(full).max() <= 1
    assert np.abs(np.diff(full, axis=0)).max() < 0.2
    state = engine.open(avatar, Parameters(head_motion=0.0))
    idle(engine, state, controls=Controls(emotion=(emotion, 1.0)))
    idle(engine, state, controls=Controls(emotion=(Emotion.NEUTRAL, 1.0)))
    assert not np.array([idle(engine, state) for _ in range(10)])[-1, face].any()


def test_controls_move_no_lip_that_speaks(engine: PortraitEngine, avatar: PortraitAvatar, speech: Rows) -> None:
    """Pose, gaze and liveliness leave the mouth alone, to the bit."""
    told = Controls(pose=(0.1, 0.1, 0.1), gaze=(0.2, 0.2), head_motion=2.0)
    ahead = engine.spec.look_ahead
    made = []
    for controls in (None, told):
        state = engine.open(avatar, Parameters())
        steps = [
            MotionStep(state, speech[k * 640 : (k + 1) * 640 + ahead], 1, k, 9_000, controls if k == 5 else None)
            for k in range(40)
        ]
        made.append(np.array([engine.motion([step])[0][0] for step in steps]))
    np.testing.assert_array_equal(made[0][:, LIPS], made[1][:, LIPS])
    assert not np.array_equal(made[0][:, Column.YAW], made[1][:, Column.YAW])

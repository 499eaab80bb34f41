"""Idle: the head sways, breathes, blinks and looks about by itself, from the seed alone, and never jumps."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_service.engine.portrait.idle import FIRST_BLINK_S, FPS, Bearing, Idle


def watched(frames: int, *, seed: int = 1, amount: float = 1.0, speaking: float = 0.0) -> list[Bearing]:
    """Let a head idle, with the unsteady loudness of speech if it is speaking."""
    idle = Idle(np.random.default_rng(seed), amount)
    loud = np.random.default_rng(0).uniform(0, 1, frames).tolist()
    return [idle.advance(speaking, speaking * level) for level in loud]


def poses(bearings: list[Bearing]) -> NDArray[np.float64]:
    """Return yaw, pitch, roll, x and y of each frame."""
    return np.array([(one.pose.yaw, one.pose.pitch, one.pose.roll, one.pose.x, one.pose.y) for one in bearings])


def test_seed_alone_decides() -> None:
    """The same seed gives the same frames, another seed others."""
    assert watched(200, speaking=1) == watched(200, speaking=1)
    assert watched(200) != watched(200, seed=2)


def test_pickled_head_goes_on_as_if_nothing_had_happened() -> None:
    """A head that was put away in the middle of a blink ends it."""
    idle = Idle(np.random.default_rng(3))
    for _ in range(round(FIRST_BLINK_S * FPS) + 1):
        idle.advance(1, 0.5)
    copy = pickle.loads(pickle.dumps(idle))  # noqa: S301 - our own bytes
    assert [idle.advance(0, 0) for _ in range(50)] == [copy.advance(0, 0) for _ in range(50)]


@pytest.mark.parametrize("amount", [0.0, 0.5, 2.0])
def test_amount_scales_the_head_and_nothing_else(amount: float) -> None:
    """The head moves so much more or less; blinks and brows come when they would."""
    plain, scaled = watched(300, speaking=1), watched(300, speaking=1, amount=amount)
    np.testing.assert_allclose(poses(scaled), amount * poses(plain), atol=1e-12)
    assert [(one.blink, one.brow) for one in scaled] == [(one.blink, one.brow) for one in plain]


def test_still_head_is_exactly_still() -> None:
    """Without head motion the pose is the portrait's own in every frame."""
    assert all(one.pose.at_rest for one in watched(300, amount=0, speaking=1))


def test_speech_livens_the_head() -> None:
    """Over a minute a speaker sways half as much again as a listener."""
    still, lively = (poses(watched(1500, speaking=speaking)).std(axis=0)[[0, 2, 3]] for speaking in (0, 1))
    assert 1.3 < np.median(lively / still) < 2.2


def test_head_enters_and_leaves_speech_without_a_jump() -> None:
    """Where speech starts and stops at full loudness the head moves by less than half a degree in a frame."""
    for seed in range(10):
        idle = Idle(np.random.default_rng(seed))
        bearings = [idle.advance(talks, 0.9 * talks) for talks in (*[0.0] * 60, *[1.0] * 60, *[0.0] * 60)]
        steps = np.abs(np.diff(poses(bearings), axis=0))
        assert np.degrees(steps[:, :3].max()) < 0.5
        assert steps[:, 3:].max() < 0.7


def test_stress_nods_and_lifts_the_brows() -> None:
    """A sudden loud syllable lowers the head and raises the brows, then both come back."""
    plain, stressed = Idle(np.random.default_rng(1), 1.0), Idle(np.random.default_rng(1), 1.0)
    quiet = [plain.advance(1, 0.2) for _ in range(80)]
    loud = [stressed.advance(1, 0.9 if 40 <= number < 44 else 0.2) for number in range(80)]
    brows = [one.brow for one in loud]
    lowered = poses(loud)[38:50, 1] - poses(quiet)[38:50, 1]
    assert np.degrees(lowered.max()) > 0.5
    assert 0.2 < max(brows[40:48]) <= 1
    assert brows[-1] < 0.05


def test_breath_lifts_the_head_about_every_four_seconds() -> None:
    """What all heads do alike, whatever their seed, is to breathe."""
    heights = np.mean([poses(watched(400, seed=seed))[:, 4] for seed in range(60)], axis=0)
    rhythm = np.abs(np.fft.rfft(heights - heights.mean()))
    assert np.argmax(rhythm) * FPS / 400 == pytest.approx(0.24, abs=0.07)
    assert 0.3 < heights.std() < 1


def test_eyes_jump_and_then_stay() -> None:
    """The gaze is steady most of the time and gets anywhere within three frames."""
    gaze = np.array([one.gaze for one in watched(1500, amount=0)])
    steps = np.abs(np.diff(gaze, axis=0)).max(axis=1)
    moving = steps > 0.03
    runs = [len(list(run)) for key, run in itertools.groupby(moving) if key]
    assert 0.01 < moving.mean() < 0.2
    assert max(runs) <= 6


def test_eyes_stay_on_the_viewer_while_the_head_turns() -> None:
    """When nothing is looked at aside, the gaze goes against the head."""
    bearings = watched(1500, amount=2)
    yaw, gaze = poses(bearings)[:, 0], np.array([one.gaze[0] for one in bearings])
    fixed = np.abs(np.array([one.gaze for one in watched(1500, amount=0)])[:, 0]) < 1e-3
    assert fixed.sum() > 300
    np.testing.assert_allclose(gaze[fixed], -0.035 * np.degrees(yaw[fixed]), atol=2e-3)


def test_who_has_finished_looks_at_the_viewer() -> None:
    """Half a second after speech ends, the eyes rest on the viewer, whatever they looked at before."""
    for seed in range(20):
        idle = Idle(np.random.default_rng(seed), 0.0)
        for _ in range(100):
            idle.advance(1, 0.5)
        after = [idle.advance(0, 0) for _ in range(24)]
        assert max(map(abs, after[16].gaze)) < 0.02


def test_lids_shut_fully_and_open_again() -> None:
    """Every blink reaches full closure, lasts a quarter of a second and is followed by open eyes."""
    lids = [one.blink for one in watched(1500, speaking=1)]
    blinks = [list(run) for shut, run in itertools.groupby(lids, key=lambda lid: lid > 0) if shut]
    assert 8 <= len(blinks) <= 40
    assert all(max(blink) == 1 and len(blink) in {6, 12} for blink in blinks[:-1])


def test_an_hour_of_idling_is_like_its_first_minute() -> None:
    """After 90,000 frames the head is finite, near the middle, and as lively as at first."""
    bearings = watched(90_000)
    moved = poses(bearings)
    assert np.isfinite(moved).all()
    first, last = np.abs(moved[:15_000]).mean(axis=0), np.abs(moved[-15_000:]).mean(axis=0)
    np.testing.assert_allclose(last, first, rtol=0.5)
    assert np.abs(np.degrees(moved[:, :3])).max() < 15
    assert sum(one.blink == 1 for one in bearings[-1500:]) > 8

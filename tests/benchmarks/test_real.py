"""Tests for the trial by real speakers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.lipsync.agreement import Values
from benchmarks.lipsync.real import Clip, Scene, figures, study
from benchmarks.lipsync.sight import Film


def film(gaps: Values, widths: Values | None = None) -> Film:
    """A film of these gaps."""
    return Film(len(gaps), 25, np.arange(len(gaps)), gaps, gaps if widths is None else widths)


def mouth(seed: int, frames: int = 150) -> Values:
    """How a mouth moves."""
    return np.convolve(np.random.default_rng(seed).standard_normal(frames + 8), np.hanning(7), "same")[4:-4]


def scene(seen: Values, real: Values, name: str = "clip") -> Scene:
    """A clip and its imitation."""
    return Scene(Clip(Path(f"{name}.mp4"), Path("x.png"), film(real)), film(seen))


def test_without_clips_the_figures_are_null() -> None:
    """Where no clips lie beside the checkout, nothing is claimed."""
    found = figures([])
    assert found["real_gap_r"] is found["real_width_r"] is found["real_lag_ms"] is None


def test_a_perfect_imitation_agrees() -> None:
    """The speaker's own mouth agrees with itself at no lag."""
    found = figures([scene(mouth(0), mouth(0))])
    assert (found["real_gap_r"], found["real_width_r"], found["real_lag_ms"]) == (1, 1, 0)


def test_a_late_imitation_is_told() -> None:
    """An imitation two frames late has a lag of 80 ms."""
    real = mouth(0)
    found = figures([scene(np.roll(real, 2), real)])
    assert found["real_lag_ms"] == 80
    assert found["real_gap_r"] > 0.95 > found["at_no_lag"]["real_gap_r"]


def test_another_speakers_mouth_does_not_agree() -> None:
    """The sound of one clip on the mouth of another agrees by chance alone."""
    found = figures([scene(mouth(seed), mouth(seed + 50)) for seed in range(12)])
    assert abs(found["at_no_lag"]["real_gap_r"]) < 0.15


def test_frames_behind_the_clips_end_do_not_count() -> None:
    """A sound track that is longer than the picture has no mouth to be compared with."""
    real = mouth(0)
    seen = np.concatenate([real, np.full(40, 9.0)])
    assert figures([scene(seen, real)])["real_gap_r"] == 1


def test_each_clip_has_its_own_figures() -> None:
    """One lag for all, and beside it what each clip would have at its own."""
    real = mouth(0)
    found = figures([scene(real, real, "even"), scene(np.roll(real, 3), real, "late")])
    assert found["by_clip"]["late"]["own_lag_ms"] == 120
    assert found["by_clip"]["even"]["at_own_lag"]["real_gap_r"] == 1


def test_the_portrait_is_a_calm_frame_of_the_clip(shared: Path, tmp_path: Path) -> None:
    """Of a clip the mouth is followed in every frame, and a frame with nearly closed lips becomes the portrait."""
    clips = sorted((shared / "media").glob("talking_*.mp4"))
    if not clips:
        pytest.skip("there are no clips in shared/media")
    found = study(clips[0], tmp_path)
    assert found.portrait.stat().st_size > 0
    assert len(found.film.gaps) == found.film.frames > 50
    assert np.ptp(found.film.gaps) > 0.05

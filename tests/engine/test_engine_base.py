"""What an engine declares."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar_service.engine.base import EngineSpec, Preset, Timing


def spec(hop_frames: int) -> EngineSpec:
    """Return an engine's spec."""
    return EngineSpec("test", "1", 25, hop_frames, 1_600, 640, 4, "cpu")


@pytest.mark.parametrize(
    ("hop", "seconds", "frames"), [(1, 1.0, 1), (8, 1.0, 8), (8, 0.1, 2), (250, 1.0, 25), (8, 0.01, 1)]
)
def test_a_hop_fits_what_the_session_waits_for(hop: int, seconds: float, frames: int) -> None:
    """The engine's hop, or as many whole frames as the session allows, and at least one."""
    assert spec(hop).hop_within(seconds) == frames


@given(hop=st.integers(1, 300), seconds=st.floats(0.1, 10))
def test_a_hop_is_never_longer_than_either_bound(hop: int, seconds: float) -> None:
    """Neither the engine nor the session is asked for more than it said."""
    frames = spec(hop).hop_within(seconds)
    assert 1 <= frames <= hop
    assert frames / 25 <= seconds


def test_frames_are_whole_samples() -> None:
    """25 fps are 640 samples at 16 kHz."""
    assert spec(1).frame_samples == 640


def test_a_preset_changes_timing_alone() -> None:
    """What an engine declares for a preset replaces its hop and look-ahead, and nothing else."""
    quick = EngineSpec("test", "1", 25, 8, 1_600, 640, 4, "cpu", {Preset.LOWEST_LATENCY: Timing(2, 320)})
    session = quick.under(Preset.LOWEST_LATENCY)
    assert (session.hop_frames, session.look_ahead) == (2, 320)
    assert (session.name, session.context, session.max_batch) == (quick.name, quick.context, quick.max_batch)


@pytest.mark.parametrize("preset", list(Preset))
def test_a_preset_that_an_engine_does_not_name_changes_nothing(preset: Preset) -> None:
    """An engine with one timing has it under every preset."""
    assert spec(3).under(preset) == spec(3)

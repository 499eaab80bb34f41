"""Audio that is cut into hops: the same hops however it was fed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from avatar_service.engine.base import EngineSpec
from avatar_service.pool.track import Hop, Track

FRAME = 640


def spec_of(look_ahead: int, context: int) -> EngineSpec:
    """Return the spec of an engine that sees so much."""
    return EngineSpec("test", "1", 25, 1, look_ahead, context, 4, "cpu")


def drain(track: Track) -> list[Hop]:
    """Take every hop that is ready."""
    hops = []
    while track.deadline is not None:
        hops.append(track.take())
    return hops


def reference(samples: NDArray[np.float32], spec: EngineSpec, hop_frames: int) -> list[tuple[int, int, object, int]]:
    """Compute all hops from the whole array: first frame, frames, window, remaining."""
    frames = -(-samples.size // FRAME)
    padded = np.concatenate([np.zeros(spec.context), samples, np.zeros(hop_frames * FRAME + spec.look_ahead)])
    hops = []
    for first in range(0, frames, hop_frames):
        count = min(hop_frames, frames - first)
        behind = count * FRAME + spec.look_ahead
        window = padded[first * FRAME : first * FRAME + spec.context + behind]
        hops.append((first, count, window.astype(np.float32), min(samples.size - first * FRAME, behind)))
    return hops


@given(
    count=st.integers(0, 12_000),
    places=st.lists(st.integers(0, 12_000), max_size=10),
    hop_frames=st.integers(1, 7),
    look_ahead=st.integers(0, 3_000),
    context=st.integers(0, 3_000),
    eager=st.booleans(),
)
def test_hops_are_those_of_the_whole_array(
    count: int, places: list[int], hop_frames: int, look_ahead: int, context: int, *, eager: bool
) -> None:
    """Any split, hops taken as they come or at the end: windows and numbers are those of the whole segment."""
    spec = spec_of(look_ahead, context)
    samples = np.random.default_rng(count).uniform(-1, 1, count).astype(np.float32)
    track = Track(spec, hop_frames)
    hops: list[Hop] = []
    edges = sorted({0, count, *(place % (count + 1) for place in places)})
    for low, high in pairwise(edges):
        track.feed(7, samples[low:high], float(low))
        if eager:
            hops += drain(track)
    track.end(7, float(count))
    hops += drain(track)
    expected = reference(samples, spec, hop_frames)
    # At the end of a segment a shorter hop may come sooner; joined, the frames are the same.
    assert [(hop.first_frame, hop.frames, hop.remaining) for hop in hops] == [(f, n, r) for f, n, _, r in expected]
    for hop, (_, _, window, _) in zip(hops, expected, strict=True):
        np.testing.assert_array_equal(hop.window, window)
        assert hop.window.dtype == np.float32
        assert hop.segment == 7


@pytest.mark.parametrize("hop_frames", [1, 3])
def test_a_hop_is_ready_with_its_last_look_ahead_sample(hop_frames: int) -> None:
    """One sample fewer is too few."""
    track = Track(spec_of(1_600, 640), hop_frames)
    track.feed(0, np.zeros(hop_frames * FRAME + 1_599, np.float32), 1.0)
    assert track.deadline is None
    track.feed(0, np.zeros(1, np.float32), 2.0)
    assert track.deadline is not None
    track.take()
    assert track.deadline is None


def test_deadlines_are_the_later_of_the_segment_s_clock_and_the_arrival() -> None:
    """A frame fed ahead of time is due at its time; one whose audio came late is due at once."""
    track = Track(spec_of(0, 0), 1)
    track.feed(0, np.zeros(3 * FRAME, np.float32), 10.0)
    track.feed(0, np.zeros(FRAME, np.float32), 10.5)
    track.end(0, 11.0)
    assert [hop.deadlines for hop in drain(track)] == [(10.0,), (10.04,), (10.08,), (10.5,)]


def test_the_tail_is_due_when_the_segment_ends() -> None:
    """Frames that waited for look-ahead that never came are due with the end."""
    track = Track(spec_of(1_600, 0), 1)
    track.feed(0, np.zeros(2 * FRAME, np.float32), 0.0)
    track.end(0, 3.0)
    assert [hop.deadlines for hop in drain(track)] == [(3.0,), (3.0,)]


def test_segments_come_one_after_the_other() -> None:
    """A new segment starts in silence, from its own frame 0, behind the last frame of the one before."""
    track = Track(spec_of(640, 640), 1)
    for number in (4, 5):
        track.feed(number, np.full(FRAME + 1, number, np.float32), 0.0)
        track.end(number, 0.0)
    hops = drain(track)
    assert [(hop.segment, hop.first_frame) for hop in hops] == [(4, 0), (4, 1), (5, 0), (5, 1)]
    assert not hops[2].window[:640].any()
    assert set(np.unique(hops[1].window)) == {0.0, 4.0}


def test_segments_without_audio_make_no_hop() -> None:
    """An empty segment is passed over."""
    track = Track(spec_of(0, 0), 1)
    track.end(0, 0.0)
    track.feed(1, np.zeros(FRAME, np.float32), 0.0)
    assert [hop.segment for hop in drain(track)] == [1]


@pytest.mark.parametrize("cut", [0, 1])
def test_cut_segments_are_forgotten(cut: int) -> None:
    """Of two segments the one that is cut makes no more hops, and the other all of its own."""
    track = Track(spec_of(0, 0), 1)
    for number in (0, 1):
        track.feed(number, np.zeros(2 * FRAME, np.float32), 0.0)
        track.end(number, 0.0)
    track.cut(frozenset({cut}))
    assert [hop.segment for hop in drain(track)] == [1 - cut] * 2


def test_memory_of_an_endless_segment_is_flat() -> None:
    """What no hop will look at again is dropped."""
    track = Track(spec_of(1_600, 640), 1)
    for number in range(2_000):
        track.feed(0, np.zeros(FRAME, np.float32), number / 25)
        drain(track)
    (segment,) = track._segments
    assert len(segment.kept) <= 6
    assert len(segment.arrivals) <= 1

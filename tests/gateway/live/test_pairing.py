"""Which sound belongs to which frame."""

from __future__ import annotations

import numpy as np
import pytest
from avatar_client import FRAME_KIND_IDLE, FRAME_KIND_SPEECH, Video
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from avatar_service.gateway.live.opus import OpusStream
from avatar_service.gateway.live.pairing import Pairing, Sound

TICKS = 3600
FRAME = 1920


def speech(tick: int, index: int, segment_id: str = "a") -> Video:
    """Return a frame of speech."""
    return Video(pts=tick * TICKS, duration=TICKS, segment_id=segment_id, frame_index=index, kind=FRAME_KIND_SPEECH)


def idle(tick: int) -> Video:
    """Return a frame of nobody's."""
    return Video(pts=tick * TICKS, duration=TICKS, kind=FRAME_KIND_IDLE)


def ramp(frames: float) -> NDArray[np.int16]:
    """Return samples that say where they are."""
    return np.arange(1, round(frames * FRAME) + 1).astype(np.int16)


def test_a_frame_of_speech_has_its_own_span() -> None:
    """The 40 ms that it shows, at the time at which it is shown."""
    pairing = Pairing()
    pairing.hear("a", ramp(3), 0.0)
    for index in range(3):
        sound = pairing.show(speech(7 + index, index), 0.0)
        assert sound.start == (7 + index) * FRAME
        assert np.array_equal(sound.samples, ramp(3)[index * FRAME : (index + 1) * FRAME])


def test_an_idle_frame_is_silent() -> None:
    """As long as any other."""
    pairing = Pairing()
    pairing.hear("a", ramp(3), 0.0)
    assert not pairing.show(idle(0), 0.0).samples.any()
    assert pairing.show(idle(1), 0.0).samples.size == FRAME


def test_the_last_frame_is_padded_with_silence() -> None:
    """Beyond the end of what was said there is nothing."""
    pairing = Pairing()
    pairing.hear("a", ramp(0.5), 0.0)
    sound = pairing.show(speech(0, 0), 0.0)
    assert np.array_equal(sound.samples[: FRAME // 2], ramp(0.5))
    assert not sound.samples[FRAME // 2 :].any()


def test_the_sound_of_a_frame_that_was_left_out_is_heard() -> None:
    """The sound goes on where it was, without a gap."""
    pairing = Pairing()
    pairing.hear("a", ramp(4), 0.0)
    pairing.show(speech(0, 0), 0.0)
    sound = pairing.show(speech(3, 3), 0.0)
    assert sound.joins
    assert sound.start == FRAME
    assert np.array_equal(sound.samples, ramp(4)[FRAME:])


def test_behind_a_long_gap_the_sound_begins_afresh() -> None:
    """Nobody watched, so nothing is caught up with."""
    pairing = Pairing()
    pairing.show(idle(0), 0.0)
    sound = pairing.show(idle(1000), 0.0)
    assert not sound.joins
    assert (sound.start, sound.samples.size) == (1000 * FRAME, FRAME)


def test_what_is_over_is_forgotten() -> None:
    """A segment's name may not come back, but its memory must not stay."""
    pairing = Pairing()
    pairing.hear("a", ramp(2), 0.0)
    pairing.forget("a")
    assert not pairing.show(speech(0, 0), 0.0).samples.any()


def test_the_delay_is_from_the_last_sample_of_a_frame_to_the_frame() -> None:
    """Median over the frames of speech; there is none before."""
    pairing = Pairing()
    assert pairing.delay_ms is None
    pairing.hear("a", ramp(1), 1.0)
    pairing.hear("a", ramp(1), 1.04)
    pairing.show(speech(0, 0), 1.1)
    pairing.show(speech(1, 1), 1.14)
    assert pairing.delay_ms == pytest.approx(100)


@given(pieces=st.lists(st.integers(1, 3000), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_it_makes_no_difference_how_the_sound_was_cut(pieces: list[int]) -> None:
    """All of it comes out, once and in order."""
    pairing, whole, at = Pairing(), ramp(sum(pieces) / FRAME), 0
    for length in pieces:
        pairing.hear("a", whole[at : at + length], 0.0)
        at += length
    frames = -(-whole.size // FRAME)
    found = np.concatenate([pairing.show(speech(index, index), 0.0).samples for index in range(frames)])
    assert np.array_equal(found[: whole.size], whole)
    assert not found[whole.size :].any()


def test_packets_of_sound_have_exact_times() -> None:
    """20 ms each, from the first sample on; afresh behind a gap."""
    stream = OpusStream()
    first = stream.push(Sound(5 * FRAME, ramp(1), joins=False)) + stream.push(Sound(6 * FRAME, ramp(1), joins=True))
    again = stream.push(Sound(900 * FRAME, ramp(1), joins=False))
    assert [packet.pts for packet in first] == [5 * FRAME + number * 960 for number in range(4)]
    assert [packet.pts for packet in again] == [900 * FRAME, 900 * FRAME + 960]

"""The counters of one segment."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from avatar_service.session.segment import Segment

_SAMPLES = st.integers(0, 200_000)


def heard(samples: int, look_ahead: int = 0, hop_frames: int = 1) -> Segment:
    """Return a segment that so many samples came of."""
    segment = Segment(0, "a", 640, hop_frames, look_ahead)
    segment.hear(samples)
    return segment


@given(samples=_SAMPLES, sent=st.integers(0, 400))
def test_received_is_played_or_unplayed(samples: int, sent: int) -> None:
    """Every sample is one or the other, and padding is neither."""
    segment = heard(samples)
    segment.passed = sent
    assert segment.played + segment.unplayed == samples
    assert 0 <= segment.played <= min(samples, sent * 640)


@given(samples=_SAMPLES)
def test_a_segment_is_complete_with_its_last_frame(samples: int) -> None:
    """Not one frame sooner, and not before it has ended."""
    segment = heard(samples)
    segment.passed = -(-samples // 640)
    assert not segment.complete
    segment.end()
    assert segment.complete
    segment.passed -= 1
    assert not segment.complete


@given(samples=_SAMPLES, look_ahead=st.integers(0, 5_000), hop_frames=st.integers(1, 10))
def test_allowed_frames_are_whole_hops_with_their_look_ahead(samples: int, look_ahead: int, hop_frames: int) -> None:
    """As many hops as fit before the look-ahead; once ended, all frames."""
    segment = heard(samples, look_ahead, hop_frames)
    allowed = segment.allowed
    assert allowed % hop_frames == 0
    assert allowed == 0 or allowed * 640 + look_ahead <= samples
    assert (allowed + hop_frames) * 640 + look_ahead > samples
    segment.end()
    assert segment.allowed == -(-samples // 640)


@given(parts=st.lists(st.integers(0, 3_000), max_size=20), look_ahead=st.integers(0, 5_000))
def test_each_frame_more_is_told_once(parts: list[int], look_ahead: int) -> None:
    """Exactly the samples that complete a hop and its look-ahead say so, however they are split."""
    segment = heard(0, look_ahead)
    for part in parts:
        before = segment.allowed
        assert segment.hear(part) == (segment.allowed > before)
    assert segment.allowed == heard(sum(parts), look_ahead).allowed

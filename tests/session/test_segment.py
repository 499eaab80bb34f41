"""The counters of one segment."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from avatar_service.session.segment import Segment

_SAMPLES = st.integers(0, 200_000)


@given(samples=_SAMPLES, sent=st.integers(0, 400))
def test_received_is_played_or_unplayed(samples: int, sent: int) -> None:
    """Every sample is one or the other, and padding is neither."""
    segment = Segment(0, "a", 25, samples=samples, passed=sent)
    assert segment.played + segment.unplayed == samples
    assert 0 <= segment.played <= min(samples, sent * 640)


@given(samples=_SAMPLES)
def test_a_segment_is_complete_with_its_last_frame(samples: int) -> None:
    """Not one frame sooner, and not before it has ended."""
    frames = -(-samples // 640)
    assert Segment(0, "a", 25, samples=samples, ended=True, passed=frames).complete
    assert not Segment(0, "a", 25, samples=samples, passed=frames).complete
    if frames:
        assert not Segment(0, "a", 25, samples=samples, ended=True, passed=frames - 1).complete


@given(samples=_SAMPLES, look_ahead=st.integers(0, 5_000), hop_frames=st.integers(1, 10))
def test_allowed_frames_are_whole_hops_with_their_look_ahead(samples: int, look_ahead: int, hop_frames: int) -> None:
    """As many hops as fit before the look-ahead; once ended, all frames."""
    allowed = Segment(0, "a", 25, samples=samples).allowed(look_ahead, hop_frames)
    assert allowed % hop_frames == 0
    assert allowed == 0 or allowed * 640 + look_ahead <= samples
    assert (allowed + hop_frames) * 640 + look_ahead > samples
    assert Segment(0, "a", 25, samples=samples, ended=True).allowed(look_ahead, hop_frames) == -(-samples // 640)

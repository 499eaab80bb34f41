"""The playlist keeps the rules of HLS on every reload, whatever is published."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import hls_rules
import m3u8
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar_service.gateway.hls.playlist import PART_S, SEGMENT_S, Playlist, Readiness, Variant, master

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)

# A segment, as the lengths of its parts: whole ones, and at its end perhaps a short one.
segments = st.tuples(st.integers(0, 2), st.sampled_from([0.04, 0.08, 0.2])).map(
    lambda drawn: [PART_S] * drawn[0] + [drawn[1]]
)


def publish(playlist: Playlist, parts: list[float], at_s: float = 0.0) -> float:
    """Publish a whole segment; return where it ends."""
    for duration_s in parts:
        playlist.add_part(duration_s, BEGAN + timedelta(seconds=at_s))
        at_s += duration_s
    playlist.close_segment()
    return at_s


@given(st.lists(segments, max_size=60), st.floats(0, 20), st.booleans())
def test_every_reload_keeps_the_rules(takes: list[list[float]], window_s: float, ends: bool) -> None:
    """After each part and each segment, whole or as a delta, the playlist has no fault, and the library reads it."""
    playlist = Playlist(window_s)
    whole, delta = hls_rules.Reloads(), hls_rules.Reloads()
    at_s = 0.0

    def reload() -> None:
        text = playlist.text("v0/")
        found = m3u8.loads(text)
        assert len(found.segments) == len(whole.check(text, at_s).segments) + bool(
            found.segments[-1:] and not found.segments[-1].uri
        )
        delta.check(playlist.text("v0/", skip=True), at_s)

    for parts in takes:
        for duration_s in parts:
            playlist.add_part(duration_s, BEGAN + timedelta(seconds=at_s))
            at_s += duration_s
            reload()
        playlist.close_segment()
        reload()
    if ends:
        playlist.end()
        reload()
        reload()
    assert whole.violations == []
    assert delta.violations == []


def test_three_thousand_segments_stay_in_order() -> None:
    """Numbers, dates and addresses go on and on, and the list never grows beyond its window."""
    playlist = Playlist(60)
    reloads = hls_rules.Reloads()
    at_s = 0.0
    for number in range(3000):
        at_s = publish(playlist, [PART_S] * 3, at_s)
        media = reloads.check(playlist.text(), at_s)
        assert media.segments[-1].uri == f"{number}.m4s"
        assert media.duration_s <= 60 + SEGMENT_S
    assert reloads.violations == []


def test_a_delta_leaves_out_what_lies_before_the_skip_boundary() -> None:
    """A delta of a long list is short, and together with what it skips as long as the list."""
    playlist = Playlist(600)
    at_s = 0.0
    for _ in range(100):
        at_s = publish(playlist, [PART_S] * 3, at_s)
    whole, delta = hls_rules.parse(playlist.text()), hls_rules.parse(playlist.text(skip=True))
    assert delta.skipped + len(delta.segments) == len(whole.segments)
    assert 6.0 <= delta.duration_s <= 6.0 + SEGMENT_S
    assert [each.identity for each in delta.segments] == [each.identity for each in whole.segments][delta.skipped :]


def test_a_short_list_has_nothing_to_skip() -> None:
    """Asking for a delta of a short list gives the list."""
    playlist = Playlist(600)
    publish(playlist, [PART_S])
    assert playlist.text(skip=True) == playlist.text()


def test_what_was_published_is_never_taken_back_while_the_list_is_short() -> None:
    """Even a window of nothing leaves three target durations."""
    playlist = Playlist(0)
    at_s = 0.0
    for _ in range(40):
        at_s = publish(playlist, [PART_S] * 3, at_s)
    assert hls_rules.parse(playlist.text()).duration_s >= 3


@pytest.mark.parametrize(
    ("segment", "part", "expected"),
    [
        (0, None, Readiness.THERE),
        (0, 0, Readiness.THERE),
        (0, 2, Readiness.THERE),
        (1, 0, Readiness.THERE),
        (1, 1, Readiness.COMING),
        (1, None, Readiness.COMING),
        (2, 0, Readiness.COMING),
        (3, None, Readiness.COMING),
        (4, None, Readiness.TOO_FAR),
        (10**9, 0, Readiness.TOO_FAR),
    ],
)
def test_blocking_requests(segment: int, part: int | None, expected: Readiness) -> None:
    """One closed segment of three parts, one part of the next: what is there, what is waited for, what is too far."""
    playlist = Playlist(600)
    publish(playlist, [PART_S] * 3)
    playlist.add_part(PART_S, BEGAN)
    assert playlist.readiness(segment, part) is expected


def test_a_part_beyond_a_segments_last_means_the_next_segments_first() -> None:
    """Whoever asks for part 3 of a segment that ended with part 2 waits for the next segment."""
    playlist = Playlist(600)
    publish(playlist, [PART_S] * 3)
    assert playlist.readiness(0, 3) is Readiness.COMING
    playlist.add_part(PART_S, BEGAN)
    assert playlist.readiness(0, 3) is Readiness.THERE


def test_after_the_end_nothing_is_waited_for() -> None:
    """Every blocking request is answered with the final list."""
    playlist = Playlist(600)
    playlist.add_part(PART_S, BEGAN)
    playlist.end()
    assert playlist.readiness(50, 0) is Readiness.THERE
    assert playlist.text().endswith("#EXT-X-ENDLIST\n")
    assert hls_rules.parse(playlist.text()).segments[0].uri == "0.m4s"


def test_only_the_hinted_part_can_be_waited_for() -> None:
    """A part that is neither there nor next is not waited for."""
    playlist = Playlist(600)
    publish(playlist, [PART_S] * 2)
    assert playlist.has_part(0, 1) is Readiness.THERE
    assert playlist.has_part(1, 0) is Readiness.COMING
    assert playlist.has_part(1, 1) is Readiness.TOO_FAR
    assert playlist.has_part(2, 0) is Readiness.TOO_FAR
    playlist.end()
    assert playlist.has_part(1, 0) is Readiness.TOO_FAR


def test_a_segment_counts_only_once_it_is_whole() -> None:
    """Parts alone make no segment."""
    playlist = Playlist(600)
    assert playlist.is_empty
    playlist.add_part(PART_S, BEGAN)
    assert not playlist.is_empty
    assert not playlist.has_segment(0)
    playlist.close_segment()
    assert playlist.has_segment(0)


def test_the_master_playlist_lists_the_formats_for_a_library() -> None:
    """Bandwidths, codecs and sizes are those of the formats, the best one first."""
    text = master(
        [
            Variant("v0/p.m3u8", "avc1.42c01e", 512, 512, 25, 1200),
            Variant("v1/p.m3u8", "avc1.42c00d", 256, 256, 25, 350),
        ]
    )
    found = m3u8.loads(text)
    assert found.is_variant
    assert [each.uri for each in found.playlists] == ["v0/p.m3u8", "v1/p.m3u8"]
    assert [each.stream_info.resolution for each in found.playlists] == [(512, 512), (256, 256)]
    assert [each.stream_info.average_bandwidth for each in found.playlists] == [1_264_000, 414_000]
    assert all(each.stream_info.bandwidth > each.stream_info.average_bandwidth for each in found.playlists)
    assert found.playlists[0].stream_info.codecs == "avc1.42c01e,mp4a.40.2"

"""From access units and sound to fragments: where they are cut, what their bytes are, and when they belong."""

from __future__ import annotations

import io
import itertools
from typing import Final

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar_service.codec.h264 import H264Encoder
from avatar_service.gateway.hls import h264
from avatar_service.gateway.hls.cutter import Cutter, Part, SegmentEnd
from avatar_service.gateway.hls.fragment import Run, Sample, fragment, parse
from avatar_service.gateway.hls.initial import initialisation
from avatar_service.gateway.hls.progressive import Progressive
from avatar_service.gateway.hls.sound import SoundTrack
from avatar_service.gateway.hls.tracks import SOUND_TRACK, VIDEO_TRACK
from avatar_service.gateway.pace import Pace
from tests.gateway.conftest import Movie, tone

FRAMES: Final = 40
TICKS: Final = 3600

samples = st.builds(Sample, st.binary(min_size=1, max_size=40), st.integers(1, 10_000), st.booleans())
runs = st.builds(Run, st.integers(1, 3), st.integers(0, 2**40), st.lists(samples, min_size=1, max_size=8).map(tuple))


@pytest.fixture(scope="module")
def units() -> list[bytes]:
    """Access units of grey pictures that grow brighter, each fifteenth a keyframe."""
    encoder = H264Encoder((128, 128), 25, 0, 0.6)
    pictures = (np.full((128, 128, 3), 6 * i, np.uint8) for i in range(FRAMES))
    return [encoder.encode(picture, keyframe=i % 15 == 0).content for i, picture in enumerate(pictures)]


def part(units: list[bytes], sound: SoundTrack, first: int, count: int = 5) -> bytes:
    """Return the fragment of some frames and the sound that belongs to them."""
    video = [Sample(h264.length_prefixed(units[i]), TICKS, keyframe=i % 15 == 0) for i in range(first, first + count)]
    heard = sound.until((first + count) * 1920)
    return fragment(first + 1, [Run(VIDEO_TRACK, first * TICKS, tuple(video)), *([heard] if heard else [])])


@given(st.integers(1, 2**31), st.lists(runs, min_size=1, max_size=3))
def test_a_fragment_can_be_read_back(sequence: int, given_runs: list[Run]) -> None:
    """What was put into it comes out of it."""
    assert parse(fragment(sequence, given_runs)) == given_runs


@given(runs, st.integers(0, 1000))
def test_a_run_can_be_moved(run: Run, ticks: int) -> None:
    """Only its time changes."""
    moved = run.earlier(ticks)
    assert (moved.decode_time, moved.samples, moved.track) == (run.decode_time - ticks, run.samples, run.track)


def test_an_access_unit_is_split_at_its_start_codes() -> None:
    """Those of three and of four bytes, and zeros before them."""
    content = b"\0\0\0\1\x67abc\0\0\1\x68de\0\0\0\0\1\x65fgh"
    assert h264.nal_units(content) == [b"\x67abc", b"\x68de", b"\x65fgh"]
    assert h264.parameter_sets(content) == (b"\x67abc", b"\x68de")
    assert h264.length_prefixed(content) == b"\0\0\0\4\x65fgh"


@given(st.lists(st.booleans(), max_size=80), st.integers(1, 6), st.integers(1, 20), st.data())
def test_every_cut_is_in_place(
    keyframes: list[bool], part_frames: int, segment_frames: int, data: st.DataObject
) -> None:
    """Parts hold all frames in order; segments start with keyframes; only a segment's last part is short.

    What holds back has always a frame more for the end.
    """
    cutter: Cutter[int] = Cutter(part_frames, segment_frames)
    cuts: list[Part[int] | SegmentEnd] = []
    in_segment = 0
    for number, wanted in enumerate(keyframes):
        keyframe = wanted or in_segment == 0
        in_segment = 1 if keyframe else in_segment + 1
        in_segment %= segment_frames
        cutter.holds_back = cutter.holds_back or data.draw(st.integers(0, 39)) == 0
        cuts += cutter.add(number, keyframe=keyframe)
        if cutter.holds_back:
            assert len([frame for cut in cuts if isinstance(cut, Part) for frame in cut.frames]) <= number
        if data.draw(st.integers(0, 19)) == 0:
            cuts += cutter.flush()
            in_segment = 0
    cuts += cutter.flush()
    parts = [cut for cut in cuts if isinstance(cut, Part)]
    assert [frame for each in parts for frame in each.frames] == list(range(len(keyframes)))
    assert all(each.start == each.frames[0] for each in parts)
    ends = [cut.segment for cut in cuts if isinstance(cut, SegmentEnd)]
    assert ends == list(range(len(ends))) == sorted({each.segment for each in parts})
    for each, after in itertools.pairwise(cuts):
        if isinstance(each, Part) and len(each.frames) < part_frames:
            assert isinstance(after, SegmentEnd)
    for number in ends:
        mine = [each for each in parts if each.segment == number]
        assert [each.index for each in mine] == list(range(len(mine)))
        assert [each.independent for each in mine] == [True] + [False] * (len(mine) - 1)
        assert sum(len(each.frames) for each in mine) <= segment_frames


def test_a_segment_without_a_keyframe_is_an_error() -> None:
    """The service promises one; whatever came instead is not hidden."""
    cutter: Cutter[int] = Cutter(2, 4)
    with pytest.raises(ValueError, match="keyframe"):
        cutter.add(0, keyframe=False)
    assert cutter.length == 0


@given(st.lists(st.integers(0, 8), max_size=60))
def test_a_frame_may_stand_for_those_left_out_before_it(missing: list[int]) -> None:
    """Behind a gap comes a keyframe that is shown longer; parts join up, and none is longer than a part may be."""
    cutter: Cutter[int] = Cutter(5, 15)
    cuts: list[Part[int] | SegmentEnd] = []
    since_keyframe = 15
    for number, gap in enumerate(missing):
        keyframe = gap > 0 or since_keyframe == 15
        since_keyframe = 1 if keyframe else since_keyframe + 1
        cuts += cutter.add(number, keyframe=keyframe, length=min(gap + 1, 5))
    parts = [cut for cut in cuts + cutter.flush() if isinstance(cut, Part)]
    assert [frame for each in parts for frame in each.frames] == list(range(len(missing)))
    assert [each.start for each in parts] == [0, *itertools.accumulate(each.length for each in parts)][: len(parts)]
    assert all(each.length <= 5 for each in parts)
    assert cutter.length == sum(min(gap + 1, 5) for gap in missing)


@pytest.mark.parametrize("is_chromium", [False, True])
@pytest.mark.parametrize("first", [0, 15, 30])
def test_a_live_file_starts_at_zero_wherever_it_starts(units: list[bytes], first: int, is_chromium: bool) -> None:
    """All frames from there on, 40 ms apart, with their sound."""
    sound = SoundTrack(SOUND_TRACK)
    sound.push(tone(FRAMES / 25, 48_000))
    sound.finish()
    parts = [part(units, sound, at) for at in range(0, FRAMES, 5)]
    film = Progressive(first / 25, is_chromium=is_chromium)
    content = film.begin(initialisation(units[0], 128, 128, 25)) + b"".join(map(film.add, parts[first // 5 :]))
    movie = Movie.decode(content)
    assert len(movie.pictures) == FRAMES - first
    assert np.allclose(movie.times_s, np.arange(FRAMES - first) / 25, atol=1e-4)
    assert [round(float(each.mean()) / 6) for each in movie.pictures] == pytest.approx(range(first, FRAMES), abs=1)
    assert 0 <= movie.sound_start_s < 0.022


def test_chromium_gets_whole_blocks(units: list[bytes]) -> None:
    """After every part so many bytes are out that its player hands all of them on; others get none of the padding."""
    sound = SoundTrack(SOUND_TRACK)
    chromium, other = Progressive(0, is_chromium=True), Progressive(0, is_chromium=False)
    start = initialisation(units[0], 128, 128, 25)
    sent = len(chromium.begin(start))
    other.begin(start)
    for at in range(0, FRAMES, 5):
        content = part(units, sound, at)
        sent += len(chromium.add(content))
        assert sent % 32_768 == 0
        assert len(other.add(content)) == len(content)


def test_the_initialisation_has_two_tracks_and_no_samples(units: list[bytes]) -> None:
    """H.264 of the given size and 48 kHz AAC; nothing shifts one against the other."""
    content = initialisation(units[0], 128, 128, 25)
    assert b"moof" not in content
    assert b"mdat" not in content
    sound = SoundTrack(SOUND_TRACK)
    sound.push(tone(1, 48_000))
    with av.open(io.BytesIO(content + part(units, sound, 0))) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.width, video.height) == ("h264", 128, 128)
        assert (audio.codec_context.name, audio.sample_rate, audio.channels) == ("aac", 48_000, 1)


@given(st.lists(st.integers(0, 5000), max_size=12), st.lists(st.integers(0, 5000), max_size=6))
def test_no_sound_is_lost_or_given_twice(pushes: list[int], edges: list[int]) -> None:
    """However it is pushed and taken, the frames follow each other without a gap and cover all samples."""
    sound = SoundTrack(SOUND_TRACK)
    taken: list[Run] = []
    for pushed, edge in zip(pushes, edges + [0] * len(pushes), strict=False):
        sound.push(np.zeros(pushed, np.int16))
        taken += filter(None, [sound.until(edge)])
    total = sound.samples
    sound.finish()
    taken += filter(None, [sound.until(total)])
    at = 0
    for run in taken:
        assert run.decode_time == at
        at += sum(sample.duration for sample in run.samples)
    assert at >= total
    assert at - total < 1024


def test_padding_is_silence_up_to_where_it_is_asked_for() -> None:
    """Nothing is cut if there is more already."""
    sound = SoundTrack(SOUND_TRACK)
    sound.push(tone(0.01, 48_000))
    sound.pad(1920)
    assert sound.samples == 1920
    sound.pad(100)
    assert sound.samples == 1920


def test_media_that_came_faster_is_due_at_its_time() -> None:
    """A part every 200 ms, after a lead of 400 ms."""
    pace = Pace()
    assert not pace.is_running
    due = [pace.due(0.2 * i, 100.0) for i in range(5)]
    assert pace.is_running
    assert [max(0, each - 100) for each in due] == pytest.approx([0, 0, 0, 0.2, 0.4])


def test_media_that_comes_late_moves_the_clock() -> None:
    """What comes after a pause is due at once, and what follows it at its pace."""
    pace = Pace()
    pace.due(0.0, 100.0)
    assert pace.due(0.2, 130.0) == 130.0
    assert pace.due(0.8, 130.0) == pytest.approx(130.6)


@given(st.lists(st.floats(0, 0.29), min_size=1, max_size=50))
def test_small_jitter_moves_nothing(late_s: list[float]) -> None:
    """Parts that come in time, or a little late, are due at the same pace."""
    pace = Pace()
    pace.due(0.0, 0.0)
    began = pace.due(1.0, 0.6)
    for number, late in enumerate(late_s, 1):
        media_s = 1 + 0.2 * number
        assert pace.due(media_s, began + 0.2 * number + late) == pytest.approx(began + 0.2 * number)

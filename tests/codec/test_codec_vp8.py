"""VP8: one frame a frame, decodable by others."""

from __future__ import annotations

import av
import numpy as np
import pytest

from avatar_service.codec.base import AccessUnit, Codec, Frame, VideoFormat
from avatar_service.codec.registry import open_encoder
from avatar_service.codec.vp8 import Vp8Encoder

_P_FRAME = 1
"""The lowest bit of a frame's first byte (RFC 6386, 9.1): 0 in a keyframe."""


def moving(number: int, size: tuple[int, int] = (128, 96)) -> Frame:
    """Return a picture with a bright bar that moves a little each frame."""
    frame = np.full((size[1], size[0], 3), (40, 80, 120), np.uint8)
    left = 4 * number % (size[0] - 16)
    frame[:, left : left + 16] = (230, 60, 30)
    return frame


def encode(count: int, keyframes: frozenset[int] = frozenset(), **options: float) -> list[AccessUnit]:
    """Encode a moving picture."""
    chosen = {"bitrate_kbps": 0, "keyframe_interval_s": 60.0, **options}
    encoder = Vp8Encoder((128, 96), 25, **chosen)  # type: ignore[arg-type]
    return [encoder.encode(moving(number), keyframe=number in keyframes) for number in range(count)]


def decode(units: list[AccessUnit]) -> list[Frame]:
    """Decode with FFmpeg's own decoder."""
    context = av.CodecContext.create("vp8", "r")
    frames = [frame for unit in units for frame in context.decode(av.Packet(unit.content))]
    return [frame.to_ndarray(format="rgb24") for frame in frames]


def test_every_frame_comes_out_at_once_and_looks_like_what_went_in() -> None:
    """One packet a frame; none is held back, none is hidden."""
    pictures = decode(encode(20))
    assert len(pictures) == 20
    for number, picture in enumerate(pictures):
        assert np.abs(picture.astype(int) - moving(number)).mean() < 8


def test_the_first_frame_and_those_asked_for_are_keyframes() -> None:
    """And no others, within the interval; the bytes say the same as the flag."""
    units = encode(12, frozenset({5}))
    assert [number for number, unit in enumerate(units) if unit.keyframe] == [0, 5]
    assert [not unit.content[0] & _P_FRAME for unit in units] == [unit.keyframe for unit in units]


def test_a_viewer_may_begin_at_any_keyframe() -> None:
    """What follows it needs nothing before it."""
    assert len(decode(encode(12, frozenset({5}))[5:])) == 7


def test_the_interval_bounds_the_time_between_keyframes() -> None:
    """0.4 s at 25 fps are ten frames."""
    gaps = np.diff([number for number, unit in enumerate(encode(40, keyframe_interval_s=0.4)) if unit.keyframe])
    assert gaps.size
    assert gaps.max() <= 10


def test_frames_that_are_left_out_count_for_the_interval_and_are_not_missed() -> None:
    """With every second one skipped the keyframes keep their time, and what is there can be decoded."""
    encoder = Vp8Encoder((128, 96), 25, bitrate_kbps=0, keyframe_interval_s=0.4)
    units = []
    for number in range(0, 40, 2):
        units.append(encoder.encode(moving(number), keyframe=False))
        encoder.skip()
    assert [number for number, unit in enumerate(units) if unit.keyframe] == [0, 5, 10, 15]
    assert len(decode(units)) == 20


@pytest.mark.parametrize("bitrate_kbps", [50, 4000])
def test_another_rate_begins_with_a_keyframe(bitrate_kbps: int) -> None:
    """So that what follows can be decoded."""
    encoder = Vp8Encoder((128, 96), 25, 0, 60.0)
    before = [encoder.encode(moving(number), keyframe=False) for number in range(5)]
    encoder.set_bitrate(bitrate_kbps)
    after = [encoder.encode(moving(number), keyframe=False) for number in range(5, 10)]
    assert after[0].keyframe
    assert len(decode(before + after)) == 10


def test_the_registry_opens_it_in_the_size_asked_for() -> None:
    """As any other format."""
    encoder = open_encoder(VideoFormat(codec=Codec.VP8, width=64), (64, 64), 25)
    (picture,) = decode([encoder.encode(moving(0, (128, 128)), keyframe=True)])
    assert encoder.codec_string == "vp8"
    assert picture.shape == (64, 64, 3)

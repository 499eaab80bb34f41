"""The format a client asks for, and the size that comes of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar_service.codec.base import MAX_SIDE, MIN_SIDE, Codec, VideoFormat
from avatar_service.codec.registry import open_encoder
from avatar_service.errors import InvalidArgumentError
from avatar_service.frame import PixelFormat


@pytest.mark.parametrize(
    ("asked", "frames", "size"),
    [
        ((0, 0), (512, 512), (512, 512)),
        ((256, 0), (512, 512), (256, 256)),
        ((0, 256), (512, 512), (256, 256)),
        ((640, 0), (1280, 720), (640, 360)),
        ((0, 480), (1280, 720), (854, 480)),
        ((854, 480), (1280, 720), (854, 480)),
        ((100, 0), (1000, 992), (100, 100)),
    ],
)
def test_size_follows_the_frames(asked: tuple[int, int], frames: tuple[int, int], size: tuple[int, int]) -> None:
    """What is not asked for keeps the frames' own size or shape, in even numbers."""
    assert VideoFormat(width=asked[0], height=asked[1]).size_for(frames) == size


@pytest.mark.parametrize(
    ("asked", "frames"),
    [((512, 256), (512, 512)), ((256, 260), (512, 512)), ((64, 0), (1280, 720)), ((0, 1920), (1280, 720))],
)
def test_shapes_that_do_not_fit_are_refused(asked: tuple[int, int], frames: tuple[int, int]) -> None:
    """A distorted picture, or one whose other side falls out of bounds, is an error."""
    video = VideoFormat(width=asked[0], height=asked[1])
    with pytest.raises(InvalidArgumentError, match="width or height alone") as caught:
        video.size_for(frames)
    assert (caught.value.reason, caught.value.field) == ("VIDEO_SHAPE", "init.video")


@given(width=st.integers(MIN_SIDE // 2, MAX_SIDE // 2).map(lambda half: 2 * half), own=st.integers(64, 4_000))
def test_sizes_are_always_even_and_within_bounds(width: int, own: int) -> None:
    """One side given, a square stays a square."""
    assert VideoFormat(width=width).size_for((own, own)) == (width, width)


@pytest.mark.parametrize("side", [2, 62, 65, 1921, 1922, 2**32 - 2])
@pytest.mark.parametrize("name", ["width", "height"])
def test_odd_and_extreme_sides_are_refused(name: str, side: int) -> None:
    """A side is 0 or an even number from 64 to 1920."""
    with pytest.raises(InvalidArgumentError) as caught:
        VideoFormat(**{name: side})
    assert (caught.value.reason, caught.value.field) == ("VIDEO_SIZE", f"init.video.{name}")


@pytest.mark.parametrize(
    ("field", "name", "value"),
    [
        ("quality", "quality", 0),
        ("quality", "quality", 101),
        ("bitrate_kbps", "bitrate_kbps", 49),
        ("bitrate_kbps", "bitrate_kbps", 20_001),
        ("keyframe_interval_s", "keyframe_interval", 0.19),
        ("keyframe_interval_s", "keyframe_interval", 60.1),
        ("keyframe_interval_s", "keyframe_interval", float("nan")),
    ],
)
def test_values_out_of_range_are_refused(field: str, name: str, value: float) -> None:
    """The error names the request's field."""
    with pytest.raises(InvalidArgumentError) as caught:
        VideoFormat(**{field: value})
    assert (caught.value.reason, caught.value.field) == ("OUT_OF_RANGE", f"init.video.{name}")


@pytest.mark.parametrize("codec", list(Codec), ids=lambda codec: codec.name)
def test_every_codec_has_an_encoder(codec: Codec) -> None:
    """What a client may name can be opened, at the size asked for."""
    encoder = open_encoder(VideoFormat(codec=codec, width=64), (64, 64), 25)
    unit = encoder.encode(np.zeros((128, 128, 3), np.uint8), keyframe=True)
    assert unit.keyframe
    assert unit.content
    assert encoder.codec_string


@pytest.mark.parametrize("codec", list(Codec), ids=lambda codec: codec.name)
def test_encoders_take_the_layout_they_declare(codec: Codec) -> None:
    """Video codecs take I420 as it is; stills want RGB."""
    encoder = open_encoder(VideoFormat(codec=codec), (128, 128), 25)
    assert encoder.pixel_format is (PixelFormat.I420 if codec in {Codec.H264, Codec.VP8} else PixelFormat.RGB)
    shape = (192, 128) if encoder.pixel_format is PixelFormat.I420 else (128, 128, 3)
    assert encoder.encode(np.zeros(shape, np.uint8), keyframe=True).content

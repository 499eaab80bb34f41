"""Codecs of which every frame stands alone."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from avatar_service.codec.base import Encoder, Frame
from avatar_service.codec.still import JpegEncoder, PngEncoder, RawRgbEncoder

SIZE = (96, 64)


def smooth() -> Frame:
    """Return a picture of ramps in all three colours."""
    rows, columns = np.mgrid[0:64, 0:96]
    return np.stack([columns * 2, rows * 3, 255 - columns], axis=2).astype(np.uint8)


def opened(content: bytes) -> Frame:
    """Decode with a library that did not encode."""
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_jpeg_keeps_the_picture() -> None:
    """Decoded elsewhere, colours are near and in the right order; chroma is halved both ways."""
    encoder = JpegEncoder(SIZE, 95)
    unit = encoder.encode(smooth(), keyframe=False)
    assert encoder.codec_string == "image/jpeg"
    assert unit.keyframe
    assert np.abs(opened(unit.content).astype(int) - smooth()).mean() < 2
    assert Image.open(io.BytesIO(unit.content)).layer[0][1:3] == (2, 2)


def test_jpeg_quality_costs_bytes() -> None:
    """A higher quality is a larger file."""
    frame = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    sizes = [len(JpegEncoder(SIZE, quality).encode(frame, keyframe=True).content) for quality in (1, 40, 85, 100)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1] / 4


@pytest.mark.parametrize("encoder", [PngEncoder(SIZE), RawRgbEncoder(SIZE)], ids=lambda made: type(made).__name__)
@given(seed=st.integers(0, 2**32 - 1))
def test_lossless_codecs_lose_nothing(encoder: Encoder, seed: int) -> None:
    """Any frame comes back bit by bit."""
    frame = np.random.default_rng(seed).integers(0, 256, (64, 96, 3), np.uint8)
    unit = encoder.encode(frame, keyframe=False)
    assert unit.keyframe
    if encoder.codec_string == "image/png":
        np.testing.assert_array_equal(opened(unit.content), frame)
    else:
        assert unit.content == frame.tobytes()


def test_raw_frames_need_not_lie_in_one_piece() -> None:
    """A view of a larger picture is encoded row by row."""
    large = np.random.default_rng(0).integers(0, 256, (128, 192, 3), np.uint8)
    assert RawRgbEncoder(SIZE).encode(large[::2, ::2], keyframe=True).content == large[::2, ::2].tobytes()


def test_stills_are_scaled() -> None:
    """The file has the size asked for, not the frame's."""
    content = PngEncoder((48, 32)).encode(smooth(), keyframe=True).content
    assert opened(content).shape == (32, 48, 3)

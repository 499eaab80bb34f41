"""Frames in memory: two layouts, and the ways between them and between sizes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar_service.frame import Frame, PixelFormat, format_of, planes, scaled, to_i420

COLOUR = (200, 100, 50)


def plain(size: tuple[int, int] = (96, 72)) -> Frame:
    """Return an RGB picture of one colour."""
    return np.full((size[1], size[0], 3), COLOUR, np.uint8)


def test_the_shape_tells_the_layout() -> None:
    """Three axes are RGB, two are I420."""
    assert format_of(plain()) is PixelFormat.RGB
    assert format_of(to_i420(plain())) is PixelFormat.I420


def test_what_is_i420_stays_as_it_is() -> None:
    """Nothing is converted twice."""
    frame = to_i420(plain())
    assert to_i420(frame) is frame


@given(width=st.integers(1, 40).map(lambda half: 2 * half), height=st.integers(1, 40).map(lambda half: 2 * half))
def test_planes_are_views_of_all_pixels(width: int, height: int) -> None:
    """Luma at full size and two chroma planes at half of it, also where a plane ends within a row."""
    frame: Frame = np.arange(width * height * 3 // 2, dtype=np.uint32).astype(np.uint8).reshape(height * 3 // 2, width)
    luma, blue, red = planes(frame)
    assert luma.shape == (height, width)
    assert blue.shape == red.shape == (height // 2, width // 2)
    assert b"".join(plane.tobytes() for plane in (luma, blue, red)) == frame.tobytes()
    red[:] = 7
    assert frame.reshape(-1)[-1] == 7


def test_colours_survive_the_way_through_i420() -> None:
    """A plain picture comes back within rounding."""
    back = cv2.cvtColor(to_i420(plain()), cv2.COLOR_YUV2RGB_I420)
    assert np.abs(back.astype(int) - COLOUR).max() <= 2


@pytest.mark.parametrize("pixel_format", list(PixelFormat), ids=lambda pixel_format: pixel_format.name)
def test_scaling_to_the_own_size_copies_nothing(pixel_format: PixelFormat) -> None:
    """A frame of the right size is passed on."""
    frame = plain() if pixel_format is PixelFormat.RGB else to_i420(plain())
    assert scaled(frame, (96, 72)) is frame


@pytest.mark.parametrize("size", [(48, 36), (192, 144)])
def test_scaling_keeps_layout_and_colours(size: tuple[int, int]) -> None:
    """Smaller or larger, a plain picture stays plain, in either layout."""
    smaller = scaled(plain(), size)
    assert smaller.shape == (size[1], size[0], 3)
    assert (smaller == COLOUR).all()
    np.testing.assert_array_equal(scaled(to_i420(plain()), size), to_i420(smaller))

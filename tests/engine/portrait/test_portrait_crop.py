"""Cropping and pasting back: boxes stay inside the picture, and the paste's rim is soft."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar_service.engine.portrait import crop
from avatar_service.engine.portrait.face import Face
from avatar_service.engine.portrait.grid import CELLS, Box
from avatar_service.engine.portrait.preparation import canonical_face


def face_at(x: float, y: float, height: float) -> Face:
    """Return a face of this height somewhere."""
    unit = canonical_face(1)
    return unit.moved((0.5 - x / height, 0.5 - y / height), height)


@given(
    width=st.integers(64, 2000),
    height=st.integers(64, 2000),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    size=st.floats(0.2, 2),
    scale=st.floats(0.5, 2),
)
def test_face_box_is_a_square_inside_the_picture(
    width: int, height: int, place: tuple[float, float], size: float, scale: float
) -> None:
    """Wherever a face is, its box is square and lies in the picture."""
    box = crop.face_box(face_at(place[0] * width, place[1] * height, size * height), width, height, scale)
    assert box.width == box.height > 0
    assert box.clipped(width, height) == box


@settings(deadline=None, max_examples=30)
@given(width=st.integers(1, 3000), height=st.integers(1, 3000))
def test_whole_frames_have_even_sides(width: int, height: int) -> None:
    """Encoders need even sides; none is longer than 1280."""
    shrunk = crop.shrunk(np.broadcast_to(np.zeros(3, np.uint8), (height, width, 3)))
    assert shrunk.shape[0] % 2 == shrunk.shape[1] % 2 == 0
    assert min(shrunk.shape[:2]) >= 2
    assert max(shrunk.shape[:2]) <= 1280


@pytest.mark.parametrize("side", [10, 236, 512, 3000])
def test_inner_frame_fits_the_grid(side: int) -> None:
    """The inner frame of a paste is a multiple of the grid's cells, within bounds."""
    size = crop.stitched_size(Box(0, 0, side, side))
    assert size % CELLS == 0
    assert 256 <= size <= 1024


@pytest.mark.parametrize("box", [Box(0, 0, 100, 100), Box(50, 0, 250, 200), Box(60, 40, 160, 140)])
def test_paste_is_soft_inside_and_hard_at_the_pictures_edge(box: Box) -> None:
    """The square is pasted fully in its middle, not at all at an inner border, and fully at the picture's own."""
    picture = np.zeros((200, 300, 3), np.uint8)
    stitch = crop.stitch(picture, box)
    pasted = stitch.paste(np.full((256, 256, 3), 200, np.uint8))
    middle = (box.top + box.bottom) // 2
    assert pasted[middle, (box.left + box.right) // 2, 0] == 200
    assert pasted[middle, box.left, 0] == (200 if box.left == 0 else 0)
    outside = np.ones((200, 300), bool)
    outside[box.rows, box.columns] = False
    assert not pasted[outside].any()
    assert not picture.any()


def test_uncut_picture_of_the_same_size_stays() -> None:
    """Cutting the whole picture at its own size changes no pixel."""
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    np.testing.assert_array_equal(crop.cut(picture, Box(0, 0, 64, 64), 64), picture)


def test_middle_box_is_the_largest_centred_square() -> None:
    """A wide and a tall picture lose the same at both ends."""
    assert crop.middle_box(300, 100) == Box(100, 0, 200, 100)
    assert crop.middle_box(100, 301) == Box(0, 100, 100, 200)


@given(
    width=st.integers(64, 2000),
    height=st.integers(64, 2000),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    size=st.floats(0.05, 0.6),
)
def test_square_with_a_face_cuts_off_no_more_than_the_picture(
    width: int, height: int, place: tuple[float, float], size: float
) -> None:
    """A face that is whole in the picture is whole in the uncropped square, which is the largest there is."""
    face = face_at(place[0] * width, place[1] * height, size * min(width, height))
    box = crop.square_with(face, width, height)
    assert box.width == box.height == min(width, height)
    assert box.clipped(width, height) == box
    assert crop.cuts_off(box, face) == crop.cuts_off(Box(0, 0, width, height), face)


def test_square_with_a_face_in_the_middle_is_the_middle() -> None:
    """The square is moved no farther than the face asks."""
    assert crop.square_with(face_at(500, 200, 150), 1000, 400) == crop.middle_box(1000, 400)
    assert crop.square_with(face_at(0, 200, 150), 1000, 400) == Box(0, 0, 400, 400)
    assert crop.square_with(face_at(200, 1000, 150), 400, 1000) == Box(0, 600, 400, 1000)

"""The head: its relief, its weight and the field of a pose."""

from __future__ import annotations

import numpy as np
import pytest

from avatar_service.engine.portrait.depth import ALONE, STITCHED, depth_map, head_weight
from avatar_service.engine.portrait.face import Face
from avatar_service.engine.portrait.grid import Grid
from avatar_service.engine.portrait.pose import Head, Pose, measure_head
from avatar_service.engine.portrait.preparation import canonical_face


@pytest.fixture(scope="module")
def face() -> Face:
    """Return the common layout in a frame of 512 pixels."""
    return canonical_face(512)


@pytest.fixture(scope="module")
def head(face: Face) -> Head:
    """Return its head."""
    return measure_head(face, Grid(512), ALONE)


def test_nose_is_nearest_and_background_is_flat(face: Face) -> None:
    """The relief is highest about the nose and zero in the frame's corners."""
    grid = Grid(512)
    relief = depth_map(face, grid)
    row, column = np.unravel_index(np.argmax(relief), relief.shape)
    assert np.linalg.norm(grid.points[row, column] - face.flat[1]) < 40
    assert relief[0, 0] == pytest.approx(0, abs=1.0)
    assert relief[0, -1] == pytest.approx(0, abs=1.0)


def test_weight_is_one_on_the_face_and_zero_far_away(face: Face) -> None:
    """The face moves with the head, the corners of the frame do not."""
    grid = Grid(512)
    weight = head_weight(face, grid)
    assert weight[grid.node_near(*face.flat[1])] == pytest.approx(1.0, abs=0.01)
    assert weight[0, 0] < 0.05
    assert (weight >= 0).all()
    assert (weight <= 1).all()


def test_pose_at_rest_moves_nothing(head: Head) -> None:
    """No angle, no displacement."""
    assert Pose().at_rest
    assert not head.field(Pose()).any()


def test_small_roll_turns_about_the_neck(head: Head, face: Face) -> None:
    """Rolling moves the nose sideways and the eyes apart in height, as a rigid turn does."""
    grid = Grid(512)
    field = head.field(Pose(roll=0.05))
    right, left = (field[grid.node_near(*face.flat[number])] for number in (33, 263))
    span = face.flat[263, 0] - face.flat[33, 0]
    assert left[1] - right[1] == pytest.approx(0.05 * span, rel=0.15)


@pytest.mark.parametrize("edges", [ALONE, STITCHED])
def test_held_edges_do_not_move(edges: object, face: Face) -> None:
    """At the frame's border a strong pose moves less than a pixel or so."""
    assert isinstance(edges, type(ALONE))
    field = np.abs(measure_head(face, Grid(512), edges).field(Pose(0.2, 0.15, 0.1, 5, 5)))
    border = max(field[:2].max(), field[-2:].max(), field[:, :2].max(), field[:, -2:].max())
    assert border < 3


def test_translation_scales_with_the_frame(face: Face) -> None:
    """A translation is given in pixels of a 512-pixel frame, whatever the frame's size."""
    half = measure_head(face.moved((0, 0), 0.5), Grid(256), ALONE).field(Pose(x=4.0))
    full = measure_head(face, Grid(512), ALONE).field(Pose(x=4.0))
    assert full.max() == pytest.approx(4.0, abs=0.05)
    assert half.max() == pytest.approx(2.0, abs=0.05)

"""Faces are found where there are some."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_service.engine.portrait import indices
from avatar_service.engine.portrait.face import Face
from avatar_service.engine.portrait.landmarks import FaceFinder


def test_finds_the_astronaut(finder: FaceFinder, astronaut: NDArray[np.uint8]) -> None:
    """A small face in a large picture is found with its eyes above its mouth."""
    (face,) = finder.find(astronaut)
    assert face.score > 0.9
    assert face.points.shape == (468, 3)
    assert face.flat[33, 1] < face.flat[13, 1] < face.flat[indices.CHIN, 1]
    assert 180 < face.flat[:, 0].mean() < 260


def test_irises_lie_between_the_eye_corners(finder: FaceFinder, astronaut: NDArray[np.uint8]) -> None:
    """The iris model's answer for either eye, mirrored or not, comes back into the eye."""
    (face,) = finder.find(astronaut)
    for eye, iris in zip(indices.EYES, face.irises, strict=True):
        left, right = face.flat[eye.upper[0], 0], face.flat[eye.upper[-1], 0]
        assert left < iris[0, 0] < right


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_finds_a_turned_face(finder: FaceFinder, astronaut: NDArray[np.uint8], turns: int) -> None:
    """A portrait that lies on its side is found by the turned views."""
    assert finder.find(np.ascontiguousarray(np.rot90(astronaut, turns)))


def test_finds_two_faces_largest_first(finder: FaceFinder, astronaut: NDArray[np.uint8]) -> None:
    """Of several faces the largest and surest comes first."""
    close = astronaut[:256, 96:352]
    pair = np.zeros((256, 456, 3), np.uint8)
    pair[:200, :200] = cv2.resize(close, (200, 200), interpolation=cv2.INTER_AREA)
    pair[:, 200:] = close
    faces = finder.find(pair)
    assert len(faces) == 2
    assert faces[0].extent > 1.15 * faces[1].extent
    assert faces[0].flat[0, 0] > 200


@pytest.mark.parametrize("value", [0, 127, 255])
def test_finds_nothing_in_a_flat_picture(finder: FaceFinder, value: int) -> None:
    """A flat picture has no face."""
    assert finder.find(np.full((200, 300, 3), value, np.uint8)) == []


def test_moved_face_keeps_its_shape() -> None:
    """Cutting and enlarging a picture moves and scales every point alike."""
    points = np.random.default_rng(0).uniform(10, 90, (468, 3)).astype(np.float32)
    face = Face(points, np.zeros((2, 5, 2), np.float32), 1.0)
    moved = face.moved((10, 20), 2.0)
    assert moved.height == pytest.approx(2 * face.height, rel=1e-4)
    assert moved.flat[0] == pytest.approx((points[0, :2] + 0.5 - (10, 20)) * 2 - 0.5, abs=1e-3)

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


def test_finds_both_of_two_pictures(finder: FaceFinder, astronaut: NDArray[np.uint8]) -> None:
    """Side by side, either face is a ninth of the picture's width; both are found, at their places."""
    faces = finder.find(np.concatenate([astronaut, astronaut], axis=1))
    assert sorted(round(float(face.flat[:, 0].mean()) / 256) for face in faces) == [1, 3]


@pytest.fixture(scope="module")
def canvas() -> NDArray[np.uint8]:
    """Return 16 million grey pixels."""
    return np.full((4000, 4000, 3), 110, np.uint8)


@pytest.mark.parametrize("extent", [64, 113, 170])
@pytest.mark.parametrize("centre", [(200, 200), (2000, 2000), (2170, 1830), (3830, 3600)])
def test_finds_small_faces_in_a_large_picture(
    finder: FaceFinder,
    astronaut: NDArray[np.uint8],
    canvas: NDArray[np.uint8],
    extent: int,
    centre: tuple[int, int],
) -> None:
    """From 64 pixels on a face is found anywhere among 16 million, and nothing else is."""
    side = round(extent * 256 / 107.25)
    close = cv2.resize(astronaut[:256, 96:352], (side, side), interpolation=cv2.INTER_AREA)
    left, top = max(centre[0] - side // 2, 0), max(centre[1] - side // 2, 0)
    place = np.s_[top : top + side, left : left + side]
    canvas[place] = close[: 4000 - top, : 4000 - left]
    try:
        (face,) = finder.find(canvas)
    finally:
        canvas[place] = 110
    assert face.extent == pytest.approx(extent, rel=0.08)
    expected = (left + 0.5 * side, top + 0.46 * side)
    assert np.linalg.norm(face.flat.mean(axis=0) - expected) < 0.5 * extent


def texture(kind: str) -> NDArray[np.uint8]:
    """Return a large picture that shows nothing."""
    rng = np.random.default_rng(5)
    width, height = 2400, 1800
    if kind == "gradient":
        line = np.linspace(0, 255, width)
        grey = np.broadcast_to(line, (height, width))
    elif kind == "noise":
        grey = rng.uniform(0, 255, (height, width))
    elif kind == "clouds":
        octaves = (
            cv2.resize(rng.normal(size=(n, n)), (width, height), interpolation=cv2.INTER_CUBIC) / n
            for n in (4, 8, 16, 32, 64, 128)
        )
        grey = cv2.normalize(sum(octaves), None, 0, 255, cv2.NORM_MINMAX)
    elif kind == "bricks":
        down, across = np.mgrid[:height, :width]
        grey = np.where((down % 60 < 6) | ((across + 60 * (down // 60 % 2)) % 120 < 6), 200, 90)
    else:
        grey = np.full((height, width), 90)
        for x, y, radius in rng.uniform((0, 0, 10), (width, height, 120), (300, 3)):
            cv2.circle(grey := np.ascontiguousarray(grey, np.uint8), (int(x), int(y)), int(radius), int(x % 256), -1)
    return np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.mark.parametrize("kind", ["gradient", "noise", "clouds", "bricks", "discs"])
def test_finds_nothing_in_textures(finder: FaceFinder, kind: str) -> None:
    """However finely it is looked at, a texture has no face."""
    assert finder.find(texture(kind)) == []


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

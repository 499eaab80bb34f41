"""Quads: one look draws two by two pixels, as four looks would."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_service.engine.portrait.arrays import Floats, floats, taken
from avatar_service.engine.portrait.grid import NODES, Box, Grid
from avatar_service.engine.portrait.quads import quads
from avatar_service.frame import planes, to_i420

Picture = NDArray[np.uint8]


def picture(size: int) -> Picture:
    """Return noise that is a little smooth, as photographs are, ``[size, size, 3]``."""
    noise = np.random.default_rng(3).integers(0, 256, (size, size, 3), np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), np.uint8)


def own_places(grid: Grid) -> Floats:
    """Return the place in a texture twice as fine that each node has at rest."""
    return floats(grid.points * 2 + 0.5)


def pixel_by_pixel(texture: Picture, field: Floats, grid: Grid) -> list[Picture]:
    """Return luma and chroma of the frame with a look of its own for each sample."""
    luma, *chromas = planes(to_i420(texture))
    looks = [(luma, grid, field), *((plane, Grid(grid.size // 2), (field - 0.5) * 0.5) for plane in chromas)]
    drawn = []
    for plane, own, places in looks:
        fine = own.refine(floats(places), Box(0, 0, own.size, own.size))
        drawn.append(taken(plane, fine, cv2.BORDER_REPLICATE))
    return drawn


@pytest.mark.parametrize("size", [256, 512, 768])
@pytest.mark.parametrize("moved", [(0.0, 0.0), (3.25, -1.5), (0.375, 0.625)])
def test_a_shifted_picture_is_the_same_as_pixel_by_pixel(size: int, moved: tuple[float, float]) -> None:
    """Where every pixel moves alike, four samples at a time are the same samples, at the borders too."""
    grid, texture = Grid(size), picture(2 * size)
    field = floats(own_places(grid) + floats(moved))
    frame = quads(texture).draw(field)
    assert frame.shape == (size * 3 // 2, size)
    assert frame.dtype == np.uint8
    assert frame.flags["C_CONTIGUOUS"]
    for plane, wanted in zip(planes(frame), pixel_by_pixel(texture, field, grid), strict=True):
        inside = slice(4, -4)
        assert np.abs(plane.astype(int) - wanted)[inside, inside].max() <= 1
        assert np.abs(plane.astype(int) - wanted).mean() < 0.3


def test_a_bent_picture_is_nearly_the_same() -> None:
    """Turned by a tenth and stretched by as much, few pixels differ by more than a shade."""
    grid, texture = Grid(512), picture(1024)
    x, y = grid.points[..., 0] - 255.5, grid.points[..., 1] - 255.5
    turned = floats(np.dstack([0.1 * y, 0.1 * x + 0.1 * y]))
    field = floats(own_places(grid) + 2 * turned)
    for plane, wanted in zip(planes(quads(texture).draw(field)), pixel_by_pixel(texture, field, grid), strict=True):
        assert np.abs(plane.astype(int) - wanted).mean() < 2.5


def test_drawing_changes_neither_texture_nor_field() -> None:
    """The same field gives the same frame, in an array of its own."""
    grid = Grid(256)
    many, field = quads(picture(512)), own_places(grid)
    before = many.luma.copy(), many.chroma.copy(), field.copy()
    first, second = many.draw(field), many.draw(field)
    np.testing.assert_array_equal(first, second)
    assert not np.shares_memory(first, second)
    for now, then in zip((many.luma, many.chroma, field), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_nodes_are_those_of_the_grid() -> None:
    """A field that is bent at one node alone moves the picture there and nowhere else."""
    grid, texture = Grid(512), picture(1024)
    field = own_places(grid)
    many = quads(texture)
    still = planes(many.draw(field))[0]
    row, column = NODES // 2, NODES // 3
    field[row, column] += 6
    changed = planes(many.draw(field))[0] != still
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    x, y = grid.points[row, column]
    assert np.abs(columns[[0, -1]] - x).max() <= grid.step + 2
    assert np.abs(rows[[0, -1]] - y).max() <= grid.step + 2

"""The coarse grid: refining is exact on straight fields and the inverse undoes a field."""

from __future__ import annotations

import numpy as np
import pytest

from avatar_service.engine.portrait.grid import NODES, Box, Grid


@pytest.mark.parametrize("size", [256, 512, 768])
@pytest.mark.parametrize("box", [Box(0, 0, 256, 256), Box(37, 101, 90, 133), Box(200, 3, 256, 77)])
def test_refining_the_nodes_gives_the_pixels(size: int, box: Box) -> None:
    """A field that names every node's own place names every pixel's own place, up to the very border."""
    grid = Grid(size)
    fine = grid.refine(grid.points, box)
    rows, columns = np.mgrid[box.top : box.bottom, box.left : box.right]
    np.testing.assert_allclose(fine[..., 0], columns, atol=1e-3)
    np.testing.assert_allclose(fine[..., 1], rows, atol=1e-3)


def test_inverse_undoes_a_smooth_field() -> None:
    """Where the backward field leads, the forward field leads back."""
    grid = Grid(512)
    x, y = grid.points[..., 0] / 512, grid.points[..., 1] / 512
    field = np.dstack([12 * np.sin(3 * x + y), 9 * np.cos(2 * y - x)]).astype(np.float32)
    edge = np.clip(np.minimum(grid.points, 511 - grid.points).min(axis=2) / 64, 0, 1)[..., np.newaxis]
    fields = np.stack([field, -0.5 * field]) * edge
    for forward, backward in zip(fields, grid.inverse(fields, 6), strict=True):
        residual = backward + grid.sample(forward, backward)
        assert np.abs(residual[4:-4, 4:-4]).max() < 0.05


def test_inverting_two_fields_together_is_inverting_each() -> None:
    """Where their edges are still, they do not see each other."""
    grid = Grid(512)
    bump = np.exp(-np.square((grid.points - 256) / 60).sum(axis=2))[..., np.newaxis]
    fields = (np.array([[[[6.0, 3.0]]], [[[-4.0, 9.0]]]]) * bump).astype(np.float32)
    together = grid.inverse(fields, 4)
    for forward, backward in zip(fields, together, strict=True):
        np.testing.assert_array_equal(grid.inverse(forward[np.newaxis], 4)[0], backward)


def test_nearest_node_is_the_nearest() -> None:
    """A pixel's nearest node is at most half a step away, also at the corners."""
    grid = Grid(512)
    for place in ((0, 0), (511, 511), (100.2, 303.9)):
        row, column = grid.node_near(*place)
        assert 0 <= row < NODES
        assert np.abs(grid.points[row, column] - place).max() <= grid.step / 2 + 0.5


def test_box_arithmetic() -> None:
    """Boxes grow, move and stay inside a picture when clipped."""
    box = Box(2, 3, 10, 8)
    assert (box.width, box.height) == (8, 5)
    assert box.grown(4).clipped(12, 9) == Box(0, 0, 12, 9)
    assert box.moved(1, -1) == Box(3, 2, 11, 7)

"""Patches: what changed is found, whole and even."""

from __future__ import annotations

import numpy as np
import pytest

from avatar_service.engine.portrait.grid import Box
from avatar_service.engine.portrait.patch import MARGIN, patch_of

PLACE = Box(100, 40, 160, 90)


def test_nothing_changed_is_an_empty_box() -> None:
    """A patch that shows the same has nothing to draw."""
    before = np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8)
    patch = patch_of(PLACE, before, before.copy())
    assert patch.box.width == patch.box.height == 0
    assert patch.changed.size == 0


@pytest.mark.parametrize("corners", [(20, 10, 33, 27), (0, 0, 1, 1), (59, 49, 60, 50), (0, 0, 60, 50)])
def test_what_changed_lies_in_the_box(corners: tuple[int, int, int, int]) -> None:
    """The box is even, inside the patch, has all changes, and keeps a margin where there is room."""
    inside = Box(*corners)
    before = np.zeros((50, 60, 3), np.uint8)
    after = before.copy()
    after[inside.rows, inside.columns, 1] = 9
    patch = patch_of(PLACE, before, after)
    assert patch.whole is after
    assert not any(edge % 2 for edge in patch.box)
    left, top, right, bottom = patch.box.moved(-PLACE.left, -PLACE.top)
    assert 0 <= left <= max(inside.left - MARGIN, 0)
    assert 0 <= top <= max(inside.top - MARGIN, 0)
    assert min(inside.right + MARGIN, 60) <= right <= 60
    assert min(inside.bottom + MARGIN, 50) <= bottom <= 50
    np.testing.assert_array_equal(patch.changed, after[top:bottom, left:right])


def test_a_change_of_one_colour_counts() -> None:
    """A difference in blue alone, by one, is a change."""
    before = np.full((50, 60, 3), 100, np.uint8)
    after = before.copy()
    after[25, 30, 2] += 1
    patch = patch_of(PLACE, before, after)
    assert patch.box.width <= 2 * MARGIN + 3
    assert patch.box.height <= 2 * MARGIN + 3
    assert patch.changed.max() == 101

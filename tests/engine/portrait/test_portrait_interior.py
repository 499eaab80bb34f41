"""Interior: teeth and tongue are drawn in the portrait's light, and its own teeth are kept where it shows them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_service.engine.portrait.arrays import floats, luminance
from avatar_service.engine.portrait.interior import Interior, Layer, draw_interior, own_teeth
from avatar_service.engine.portrait.lips import Lips
from avatar_service.engine.portrait.palette import Palette

UNIT = 40.0
SIZE = 256
CENTRE = SIZE / 2
PALETTE = Palette(
    cavity=floats([40, 16, 17]),
    tongue=floats([120, 60, 66]),
    tooth=floats([200, 196, 180]),
    neck=floats([200, 186, 157]),
    gum=floats([90, 50, 50]),
)
Picture = NDArray[np.uint8]


def lips(gap: float = 0.0) -> Lips:
    """Return lips in the middle of the picture, parted by ``gap``."""
    line = floats(np.linspace(-1, 1, 9))
    arch = floats(gap / 2 * (1 - line**2))
    curves = ((line, -arch), (line, arch))
    return Lips((CENTRE, CENTRE), (1.0, 0.0), (UNIT, UNIT), UNIT, curves, 1.6, -0.8, 0.0)


def points() -> NDArray[np.float32]:
    """Return the frame's own pixels, so that layers can be read at frame coordinates."""
    return floats(np.dstack(np.meshgrid(np.arange(SIZE), np.arange(SIZE))))


def place(x: float, y: float) -> tuple[int, int]:
    """Return row and column of a place given in mouth units from the middle of the lips."""
    return round(CENTRE + y * UNIT), round(CENTRE + x * UNIT)


def drawn() -> Interior:
    """Return the interior of lips that are closed in the portrait."""
    return draw_interior(lips(), PALETTE, points())


def light(layer: Layer, x: float, y: float) -> float:
    """Return the mean brightness about a place."""
    row, column = place(x, y)
    return float(luminance(layer.colour[row - 1 : row + 2, column - 1 : column + 2]).mean())


def test_teeth_get_darker_towards_the_cheeks() -> None:
    """Front teeth are the brightest; each one farther aside is darker."""
    teeth = drawn().upper_teeth
    lights = [light(teeth, x, -0.05) for x in (0.08, 0.37, 0.62, 0.72)]
    assert lights == sorted(lights, reverse=True)
    assert lights[-1] < 0.85 * lights[0]


def test_teeth_are_not_all_of_one_length() -> None:
    """The second tooth's edge is higher than the first one's, and the canine's lower again."""
    alpha = drawn().upper_teeth.alpha
    ends = [int(np.flatnonzero(alpha[:, place(x, 0)[1]] > 0.5).max()) for x in (0.08, 0.23)]
    assert ends[0] > ends[1]


@pytest.mark.parametrize("side", [-0.5, 0.0, 0.5])
def test_lower_teeth_stand_in_flesh(side: float) -> None:
    """Below the lower teeth there is gum, red and dark, and no hole."""
    layer = drawn().lower_teeth
    row, column = place(side, 0.45)
    red, green, _ = (float(value) for value in layer.colour[row, column])
    assert layer.alpha[row, column] > 0.9
    assert red > 1.5 * green
    assert light(layer, side, 0.45) < 0.5 * light(layer, 0.05, 0.1)


def test_own_teeth_are_kept_in_the_opening() -> None:
    """Inside the portrait's opening its own pixels are shown as they are."""
    texture = np.zeros((2 * SIZE, 2 * SIZE, 3), np.uint8)
    texture[:] = np.linspace(0, 255, 2 * SIZE)[None, :, None]
    layer = own_teeth(lips(0.3), texture, points(), PALETTE)
    row, column = place(0.0, 0.0)
    shown = layer.colour[row, column - 20 : column + 20]
    np.testing.assert_allclose(shown, texture[row, 2 * (column - 20) : 2 * (column + 20) : 2], atol=2)
    assert (layer.alpha[row, column - 20 : column + 20] == 1).all()


def test_beyond_the_own_corners_is_flesh_in_the_shade() -> None:
    """Lips drawn wider than the portrait's mouth uncover neither skin nor a hole."""
    texture = np.full((2 * SIZE, 2 * SIZE, 3), 220, np.uint8)
    layer = own_teeth(lips(0.3), texture, points(), PALETTE)
    row, column = place(1.1, 0.0)
    assert layer.alpha[row, column] > 0.5
    np.testing.assert_allclose(layer.colour[row, column], PALETTE.gum / 2, atol=2)

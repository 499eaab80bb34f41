"""Palette: colours fit the portrait, and a covered mouth is noticed."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_service.engine.base import PrepareOptions
from avatar_service.engine.portrait import indices
from avatar_service.engine.portrait.arrays import luminance
from avatar_service.engine.portrait.engine import PortraitEngine
from avatar_service.engine.portrait.landmarks import FaceFinder
from avatar_service.engine.portrait.palette import measure_palette
from avatar_service.engine.portrait.preparation import canonical_face

Picture = NDArray[np.uint8]
SKIN = (205, 160, 140)


def covered(picture: Picture, finder: FaceFinder, colour: tuple[int, ...] | None) -> Picture:
    """Return the picture with a disc over the mouth, of this colour or that of the cheek."""
    flat = finder.find(picture)[0].flat
    x, y = flat[[indices.LIP_TOP_INNER, indices.LIP_BOTTOM_INNER]].mean(axis=0)
    width = float(np.linalg.norm(flat[61] - flat[291]))
    cheek = tuple(int(value) for value in picture[tuple(np.rint(flat[indices.CHEEKS[0]]).astype(int)[::-1])])
    axes = round(0.7 * width), round(0.45 * width)
    hidden = picture.copy()
    cv2.ellipse(hidden, (round(float(x)), round(float(y))), axes, 0, 0, 360, colour or cheek, -1)
    return hidden


def grey(picture: Picture) -> Picture:
    """Return the picture without colour."""
    return np.repeat(luminance(picture).round().astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("colour", [(25, 25, 28), None], ids=["microphone", "hand"])
def test_covered_mouth_is_noticed(
    engine: PortraitEngine, finder: FaceFinder, astronaut: Picture, colour: tuple[int, ...] | None
) -> None:
    """A microphone or a hand before the mouth works, and the caller is told that it will bend."""
    avatar = engine.prepare(covered(astronaut, finder, colour), PrepareOptions())
    assert "MOUTH_UNCLEAR" in [notice.reason for notice in avatar.notices]


@pytest.mark.parametrize("name", ["astronaut", "toothy.jpg", "painting.png", "small.png"])
def test_plain_mouths_are_not(
    name: str, engine: PortraitEngine, astronaut: Picture, media: Callable[[str], Picture]
) -> None:
    """A photograph and a painting show their lips, also without colour."""
    picture = astronaut if name == "astronaut" else media(name)
    for one in (picture, grey(picture)):
        assert "MOUTH_UNCLEAR" not in [notice.reason for notice in engine.prepare(one, PrepareOptions()).notices]


def test_grey_skin_gives_grey_colours() -> None:
    """Nothing in a grey portrait's mouth has a hue."""
    palette = measure_palette(canonical_face(512), np.full((512, 512, 3), 150, np.uint8))
    for colour in vars(palette).values():
        assert np.ptp(colour) < 1e-3


def test_dark_portraits_get_dark_teeth() -> None:
    """Teeth are as light as the portrait's own light allows."""
    bright, dark = (
        measure_palette(canonical_face(512), np.full((512, 512, 3), [value // share for value in SKIN], np.uint8))
        for share in (1, 3)
    )
    assert luminance(dark.tooth) < 0.5 * luminance(bright.tooth)
    assert luminance(dark.cavity) < luminance(bright.cavity)


def test_tooth_is_warmer_at_its_neck() -> None:
    """A tooth passes into the gum with less blue than it has in front."""
    palette = measure_palette(canonical_face(512), np.full((512, 512, 3), SKIN, np.uint8))
    assert palette.neck[0] == palette.tooth[0]
    assert palette.neck[2] < 0.95 * palette.tooth[2]

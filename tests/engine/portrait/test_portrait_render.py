"""Frames: what a row asks for is what a landmark finder sees in the picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_service.engine.base import Parameters, PrepareOptions, RenderStep
from avatar_service.engine.portrait import indices
from avatar_service.engine.portrait.avatar import PortraitAvatar
from avatar_service.engine.portrait.engine import PortraitEngine
from avatar_service.engine.portrait.landmarks import FaceFinder
from avatar_service.engine.portrait.rig import WIDTH, Column, neutral_row
from avatar_service.frame import PixelFormat, planes, to_i420

Picture = NDArray[np.uint8]
Render = Callable[..., Picture]


def lip_gap(finder: FaceFinder, frame: Picture) -> float:
    """Return the gap between the inner lips in eye distances."""
    face = finder.find(frame)[0]
    gap = np.linalg.norm(face.flat[indices.LIP_TOP_INNER] - face.flat[indices.LIP_BOTTOM_INNER])
    return float(gap) / face.eye_span


def eye_height(finder: FaceFinder, frame: Picture) -> float:
    """Return the mean height of the eyes in eye distances."""
    face = finder.find(frame)[0]
    heights = [np.linalg.norm(face.flat[eye.upper[4]] - face.flat[eye.lower[4]]) for eye in indices.EYES]
    return float(np.mean(heights)) / face.eye_span


def test_neutral_row_gives_the_source(avatar: PortraitAvatar, render: Render) -> None:
    """The neutral row gives the portrait's crop, bit for bit, in an array of its own."""
    frame = render(avatar)
    np.testing.assert_array_equal(frame, avatar.source)
    assert frame.flags["C_CONTIGUOUS"]
    assert not np.shares_memory(frame, avatar.source)


def test_frames_are_fresh_contiguous_rgb(avatar: PortraitAvatar, render: Render) -> None:
    """A moved frame is a C-contiguous uint8 picture of the declared size."""
    frame = render(avatar, open=0.5, yaw=0.1, blink=0.5)
    width, height = avatar.frame_size
    assert frame.shape == (height, width, 3) == (512, 512, 3)
    assert frame.dtype == np.uint8
    assert frame.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize(
    ("columns", "furthest"),
    [
        ({}, 0),
        ({"open": 0.8, "yaw": 0.15, "blink": 0.6}, 4),
        ({"gaze_x": 0.7, "roll": 0.08}, 6),
        ({"open": 1.0, "yaw": 0.2, "pitch": 0.15, "roll": 0.1}, 9),
        ({"open": 0.5, "x": 90.0, "y": -60.0}, 36),
    ],
    ids=["still", "speaking", "looking", "at the limits", "far off"],
)
@pytest.mark.parametrize("paste_back", [False, True])
def test_i420_shows_the_same_picture(
    columns: dict[str, float], furthest: int, paste_back: bool, engine: PortraitEngine, astronaut: Picture
) -> None:
    """Drawn as I420, a frame is what converting its RGB gives, but for a few pixels at edges; the farther the rarer."""
    avatar = engine.prepare(astronaut, PrepareOptions(paste_back=paste_back))
    row = neutral_row()
    for name, value in columns.items():
        row[Column[name.upper()]] = value
    steps = [RenderStep(avatar, row, pixel_format) for pixel_format in (PixelFormat.RGB, PixelFormat.I420)]
    rgb, i420 = engine.render(steps)
    assert i420.flags["C_CONTIGUOUS"]
    wanted, drawn = planes(to_i420(rgb)), planes(i420)
    for expected, plane in zip(wanted, drawn, strict=True):
        difference = np.abs(expected.astype(int) - plane)
        assert difference.mean() < (0.5 if furthest < 10 else 1)
        assert np.percentile(difference, 99.9) <= furthest


def test_rendering_is_pure(engine: PortraitEngine, avatar: PortraitAvatar, render: Render) -> None:
    """A row gives the same frame whatever was drawn before it or is drawn with it, and the avatar stays as it was."""
    texture = avatar.texture.copy()
    first = render(avatar, open=0.4, blink=0.5, gaze_x=0.5, yaw=0.1)
    rows = np.random.default_rng(0).uniform(0, 0.3, (3, WIDTH)).astype(np.float32)
    engine.render([RenderStep(avatar, row) for row in rows])
    np.testing.assert_array_equal(render(avatar, open=0.4, blink=0.5, gaze_x=0.5, yaw=0.1), first)
    np.testing.assert_array_equal(avatar.texture, texture)


def test_mouth_opens_and_shuts(avatar: PortraitAvatar, render: Render, finder: FaceFinder) -> None:
    """A smiling portrait opens wider than it is for "aa" and shuts for "mm"."""
    own = lip_gap(finder, render(avatar))
    assert lip_gap(finder, render(avatar, open=1.0, rest=0.0)) > 1.15 * own
    assert lip_gap(finder, render(avatar, open=0.0, rest=0.0)) < 0.45 * own


@pytest.mark.parametrize("name", ["small.png", "painting.png"])
def test_closed_mouths_open_by_degrees(
    name: str, media: Callable[[str], Picture], engine: PortraitEngine, render: Render, finder: FaceFinder
) -> None:
    """A portrait with closed lips opens the more the more it is asked to."""
    avatar = engine.prepare(media(name), PrepareOptions())
    gaps = [lip_gap(finder, render(avatar, open=amount)) for amount in (0.0, 0.3, 0.6, 0.9)]
    assert gaps == sorted(gaps)
    assert gaps[0] < 0.04
    assert gaps[3] > 0.12


def test_toothy_portrait_shuts(
    media: Callable[[str], Picture], engine: PortraitEngine, render: Render, finder: FaceFinder
) -> None:
    """A portrait that shows its teeth can close its lips over them."""
    avatar = engine.prepare(media("toothy.jpg"), PrepareOptions())
    assert avatar.lips.toothy
    assert lip_gap(finder, render(avatar, rest=0.0, close=1.0)) < 0.4 * lip_gap(finder, render(avatar))


@pytest.mark.parametrize("name", ["astronaut", "toothy.jpg", "small.png", "painting.png"])
def test_closed_lips_hide_the_mouth(
    name: str, astronaut: Picture, media: Callable[[str], Picture], engine: PortraitEngine, render: Render
) -> None:
    """When a "b" asks for closed lips, nothing behind them is seen, whatever the vowels around it ask for."""
    avatar = engine.prepare(astronaut if name == "astronaut" else media(name), PrepareOptions())
    layers = avatar.mouth.interior
    glowing = {
        field: replace(getattr(layers, field), colour=np.full_like(getattr(layers, field).colour, 255))
        for field in ("tongue", "lower_teeth", "upper_teeth")
    }
    inside = replace(layers, cavity=np.full_like(layers.cavity, 255), **glowing)
    other = replace(avatar, mouth=replace(avatar.mouth, interior=inside))
    asked = {"open": 0.4, "close": 0.8, "uplip": 0.3, "lolip": 0.3, "rest": 0.0}
    seen = np.abs(render(avatar, **asked).astype(int) - render(other, **asked)).max(axis=-1)
    opened = np.abs(render(avatar, open=0.4, rest=0.0).astype(int) - render(other, open=0.4, rest=0.0)).max(axis=-1)
    assert np.count_nonzero(seen > 40) < 0.05 * np.count_nonzero(opened > 40)


def test_oo_is_dark_inside(avatar: PortraitAvatar, render: Render) -> None:
    """A rounded mouth shows no teeth, though the portrait does."""
    x, y = (round(value) for value in avatar.lips.origin)
    unit = round(avatar.lips.unit)
    mouths = [
        render(avatar, open=0.35, rest=0.0, round=amount)[y : y + unit, x - unit // 3 : x + unit // 3]
        for amount in (0, 1)
    ]
    bright, dark = (mouth.max(axis=-1).min(axis=0).mean() for mouth in mouths)
    assert dark < 0.5 * bright


def test_rounding_narrows_and_widening_widens(avatar: PortraitAvatar, render: Render, finder: FaceFinder) -> None:
    """The corners come closer for "oo" and part for "ee"."""
    widths = []
    for columns in ({"round": 1.0}, {}, {"wide": 1.0}):
        face = finder.find(render(avatar, open=0.4, rest=0.0, **columns))[0]
        widths.append(float(np.linalg.norm(face.flat[61] - face.flat[291])) / face.eye_span)
    assert widths[0] < widths[1] < widths[2]


def test_blink_shuts_the_eyes(avatar: PortraitAvatar, render: Render, finder: FaceFinder) -> None:
    """The lids come down in steps."""
    heights = [eye_height(finder, render(avatar, blink=amount)) for amount in (0.0, 0.5, 1.0)]
    assert heights[0] > heights[1] > heights[2]
    assert heights[2] < 0.75 * heights[0]


@pytest.mark.parametrize(("column", "axis", "sign"), [("gaze_x", 0, 1), ("gaze_y", 1, 1)])
def test_gaze_moves_the_irises(
    column: str, axis: int, sign: int, avatar: PortraitAvatar, render: Render, finder: FaceFinder
) -> None:
    """The irises go where they are told, and back."""
    there, back = (
        finder.find(render(avatar, **{column: amount}))[0].irises[:, 0, axis].mean() for amount in (0.8, -0.8)
    )
    assert sign * (there - back) > 3


def test_yaw_moves_the_nose_before_the_ears(avatar: PortraitAvatar, render: Render, finder: FaceFinder) -> None:
    """Turning is parallax: the nose goes farther than the sides of the face."""
    right, left = (finder.find(render(avatar, yaw=angle))[0].flat for angle in (0.2, -0.2))
    assert right[1, 0] - left[1, 0] > 15
    assert right[1, 0] - left[1, 0] > 2 * abs(right[234, 0] - left[234, 0])


def test_pitch_and_roll(avatar: PortraitAvatar, render: Render, finder: FaceFinder) -> None:
    """Positive pitch nods down; positive roll turns the eye line clockwise."""
    nod, back = (finder.find(render(avatar, pitch=angle))[0].flat[1, 1] for angle in (0.15, -0.15))
    assert nod - back > 10
    face = finder.find(render(avatar, roll=0.1))[0].flat
    still = finder.find(render(avatar))[0].flat
    slopes = [np.arctan2(*(points[263] - points[33])[::-1]) for points in (face, still)]
    assert slopes[0] - slopes[1] == pytest.approx(0.1, abs=0.04)


def test_corners_of_the_frame_stay(avatar: PortraitAvatar, render: Render) -> None:
    """A moving head does not drag the background's corners along."""
    frame, still = render(avatar, yaw=0.2, roll=0.08), render(avatar, x=1e-3)
    for rows in (slice(0, 12), slice(-12, None)):
        for columns in (slice(0, 12), slice(-12, None)):
            difference = np.abs(frame[rows, columns].astype(int) - still[rows, columns])
            assert difference.mean() < 6


def test_half_a_pixel_of_motion_stays_sharp(avatar: PortraitAvatar, render: Render) -> None:
    """A slightly moved frame differs little from the still one: no breathing between sharp and soft."""
    moved, still = render(avatar, x=0.5), render(avatar)
    energy = [float(np.abs(np.diff(frame.astype(int), axis=0)).mean()) for frame in (moved, still)]
    assert energy[0] > 0.85 * energy[1]


def test_grey_portrait_stays_grey(engine: PortraitEngine, astronaut: Picture, render: Render) -> None:
    """A grey portrait gets grey teeth, tongue and eyes."""
    grey = np.repeat(astronaut.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    avatar = engine.prepare(grey, PrepareOptions())
    frame = render(avatar, open=0.9, yaw=0.05, blink=0.6).astype(int)
    assert np.ptp(frame, axis=2).max() <= 3


def test_extreme_rows_do_not_crash(avatar: PortraitAvatar, engine: PortraitEngine) -> None:
    """Whatever a row says, there is a frame of the right size."""
    for value in (-2.0, 2.0):
        row = np.full(WIDTH, value, np.float32)
        assert engine.render([RenderStep(avatar, row)])[0].shape == (512, 512, 3)
    row = neutral_row()
    row[Column.X] = 400
    assert engine.render([RenderStep(avatar, row)])[0].shape == (512, 512, 3)


def test_open_takes_an_avatar(engine: PortraitEngine, avatar: PortraitAvatar) -> None:
    """Sessions of one avatar have states of their own."""
    assert engine.open(avatar, Parameters()) is not engine.open(avatar, Parameters())

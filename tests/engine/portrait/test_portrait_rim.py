"""Glasses: a rim between lid and brow is noticed, in each eye by itself, and a blink leaves it where it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_service.engine.base import PrepareOptions
from avatar_service.engine.portrait.avatar import PortraitAvatar
from avatar_service.engine.portrait.engine import PortraitEngine
from avatar_service.engine.portrait.eyes import LID_REACH, RIMMED_REACH, Eye
from avatar_service.engine.portrait.face import Face
from avatar_service.engine.portrait.indices import EYES, EyeIndices
from avatar_service.engine.portrait.landmarks import FaceFinder

Picture = NDArray[np.uint8]
Render = Callable[..., Picture]
HORN = (38, 28, 24)
BOTH = (0, 1)


def eye_frame(face: Face, eye: EyeIndices) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Return an eye's middle, its half-width along it and down the face as vectors, and its brow's height."""
    corners = face.flat[[eye.upper[0], eye.upper[-1]]]
    centre, along = corners.mean(axis=0), (corners[1] - corners[0]) / 2
    axes = np.array([along, [-along[1], along[0]]])
    width = float(np.linalg.norm(along))
    brow = -((face.flat[list(eye.brow[1:4])] - centre) @ axes[1]).mean() / width**2
    return centre, axes, float(brow)


def with_glasses(
    frame: Picture,
    face: Face,
    thickness: int = 3,
    height: float = 0.5,
    angular: bool = False,
    on: tuple[int, ...] = BOTH,
) -> Picture:
    """Draw dark rims: around each eye, ``height`` brow heights above it, one and two thirds as wide as the eye."""
    drawn = frame.copy()
    inner = []
    for number in on:
        centre, axes, brow = eye_frame(face, EYES[number])
        top, bottom = -height * brow, 1.15
        turn = np.linspace(0, 2 * np.pi, 73)
        outline = np.stack([np.cos(turn), np.sin(turn)], axis=1)
        if angular:
            outline = np.array([(-1, -1), (0.9, -1), (1, -0.8), (0.8, 1), (-0.8, 1), (-1, -1)])
        outline = outline * (1.65, (bottom - top) / 2) + (0, (bottom + top) / 2)
        points = np.round((centre + outline @ axes) * 16).astype(np.int32)
        cv2.polylines(drawn, [points], isClosed=False, color=HORN, thickness=thickness, lineType=cv2.LINE_AA, shift=4)
        inner.append(centre + np.array([1.65 if number == 0 else -1.65, -0.1]) @ axes)
    if len(inner) == len(BOTH):
        first, second = (np.round(point * 16).astype(int).tolist() for point in inner)
        cv2.line(drawn, first, second, HORN, thickness, cv2.LINE_AA, 4)
    return drawn


def rimmed(avatar: PortraitAvatar) -> list[bool]:
    """Return for each eye whether its lid keeps away from a rim."""
    return [eye._anatomy.skin < 0.5 * (LID_REACH + RIMMED_REACH) * eye._anatomy.brow for eye in avatar.eyes]


def untreated(avatar: PortraitAvatar) -> PortraitAvatar:
    """Return the avatar with lids that reach as far as if no rim had been found."""
    eyes = [
        Eye(eye.box, eye._texture, replace(eye._anatomy, skin=LID_REACH * eye._anatomy.brow), eye.strength)
        for eye in avatar.eyes
    ]
    return replace(avatar, eyes=(eyes[0], eyes[1]))


def rim_above_the_lids(frame: Picture, finder: FaceFinder) -> NDArray[np.bool_]:
    """Return which pixels of a still frame are rim, within an eye's width and above its lid."""
    face = finder.find(frame)[0]
    places = np.dstack(np.meshgrid(np.arange(frame.shape[1]), np.arange(frame.shape[0])))
    above = np.zeros(frame.shape[:2], bool)
    for eye in EYES:
        centre, axes, brow = eye_frame(face, eye)
        across, below = np.moveaxis((places - centre) @ axes.T / (axes[0] @ axes[0]), -1, 0)
        above |= (np.abs(across) < 1) & (below > -0.62 * brow) & (below < -0.42 * brow)
    return above & (frame.max(axis=2) < 60)


@pytest.fixture(scope="module")
def face(finder: FaceFinder, avatar: PortraitAvatar) -> Face:
    """Return the astronaut's face in the still frame."""
    return finder.find(avatar.source)[0]


def test_astronaut_wears_no_glasses(avatar: PortraitAvatar) -> None:
    """Lashes, folds and brows are no rim."""
    assert rimmed(avatar) == [False, False]


@pytest.mark.parametrize("name", ["painting.png", "toothy.jpg", "small.png"])
def test_portraits_without_glasses(name: str, media: Callable[[str], Picture], engine: PortraitEngine) -> None:
    """Neither painted, nor red, nor deep and dark folds of a lid are a rim."""
    assert rimmed(engine.prepare(media(name), PrepareOptions())) == [False, False]


@pytest.mark.parametrize("angular", [False, True])
@pytest.mark.parametrize("height", [0.45, 0.5, 0.6])
@pytest.mark.parametrize("thickness", [2, 3, 4])
def test_dark_rims_are_noticed(
    angular: bool, height: float, thickness: int, avatar: PortraitAvatar, face: Face, engine: PortraitEngine
) -> None:
    """Thin or thick, round or angular, a dark rim below the brow is a rim."""
    picture = with_glasses(avatar.source, face, thickness, height, angular)
    assert rimmed(engine.prepare(picture, PrepareOptions())) == [True, True]


def test_other_rims_need_no_treatment(avatar: PortraitAvatar, face: Face, engine: PortraitEngine) -> None:
    """A rim that lies on the brow, where no lid pulls it, and one that is hardly darker than skin, are none."""
    high = with_glasses(avatar.source, face, height=0.9)
    pale = cv2.addWeighted(avatar.source, 0.8, with_glasses(avatar.source, face), 0.2, 0)
    for picture in (high, np.asarray(pale, np.uint8)):
        assert rimmed(engine.prepare(picture, PrepareOptions())) == [False, False]


@pytest.mark.parametrize("eye", BOTH)
def test_each_eye_is_judged_by_itself(eye: int, avatar: PortraitAvatar, face: Face, engine: PortraitEngine) -> None:
    """A monocle is a rim of one eye."""
    picture = with_glasses(avatar.source, face, on=(eye,))
    assert rimmed(engine.prepare(picture, PrepareOptions())) == [number == eye for number in BOTH]


@pytest.mark.parametrize(("thickness", "angular"), [(2, False), (3, False), (3, True), (4, True)])
def test_blink_leaves_the_rim(
    thickness: int,
    angular: bool,
    avatar: PortraitAvatar,
    face: Face,
    engine: PortraitEngine,
    finder: FaceFinder,
    render: Render,
) -> None:
    """In a full blink the rim above the lids changes by a fraction of what it does with lids that reach for it."""
    picture = with_glasses(avatar.source, face, thickness, 0.52, angular)
    treated = engine.prepare(picture, PrepareOptions())
    rim = rim_above_the_lids(treated.source, finder)
    assert rim.sum() > 100
    changes = [
        np.abs(render(one, blink=1.0)[rim].astype(int) - treated.source[rim]).mean()
        for one in (treated, untreated(treated))
    ]
    assert changes[0] < 0.1 * changes[1]


def test_eyes_still_shut_behind_glasses(avatar: PortraitAvatar, face: Face, engine: PortraitEngine) -> None:
    """A blink covers the pupils behind glasses as it does without."""
    treated = engine.prepare(with_glasses(avatar.source, face), PrepareOptions())
    for eye in treated.eyes:
        patch, (centre, radius) = eye.patch(1.0, 0.0, 0.0), eye._anatomy.iris
        assert patch is not None
        column, row, reach = int(centre[0]), int(centre[1]), int(radius / 2)
        pupil = (slice(row - reach, row + reach), slice(column - reach, column + reach))
        assert patch.whole[pupil].mean() > 1.4 * eye._texture[pupil].mean()

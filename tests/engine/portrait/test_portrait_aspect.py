"""Faces that are turned far aside: they turn only towards the viewer, and a profile hardly moves at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_service.engine.base import Parameters
from avatar_service.engine.portrait import indices
from avatar_service.engine.portrait.arrays import floats
from avatar_service.engine.portrait.aspect import FRONTAL, aspect_of
from avatar_service.engine.portrait.avatar import PortraitAvatar, make_avatar
from avatar_service.engine.portrait.engine import PortraitEngine
from avatar_service.engine.portrait.face import Face
from avatar_service.engine.portrait.grid import Box
from avatar_service.engine.portrait.lips import measure_lips
from avatar_service.engine.portrait.pose import Pose
from avatar_service.engine.portrait.preparation import PROFILE, _notices, canonical_face
from avatar_service.engine.portrait.rig import WIDTH, Column, permitted

SIZE = 512
FRAME = Box(0, 0, SIZE, SIZE)
PICTURE = np.full((SIZE, SIZE, 3), 120, np.uint8)
LEFT, RIGHT = 1, -1
HALF, FAR = 50, 60
"""Degrees to a side: lips half as strong; a profile."""

Picture = NDArray[np.uint8]
Render = Callable[..., Picture]


def turned_face(side: int, degrees: float) -> Face:
    """Return the common layout after a turn to the picture's left (1) or right (-1)."""
    face = canonical_face(SIZE)
    angle = side * np.radians(degrees)
    middle = face.points[list(indices.EARS)].mean(axis=0)
    x, _, z = (face.points - middle).T
    points = face.points.copy()
    points[:, 0] = middle[0] + x * np.cos(angle) + z * np.sin(angle)
    points[:, 2] = middle[2] + z * np.cos(angle) - x * np.sin(angle)
    lids = [points[list(eye.upper + eye.lower), :2].mean(axis=0) for eye in indices.EYES]
    irises = face.irises - face.irises[:, :1] + floats(lids)[:, None]
    return Face(points, floats(irises), 1.0)


@pytest.fixture(scope="module")
def turned() -> Callable[[int, float], PortraitAvatar]:
    """Make avatars of such faces, in a picture of noise in which every motion shows."""
    picture = np.random.default_rng(0).integers(60, 200, (SIZE, SIZE, 3), dtype=np.uint8)
    made: dict[tuple[int, float], PortraitAvatar] = {}

    def make(side: int, degrees: float) -> PortraitAvatar:
        key = side, degrees
        if key not in made:
            made[key] = make_avatar(picture, turned_face(*key), Box(0, 0, SIZE, SIZE), SIZE)
        return made[key]

    return make


Turned = Callable[[int, float], PortraitAvatar]


@pytest.mark.parametrize("degrees", [0, 15, 30])
@pytest.mark.parametrize("side", [LEFT, RIGHT])
def test_slightly_turned_face_is_frontal(side: int, degrees: float) -> None:
    """Up to 30 degrees a face may do everything, and nothing is said about it."""
    face = turned_face(side, degrees)
    assert aspect_of(measure_lips(face)) == FRONTAL
    assert PROFILE not in _notices(PICTURE, face, FRAME, 200, several=False)


@pytest.mark.parametrize("degrees", [HALF, FAR])
@pytest.mark.parametrize("side", [LEFT, RIGHT])
def test_turned_face_is_noticed(side: int, degrees: float) -> None:
    """The caller is told of a face that is turned far aside."""
    assert PROFILE in _notices(PICTURE, turned_face(side, degrees), FRAME, 200, several=False)


@pytest.mark.parametrize(("degrees", "strength"), [(0, 1.0), (HALF, 0.5), (FAR, 0.0)])
def test_lips_weaken_with_the_turn(degrees: float, strength: float) -> None:
    """Half as much, then not at all."""
    assert aspect_of(measure_lips(turned_face(LEFT, degrees))).strength == strength


@pytest.mark.parametrize("degrees", [HALF, FAR])
@pytest.mark.parametrize("side", [LEFT, RIGHT])
def test_head_does_not_turn_farther_aside(side: int, degrees: float, turned: Turned, render: Render) -> None:
    """A yaw away from the viewer is none; one towards the viewer moves the nose that way."""
    avatar = turned(side, degrees)
    np.testing.assert_array_equal(render(avatar, yaw=-side * 0.15), avatar.source)
    nose = avatar.grid.node_near(*turned_face(side, degrees).flat[1])
    assert not np.array_equal(render(avatar, yaw=side * 0.15), avatar.source)
    # The nose of a face that looks left has to go right for it to look at the viewer.
    assert side * avatar.head.field(Pose(yaw=side * 0.15))[nose][0] > 1


@pytest.mark.parametrize("side", [LEFT, RIGHT])
def test_pose_style_does_not_turn_it_either(
    side: int, turned: Turned, engine: PortraitEngine, speak: Callable[..., NDArray[np.float32]]
) -> None:
    """A style that turns away, with the sway on top, leaves such a head where it is; one that turns back works."""
    silence = np.zeros(640 * 100, np.float32)
    avatar = turned(side, HALF)
    for sign, allowed in ((-side, False), (side, True)):
        state = engine.open(avatar, Parameters(seed=2, pose_style=(0.0, sign * 0.2, 0.0)))
        rows = speak(silence, avatar, state)
        yaws = [float(permitted(row, avatar.aspect)[Column.YAW]) for row in rows]
        assert np.abs(rows[:, Column.YAW]).min() > 0.05
        assert all((yaw * side > 0) is allowed for yaw in yaws)
        assert allowed or not any(yaws)


def test_frontal_rows_are_untouched(avatar: PortraitAvatar) -> None:
    """A frontal face gets its row as it is, without a copy."""
    row = np.full(WIDTH, -0.1, np.float32)
    assert permitted(row, avatar.aspect) is row


def test_permitting_leaves_the_row_alone(turned: Turned) -> None:
    """The caller's row is not written to."""
    row = np.full(WIDTH, -0.1, np.float32)
    before = row.copy()
    assert not np.array_equal(permitted(row, turned(LEFT, FAR).aspect), before)
    np.testing.assert_array_equal(row, before)


@pytest.mark.parametrize("side", [LEFT, RIGHT])
def test_profile_blinks_with_the_near_eye_alone(side: int, turned: Turned, render: Render) -> None:
    """In a profile only the eye on the viewer's side shuts; a face that is turned less shuts both."""
    for degrees, both in ((FAR, False), (HALF, True)):
        avatar = turned(side, degrees)
        changed = (render(avatar, blink=1.0, x=1e-3) != render(avatar, x=1e-3)).any(axis=2)
        face = turned_face(side, degrees)
        right, left = (face.flat[list(eye.upper + eye.lower)].mean(axis=0) for eye in indices.EYES)
        near, far = (left, right) if side == LEFT else (right, left)
        seen = [changed[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4].any() for x, y in (near, far)]
        assert seen == [True, both]


@pytest.mark.parametrize("side", [LEFT, RIGHT])
def test_profile_neither_speaks_nor_looks(side: int, turned: Turned, render: Render) -> None:
    """Lips, brows, tongue and gaze of a profile stay still, whatever is said."""
    avatar = turned(side, FAR)
    said = {"open": 0.9, "round": 0.5, "wide": 0.5, "close": 1.0, "smile": 0.5, "tongue": 1.0, "rest": 0.0}
    frame = render(avatar, brow_left=1.0, brow_right=1.0, gaze_x=0.8, gaze_y=-0.8, **said)
    np.testing.assert_array_equal(frame, avatar.source)
    np.testing.assert_array_equal(render(avatar, x=2.0, **said), render(avatar, x=2.0))


@pytest.mark.parametrize("column", ["pitch", "roll", "x", "y"])
def test_profile_sways(column: str, turned: Turned, render: Render) -> None:
    """The head of a profile still nods, tilts and drifts."""
    avatar = turned(RIGHT, FAR)
    amount = 0.08 if column in {"pitch", "roll"} else 3.0
    assert not np.array_equal(render(avatar, **{column: amount}), avatar.source)


@pytest.mark.parametrize(("share", "strength"), [(0.19, 0.0), (0.21, 0.5), (0.34, 0.5), (0.36, 1.0)])
def test_limits_of_sidedness(share: float, strength: float) -> None:
    """The limits are 0.2 and 0.35 of the wider half, on either side."""
    lips = measure_lips(canonical_face(SIZE))
    for widths, sign in (((50 * share, 50.0), 1), ((50.0, 50 * share), -1)):
        aspect = aspect_of(replace(lips, widths=widths))
        assert aspect.strength == strength
        assert aspect.yaw_sign == (0 if strength == 1 else sign)

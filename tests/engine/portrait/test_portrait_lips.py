"""Lips: their coordinates, their bases, and how they are laid on the picture."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_service.engine.portrait import indices
from avatar_service.engine.portrait.avatar import PortraitAvatar
from avatar_service.engine.portrait.bases import LAYERS, NAMES
from avatar_service.engine.portrait.face import Face
from avatar_service.engine.portrait.grid import NODES
from avatar_service.engine.portrait.lipline import snap_lips
from avatar_service.engine.portrait.lips import TOOTHY_GAP, UNIT_PER_EYE_SPAN, Lips, measure_lips
from avatar_service.engine.portrait.preparation import canonical_face

UPPER, LOWER = 0, 1


def field(avatar: PortraitAvatar, name: str, layer: int) -> NDArray[np.float32]:
    """Return one base's displacement in one layer."""
    box, weights = avatar.bases.box, np.zeros(len(NAMES), np.float32)
    weights[NAMES.index(name)] = 1
    whole = np.zeros((LAYERS, NODES, NODES, 2), np.float32)
    whole[:, box.rows, box.columns] = avatar.bases.field(weights)
    return whole[layer]


def at_lips(lips: Lips, avatar: PortraitAvatar, name: str, layer: int, u: float) -> float:
    """Return how far down, in mouth units, a base moves the lip of its layer at ``u``."""
    v = (lips.upper if layer == UPPER else lips.lower)(np.float32(u))
    width = lips.widths[0] if u < 0 else lips.widths[1]
    place = np.array(lips.origin) + np.array(lips.across) * u * width + np.array(lips.down) * float(v) * lips.unit
    row, column = avatar.grid.node_near(*place)
    return float(field(avatar, name, layer)[row, column] @ np.array(lips.down)) / lips.unit


def test_corners_lie_at_plus_and_minus_one() -> None:
    """The lips' own coordinates are -1 and 1 at the corners and ascend along the lips."""
    face = canonical_face(512)
    lips = measure_lips(face)
    u, _ = lips.coordinates(face.flat[list(indices.UPPER_INNER_LIP)])
    assert (np.diff(u) > 0).all()
    ends, _ = lips.coordinates(face.flat[[61, 291]])
    assert np.abs(ends) == pytest.approx([1.0, 1.0], abs=0.1)


def test_v_points_down_the_face() -> None:
    """The nose is above the lips and the chin below, also in a face that is turned by a quarter."""
    face = canonical_face(512)
    turned = Face(face.points[:, [1, 0, 2]] * np.float32([-1, 1, 1]) + np.float32([511, 0, 0]), face.irises, 1.0)
    for one in (face, turned):
        lips = measure_lips(one)
        assert lips.nose < 0 < lips.chin
        assert lips.coordinates(one.flat[[indices.NOSE_BASE, indices.CHIN]])[1] == pytest.approx(
            [lips.nose, lips.chin], abs=1e-4
        )


def test_common_layout_has_closed_lips() -> None:
    """The layout that stands in for a face keeps its mouth shut."""
    lips = measure_lips(canonical_face(512))
    assert lips.gap < 0.01
    assert not lips.toothy


def test_jaw_opens_by_one_unit_in_the_middle_only(avatar: PortraitAvatar) -> None:
    """Weight 1 of the jaw parts the lips by about one unit in the middle, and not at all beyond the corners."""
    lips = avatar.lips
    middle = at_lips(lips, avatar, "jaw", LOWER, 0.0) - at_lips(lips, avatar, "jaw", UPPER, 0.0)
    beyond = at_lips(lips, avatar, "jaw", LOWER, 1.3) - at_lips(lips, avatar, "jaw", UPPER, 1.3)
    assert middle == pytest.approx(1.0, abs=0.2)
    assert abs(beyond) < 0.05


def test_wide_open_mouth_is_an_oval(avatar: PortraitAvatar) -> None:
    """The corners follow the jaw part of the way, and the lower lip falls off evenly from its middle to them."""
    drops = [at_lips(avatar.lips, avatar, "jaw", LOWER, u) for u in (0.0, 0.3, 0.6, 0.8, 0.95)]
    assert drops == sorted(drops, reverse=True)
    assert drops[0] == pytest.approx(1, abs=0.15)
    assert 0.15 < drops[-1] < 0.5
    corner, middle = (at_lips(avatar.lips, avatar, "jaw", UPPER, u) for u in (0.95, 0.0))
    assert corner - middle > 0.15


def test_close_takes_the_portraits_own_gap(avatar: PortraitAvatar) -> None:
    """Weight 1 of ``close`` brings the lips together by just a little more than they are apart."""
    lips = avatar.lips
    closing = at_lips(lips, avatar, "close", UPPER, 0.0) - at_lips(lips, avatar, "close", LOWER, 0.0)
    assert lips.gap < closing < lips.gap + 0.2


@pytest.mark.parametrize("name", NAMES)
def test_bases_leave_the_frames_edge_alone(avatar: PortraitAvatar, name: str) -> None:
    """No lip or brow weight moves the left, right or top edge of the frame."""
    for layer in (UPPER, LOWER):
        moved = np.abs(field(avatar, name, layer))
        assert max(moved[:2].max(), moved[:, :2].max(), moved[:, -2:].max()) < 0.5


def painted_mouth(line: int, width: int = 1) -> NDArray[np.uint8]:
    """Return a skin-coloured picture with a dark line across at this row, an odd number of rows wide."""
    picture = np.full((512, 512, 3), (205, 160, 140), np.uint8)
    picture[line - width // 2 : line + width // 2 + 1, 150:361] = (60, 25, 25)
    return picture


def snapped_gap(picture: NDArray[np.uint8]) -> float:
    """Return the gap in the middle of closed lips that were laid on this picture, in pixels."""
    face = canonical_face(512)
    points = face.points.copy()
    points[[*indices.UPPER_INNER_LIP, *indices.LOWER_INNER_LIP], 1] = 310
    flat = snap_lips(Face(points, face.irises, 1.0), picture).flat
    return float(flat[indices.LIP_BOTTOM_INNER, 1] - flat[indices.LIP_TOP_INNER, 1])


def test_dark_slit_between_the_lips_is_measured() -> None:
    """Lips with a dark slit between them are parted by about its width, so that they can be shut."""
    assert snapped_gap(painted_mouth(310, 1)) < 0.5
    assert snapped_gap(painted_mouth(310, 5)) == pytest.approx(5 - 2, abs=1.2)


def test_slit_never_counts_as_teeth() -> None:
    """However wide the dark between the lips is, it stays below the opening that shows teeth."""
    gap = snapped_gap(painted_mouth(310, 9))
    face = canonical_face(512)
    assert 2 < gap < TOOTHY_GAP * UNIT_PER_EYE_SPAN * face.eye_span


@pytest.mark.parametrize("offset", [-4, 0, 4])
def test_closed_lips_snap_to_the_dark_line(offset: int) -> None:
    """Inner lip points that are a few pixels off come to lie on the line between the lips."""
    face = canonical_face(512)
    points = face.points.copy()
    inner = [*indices.UPPER_INNER_LIP, *indices.LOWER_INNER_LIP]
    points[inner, 1] = 310
    snapped = snap_lips(Face(points, face.irises, 1.0), painted_mouth(310 + offset))
    assert snapped.flat[inner, 1] == pytest.approx(np.full(len(inner), 310 + offset), abs=1.0)
    others = np.setdiff1d(np.arange(indices.POINTS), [*inner, 61, 291])
    np.testing.assert_array_equal(snapped.points[others], points[others])


def test_parted_lips_of_a_grey_portrait_stay() -> None:
    """Without colour there is no telling lips from teeth: nothing is moved."""
    face = canonical_face(512)
    points = face.points.copy()
    points[list(indices.LOWER_INNER_LIP[1:-1]), 1] += 20
    grey = np.repeat(np.random.default_rng(0).integers(0, 256, (512, 512, 1), dtype=np.uint8), 3, axis=2)
    open_face = Face(points, face.irises, 1.0)
    np.testing.assert_allclose(snap_lips(open_face, grey).points, points, atol=1e-4)


def test_what_the_bases_leave_out_does_not_move(avatar: PortraitAvatar) -> None:
    """They are kept for a part of the grid, at whose upper edge and sides none of them moves anything."""
    box = avatar.bases.box
    assert box.width * box.height < 0.8 * NODES * NODES
    for weights in np.eye(len(NAMES), dtype=np.float32):
        field = np.abs(avatar.bases.field(weights))
        assert max(field[:, 0].max(), field[:, :, 0].max(), field[:, :, -1].max()) < 0.02

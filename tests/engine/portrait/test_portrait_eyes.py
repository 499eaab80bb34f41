"""Eyes: patches are redrawn only where needed, remembered, bounded and left alone in shut eyes."""

from __future__ import annotations

import numpy as np

from avatar_service.engine.portrait.avatar import PortraitAvatar
from avatar_service.engine.portrait.eyes import KEPT_PATCHES, measure_eye
from avatar_service.engine.portrait.face import Face
from avatar_service.engine.portrait.indices import EYES
from avatar_service.engine.portrait.preparation import canonical_face


def test_resting_eye_needs_no_patch(avatar: PortraitAvatar) -> None:
    """An open eye that looks straight on is the portrait's own."""
    assert all(eye.patch(0.0, 0.0, 0.0) is None for eye in avatar.eyes)
    assert all(eye.patch(0.01, 0.01, -0.01) is None for eye in avatar.eyes)


def test_same_look_same_patch(avatar: PortraitAvatar) -> None:
    """A look that was drawn once is remembered; nearly equal looks share a patch."""
    eye = avatar.eyes[0]
    assert eye.patch(0.5, 0.2, 0.0) is eye.patch(0.51, 0.21, 0.0)


def test_memory_is_bounded(avatar: PortraitAvatar) -> None:
    """However many looks there are, only a few dozen are kept, and a forgotten one is drawn the same again."""
    eye = avatar.eyes[1]
    first = eye.patch(1.0, 0.0, 0.0)
    for number in range(2 * KEPT_PATCHES):
        eye.patch(number % 7 / 8, number / KEPT_PATCHES - 1, -0.3)
    again = eye.patch(1.0, 0.0, 0.0)
    assert first is not None
    assert again is not None
    assert again is not first
    np.testing.assert_array_equal(again.whole, first.whole)


def test_patch_meets_the_texture_at_its_border(avatar: PortraitAvatar) -> None:
    """A redrawn eye has the texture's own pixels at its left, right and lower border: no seam."""
    for eye in avatar.eyes:
        patch = eye.patch(1.0, 0.7, 0.3)
        assert patch is not None
        own = avatar.texture[eye.box.rows, eye.box.columns].astype(int)
        difference = np.abs(patch.whole - own)
        assert max(difference[-1].max(), difference[:, 0].max(), difference[:, -1].max()) <= 1


def test_only_what_changes_is_drawn(avatar: PortraitAvatar) -> None:
    """A look aside changes a part of the patch; outside the box that a patch names it is the texture's own."""
    for eye in avatar.eyes:
        patch, blink = eye.patch(0.0, 0.7, 0.0), eye.patch(1.0, 0.0, 0.0)
        assert patch is not None
        assert blink is not None
        assert patch.box.width * patch.box.height < 0.5 * eye.box.width * eye.box.height
        assert patch.box.height < blink.box.height
        around = avatar.texture.copy()
        around[patch.box.rows, patch.box.columns] = patch.changed
        np.testing.assert_array_equal(around[eye.box.rows, eye.box.columns], patch.whole)


def test_shut_eyes_neither_blink_nor_look() -> None:
    """A portrait with closed eyes keeps them so."""
    face = canonical_face(1024)
    points = face.points.copy()
    for eye in EYES:
        points[list(eye.upper), 1] = points[list(eye.lower), 1]
    shut = Face(points, face.irises, 1.0)
    texture = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), dtype=np.uint8)
    for number in (0, 1):
        assert measure_eye(number, shut, texture, 2.0).patch(1.0, 1.0, 1.0) is None


def test_shut_lids_cover_the_whole_eye(avatar: PortraitAvatar) -> None:
    """Where the eye was, a full blink shows neither white nor iris: it is as light as skin, and of its hue."""
    for eye in avatar.eyes:
        lids = eye._anatomy.lids
        ball = (np.abs(lids.across) < 0.5) & (lids.below > lids.upper + 1) & (lids.below < lids.lower - 4)
        shut = eye.patch(1.0, 0.0, 0.0)
        assert shut is not None
        lid = shut.whole[ball].astype(float)
        assert lid.std(axis=0).max() < 0.6 * eye._texture[ball].std(axis=0).max()
        # Skin is redder than it is blue; the white of an eye and the grey of a shadow on it are not.
        assert (lid[:, 0] - lid[:, 2]).mean() > 20


def test_closed_lashes_have_the_skins_tint(avatar: PortraitAvatar) -> None:
    """The dark line between shut lids is brown on light skin, not blue or grey."""
    for eye in avatar.eyes:
        lids = eye._anatomy.lids
        line = (np.abs(lids.across) < 0.4) & (np.abs(lids.below - lids.lower - 1) < 1.5)
        shut = eye.patch(1.0, 0.0, 0.0)
        assert shut is not None
        red, _, blue = shut.whole[line].astype(float).mean(axis=0)
        assert red > blue + 10

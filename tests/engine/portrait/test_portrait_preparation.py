"""Preparing: the right face is taken, bad portraits are refused in words that help, nothing crashes."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_service.engine.base import PrepareOptions, Preset
from avatar_service.engine.portrait.avatar import PortraitAvatar
from avatar_service.engine.portrait.engine import PortraitEngine
from avatar_service.errors import InvalidArgumentError

Picture = NDArray[np.uint8]
Render = Callable[..., Picture]


def reasons(avatar: PortraitAvatar) -> list[str]:
    """Return the reasons of an avatar's notices."""
    return [notice.reason for notice in avatar.notices]


@pytest.mark.parametrize("crop_scale", [0.5, 1.0, 2.0])
def test_crop_centres_the_face(engine: PortraitEngine, astronaut: Picture, crop_scale: float) -> None:
    """The face is in the middle of the frame, smaller the larger the crop."""
    avatar = engine.prepare(astronaut, PrepareOptions(crop_scale=crop_scale))
    assert avatar.frame_size == (512, 512)
    assert 100 < avatar.lips.origin[0] < 412
    assert avatar.lips.unit == pytest.approx(42 / crop_scale, rel=0.15)


def test_small_face_is_noticed(avatar: PortraitAvatar) -> None:
    """A face that had to be enlarged comes with a notice."""
    assert reasons(avatar) == ["SMALL_FACE_ENLARGED"]


def test_tiny_face_is_refused(engine: PortraitEngine, astronaut: Picture) -> None:
    """A face of less than 64 pixels is refused, with its size in the message."""
    small = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    with pytest.raises(InvalidArgumentError, match=r"pixels high.* at least 64, better 120") as caught:
        engine.prepare(small, PrepareOptions())
    assert caught.value.reason == "SMALL_FACE"
    assert caught.value.field == "init.portrait"


def test_picture_without_a_face_is_refused(engine: PortraitEngine) -> None:
    """A picture of nothing is refused, in words that say what to send."""
    with pytest.raises(InvalidArgumentError, match="shows one face") as caught:
        engine.prepare(np.full((300, 400, 3), 90, np.uint8), PrepareOptions())
    assert caught.value.reason == "NO_FACE"


@pytest.mark.parametrize("shape", [(10, 10), (10, 10, 4), (0, 10, 3), (4001, 4001, 3), (100, 40000, 3)])
def test_bad_pictures_are_refused(engine: PortraitEngine, shape: tuple[int, ...]) -> None:
    """What is no RGB picture of a sane size is refused."""
    with pytest.raises(InvalidArgumentError) as caught:
        engine.prepare(np.zeros(shape, np.uint8), PrepareOptions())
    assert caught.value.reason == "BAD_PICTURE"


def test_largest_of_several_faces_is_taken(engine: PortraitEngine, astronaut: Picture) -> None:
    """With several faces the largest is animated and the caller is told."""
    close = astronaut[:256, 96:352]
    pair = np.zeros((256, 456, 3), np.uint8)
    pair[:200, :200] = cv2.resize(close, (200, 200), interpolation=cv2.INTER_AREA)
    pair[:, 200:] = close
    avatar = engine.prepare(pair, PrepareOptions())
    assert "SEVERAL_FACES" in reasons(avatar)
    alone = engine.prepare(np.ascontiguousarray(close), PrepareOptions())
    assert np.abs(avatar.source.astype(int) - alone.source).mean() < 12


def test_preparing_is_deterministic(engine: PortraitEngine, astronaut: Picture, avatar: PortraitAvatar) -> None:
    """The same portrait gives the same avatar, bit for bit."""
    again = engine.prepare(astronaut, PrepareOptions())
    for name in ("source", "texture"):
        np.testing.assert_array_equal(getattr(again, name), getattr(avatar, name))
    np.testing.assert_array_equal(again.bases.values, avatar.bases.values)
    np.testing.assert_array_equal(again.head.bases, avatar.head.bases)


def test_uncropped_portrait_keeps_its_pixels(engine: PortraitEngine, astronaut: Picture, render: Render) -> None:
    """Without cropping the frame is the picture itself."""
    avatar = engine.prepare(astronaut, PrepareOptions(crop=False))
    assert reasons(avatar) == ["SMALL_FACE_ENLARGED"]
    assert np.abs(render(avatar).astype(int) - astronaut).mean() < 1.5


@pytest.mark.parametrize("seed", [0, 1])
def test_faceless_uncropped_picture_gets_the_common_layout(engine: PortraitEngine, seed: int, render: Render) -> None:
    """A flat or noisy picture is animated as if a face filled it, and the caller is told."""
    picture = np.full((300, 200, 3), 120, np.uint8)
    if seed:
        picture = np.random.default_rng(seed).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    avatar = engine.prepare(picture, PrepareOptions(crop=False))
    assert reasons(avatar) == ["NO_FACE_CANONICAL_LAYOUT"]
    assert avatar.frame_size == (512, 512)
    assert 230 < avatar.lips.origin[0] < 280
    frame = render(avatar, open=0.8, yaw=0.1, blink=1.0, gaze_x=0.5)
    assert frame.shape == (512, 512, 3)
    assert not np.array_equal(frame, avatar.source)


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (16, 700), (700, 16), (4000, 4000)])
@pytest.mark.parametrize("crop", [True, False])
def test_every_size_gives_an_avatar_or_a_clear_refusal(
    engine: PortraitEngine, size: tuple[int, int], crop: bool, render: Render
) -> None:
    """From one pixel to 16 million nothing crashes."""
    picture = np.zeros((*size, 3), np.uint8)
    picture[: size[0] // 2 + 1] = 200
    if crop:
        with pytest.raises(InvalidArgumentError) as caught:
            engine.prepare(picture, PrepareOptions())
        assert caught.value.reason in {"NO_FACE", "SMALL_FACE"}
    else:
        avatar = engine.prepare(picture, PrepareOptions(crop=False))
        assert render(avatar, open=0.5, yaw=0.1, blink=0.5).shape == (512, 512, 3)


def test_huge_portrait_is_found(engine: PortraitEngine, astronaut: Picture) -> None:
    """A picture of 16 million pixels works, with a sharp crop and no notice."""
    huge = cv2.resize(astronaut, (4000, 4000), interpolation=cv2.INTER_LINEAR)
    assert reasons(engine.prepare(huge, PrepareOptions())) == []


@pytest.mark.parametrize(
    "options", [PrepareOptions(), PrepareOptions(paste_back=True), PrepareOptions(crop=False)], ids=str
)
def test_face_at_the_edge(engine: PortraitEngine, astronaut: Picture, render: Render, options: PrepareOptions) -> None:
    """A face that crosses the picture's edge is animated all the same, and the caller is told."""
    part = np.ascontiguousarray(astronaut[30:286, 200:456])
    avatar = engine.prepare(part, options)
    assert "FACE_CUT_OFF" in reasons(avatar)
    if options.paste_back:
        return
    assert render(avatar, open=0.8, yaw=-0.2, roll=0.1, blink=1.0).shape == (512, 512, 3)


def test_uncropped_picture_is_cut_around_its_face(engine: PortraitEngine, astronaut: Picture) -> None:
    """Of a picture that is not square the largest square with the whole face is taken, wherever the face is."""
    enlarged = cv2.resize(astronaut, (640, 640), interpolation=cv2.INTER_LINEAR)
    alone = engine.prepare(enlarged, PrepareOptions(crop=False))
    canvas = np.full((640, 1600, 3), 100, np.uint8)
    canvas[:, 960:] = enlarged
    for picture in (canvas, np.ascontiguousarray(np.roll(canvas, 640, axis=1))):
        avatar = engine.prepare(picture, PrepareOptions(crop=False))
        assert reasons(avatar) == []
        assert avatar.lips.unit == pytest.approx(alone.lips.unit, rel=0.05)
        assert 80 < avatar.lips.origin[0] < 432
    tall = np.full((1600, 640, 3), 100, np.uint8)
    tall[960:] = enlarged
    assert 60 < engine.prepare(tall, PrepareOptions(crop=False)).lips.origin[1] < 452


@pytest.mark.parametrize("paste_back", [True, False])
def test_small_face_in_a_large_picture(engine: PortraitEngine, astronaut: Picture, paste_back: bool) -> None:
    """A face of hardly 70 pixels among 12 million is animated, also where the picture shrinks to be a frame."""
    canvas = np.full((3000, 4000, 3), 100, np.uint8)
    canvas[2500:2833, 1800:2133] = cv2.resize(astronaut, (333, 333), interpolation=cv2.INTER_AREA)
    avatar = engine.prepare(canvas, PrepareOptions(paste_back=paste_back))
    assert reasons(avatar) == ["SMALL_FACE_ENLARGED"]
    if avatar.stitch is None:
        return
    box = avatar.stitch.box
    assert box.left < (1800 + 145) * 0.32 < box.right
    assert box.top < (2500 + 80) * 0.32 < box.bottom


def test_pair_is_noticed(engine: PortraitEngine, astronaut: Picture) -> None:
    """Two pictures side by side are two faces."""
    avatar = engine.prepare(np.concatenate([astronaut, astronaut], axis=1), PrepareOptions())
    assert "SEVERAL_FACES" in reasons(avatar)


def test_pasted_frame_leaves_the_rest_alone(engine: PortraitEngine, astronaut: Picture, render: Render) -> None:
    """With paste-back the frame is the whole picture, and far from the face it is untouched."""
    avatar = engine.prepare(astronaut, PrepareOptions(paste_back=True))
    assert avatar.frame_size == (512, 512)
    np.testing.assert_array_equal(render(avatar), astronaut)
    frame = render(avatar, open=0.8, yaw=0.2, pitch=0.1, roll=0.08, blink=1.0)
    assert avatar.stitch is not None
    changed = np.argwhere((frame != astronaut).any(axis=2))
    box = avatar.stitch.box
    assert changed[:, 0].min() >= box.top
    assert changed[:, 0].max() < box.bottom
    assert changed[:, 1].min() >= box.left
    assert changed[:, 1].max() < box.right


def test_pasted_frame_has_no_seam(engine: PortraitEngine, astronaut: Picture, render: Render) -> None:
    """Across the pasted square's border the picture does not jump more than it did."""
    avatar = engine.prepare(astronaut, PrepareOptions(paste_back=True))
    assert avatar.stitch is not None
    box = avatar.stitch.box
    frame = render(avatar, open=0.8, yaw=0.2, pitch=0.15, roll=0.1)
    for picture_axis, edges in ((1, (box.left, box.right)), (0, (box.top, box.bottom))):
        for edge in edges:
            if not 4 < edge < 508:
                continue
            moved, still = (
                np.take(one.astype(int), range(edge - 3, edge + 3), picture_axis) for one in (frame, astronaut)
            )
            jumps = [np.abs(np.diff(one, axis=picture_axis)).mean() for one in (moved, still)]
            assert jumps[0] < 1.3 * jumps[1] + 1


def test_large_whole_pictures_are_limited(engine: PortraitEngine, astronaut: Picture, render: Render) -> None:
    """Whole frames have even sides of at most 1280 pixels."""
    wide = cv2.resize(astronaut, (2001, 1501), interpolation=cv2.INTER_LINEAR)
    avatar = engine.prepare(wide, PrepareOptions(paste_back=True))
    assert avatar.frame_size == (1280, 960)
    assert render(avatar, open=0.5, yaw=0.1).shape == (960, 1280, 3)


def test_warmup_runs(engine: PortraitEngine) -> None:
    """Warming up needs no portrait and changes nothing."""
    engine.warmup()
    assert engine.spec.fps == 25
    assert engine.spec.look_ahead <= 0.16 * 16_000
    assert engine.spec.under(Preset.LOWEST_LATENCY).look_ahead <= 0.10 * 16_000

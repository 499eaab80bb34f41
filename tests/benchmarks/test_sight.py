"""Tests for the watching of films, with mouths drawn by the engine and made-up faces."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from avatar_service.assets import asset_path
from avatar_service.engine.base import PrepareOptions, RenderStep
from avatar_service.engine.portrait.engine import create
from avatar_service.engine.portrait.face import Face
from avatar_service.engine.portrait.rig import WIDTH, Column
from benchmarks.lipsync.sight import mouth_of, watch

OPENINGS = (0.0, 0.7, 0.0, 0.5, 0.2)


@pytest.fixture(scope="module")
def drawn() -> list[NDArray[np.uint8]]:
    """The sample portrait, with one opening after the other."""
    engine = create()
    picture = np.asarray(Image.open(asset_path("astronaut.png")).convert("RGB"))
    avatar = engine.prepare(picture, PrepareOptions())
    rows = np.zeros((len(OPENINGS), WIDTH), np.float32)
    rows[:, Column.OPEN] = OPENINGS
    return [engine.render([RenderStep(avatar, row)])[0] for row in rows]


def movie(path: Path, pictures: Sequence[NDArray[np.uint8]], places: Sequence[int] | None = None) -> Path:
    """Write an MP4 at 25 frames a second, with the frames in these places on its clock."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = pictures[0].shape[1], pictures[0].shape[0], "yuv420p"
        for place, picture in zip(places or range(len(pictures)), pictures, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = place, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def made_up_face(gap: float, width: float) -> Face:
    """A level face with eyes 100 apart."""
    points = np.zeros((468, 3), np.float32)
    points[[33, 263], 0] = 50, 150
    for upper, lower, x in ((82, 87, 90), (13, 14, 100), (312, 317, 110)):
        points[[upper, lower], 0] = x
        points[[upper, lower], 1] = 80 - gap / 2, 80 + gap / 2
    points[[61, 291], 0] = 100 - width / 2, 100 + width / 2
    points[[61, 291], 1] = 80
    return Face(points, np.zeros((2, 5, 2), np.float32), 1.0)


def test_distances_are_in_outer_eye_distances() -> None:
    """A gap of 12 and a width of 60 pixels are 0.12 and 0.6 of eyes 100 pixels apart."""
    assert mouth_of(made_up_face(12, 60)) == pytest.approx((0.12, 0.6))


@pytest.mark.parametrize(("scale", "degrees"), [(2.5, 0), (1.0, 30), (0.4, -75)])
def test_neither_size_nor_turn_of_the_face_matters(scale: float, degrees: float) -> None:
    """The same mouth in a larger or tilted face has the same gap and width."""
    face = made_up_face(12, 60)
    turn = cv2.getRotationMatrix2D((40, 70), degrees, scale)
    points = face.points.copy()
    points[:, :2] = points[:, :2] @ turn[:, :2].T + turn[:, 2]
    assert mouth_of(Face(points.astype(np.float32), face.irises, 1.0)) == pytest.approx((0.12, 0.6), abs=1e-4)


def test_lips_that_cross_have_a_negative_gap() -> None:
    """The gap has a sign, so that noise about zero does not look like an opening."""
    assert mouth_of(made_up_face(-2, 60))[0] == pytest.approx(-0.02)


def test_a_film_shows_how_far_the_mouth_opens(drawn: list[NDArray[np.uint8]], tmp_path: Path) -> None:
    """Every frame of an H.264 film is measured, and wider openings measure wider."""
    film = watch(movie(tmp_path / "movie.mp4", drawn))
    assert (film.frames, film.fps, film.numbers.tolist()) == (5, 25, [0, 1, 2, 3, 4])
    assert np.argsort(film.gaps)[[-1, -2, -3]].tolist() == [1, 3, 4]
    assert film.gaps[1] - film.gaps[0] > 0.06
    assert abs(film.gaps[2] - film.gaps[0]) < 0.02


def test_a_frame_appears_at_its_pts_and_lasts(drawn: list[NDArray[np.uint8]], tmp_path: Path) -> None:
    """Frame 1 appears at 40 ms, and the middle of its showing is at 60."""
    film = watch(movie(tmp_path / "movie.mp4", drawn[:2]))
    assert film.starts.tolist() == pytest.approx([0, 0.04])
    assert film.times.tolist() == pytest.approx([0.02, 0.06])


def test_only_what_is_asked_for_is_looked_at(drawn: list[NDArray[np.uint8]], tmp_path: Path) -> None:
    """Frames that are not looked at are counted all the same."""
    film = watch(movie(tmp_path / "movie.mp4", drawn), lambda time_s: time_s >= 0.12)
    assert film.frames == 5
    assert film.numbers.tolist() == [3, 4]


def test_a_part_of_a_film_keeps_its_clock(drawn: list[NDArray[np.uint8]], tmp_path: Path) -> None:
    """The part has the frames' own numbers and the whole film's count."""
    film = watch(movie(tmp_path / "movie.mp4", drawn[:3]))
    part = film.part(film.numbers == 2)
    assert (part.frames, part.numbers.tolist(), part.gaps.tolist()) == (3, [2], [film.gaps[2]])


def test_a_gap_in_the_films_clock_is_refused(drawn: list[NDArray[np.uint8]], tmp_path: Path) -> None:
    """A frame that is missing in the middle would shift all that follow: it is told."""
    path = movie(tmp_path / "movie.mp4", drawn[:3], places=(0, 1, 3))
    with pytest.raises(ValueError, match=r"frame 2 of .* is shown in the place of frame 3"):
        watch(path)


def test_a_film_without_a_face_is_refused(tmp_path: Path) -> None:
    """What shows no face has no mouth to be measured."""
    grey = np.full((128, 128, 3), 128, np.uint8)
    with pytest.raises(ValueError, match="no face"):
        watch(movie(tmp_path / "movie.mp4", [grey]))

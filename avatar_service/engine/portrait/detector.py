"""Owns the detector network: where in a picture faces may be. Must never change a picture, nor say what is a face.

The network is MediaPipe's short-range detector. It was made for pictures of 128 x 128 pixels, but it consists of
convolutions alone, so a larger picture goes through it in one piece and every part of it is seen at full sharpness.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_service.assets import asset_path
from avatar_service.engine.portrait.arrays import Floats, Pixels, floats, pixels

SIZE: Final = 128
"""Side of the square that the detector was made for, in pixels."""
STEP: Final = 16
"""Sides of what the detector is shown are multiples of this many pixels."""
MIN_SCORE: Final = 0.5
CANDIDATES: Final = 40
MAX_OVERSAMPLING: Final = 8
CLOSER: Final = 2
"""How much larger everything is in the closer look than in the look at the whole picture."""
FINEST: Final = 16 / 64
"""Scale of the finest look: a face of 64 pixels becomes 16 high."""
FINE_SCORE: Final = 0.35
"""Least score there: the detector sees a face of 16 pixels always, but is not sure of it."""
LEVEL_FACTOR: Final = 4
"""From one look to the next finer one; a look finds faces of 16 to more than 100 pixels."""
TILE: Final = 640
"""What is larger is looked at in tiles of at most this side, which bounds the memory."""
OVERLAP: Final = 80
"""Of neighbouring tiles, in pixels; larger faces were seen by the look before."""
COARSE: Final = 1280
"""Longest side of what all looks but the finer ones are taken at: they shrink it anyway."""


@dataclass(frozen=True, slots=True)
class Window:
    """A turned square in a picture, in continuous pixel coordinates (0 is the picture's edge)."""

    centre: tuple[float, float]
    side: float
    angle: float = 0.0

    def matrix(self, size: float) -> NDArray[np.float64]:
        """Return ``[2, 3]`` from window coordinates ``[0, size]`` to the picture's."""
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        turn = np.array([[cosine, -sine], [sine, cosine]]) * self.side / size
        return np.column_stack([turn, np.array(self.centre) - turn @ np.full(2, size / 2)])

    def cut(self, picture: Pixels, size: int, border: int) -> Pixels:
        """Return ``[size, size, 3]``: what lies in the window, averaged where it is shrunk."""
        times = int(np.clip(self.side / size, 1, MAX_OVERSAMPLING))
        matrix = self.matrix(size * times)
        matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cut = cv2.warpAffine(picture, matrix, (size * times, size * times), flags=flags, borderMode=border)
        return pixels(cv2.resize(cut, (size, size), interpolation=cv2.INTER_AREA) if times > 1 else cut)


@dataclass(frozen=True, slots=True)
class Detection:
    """A square in a picture that may show a face, turned as the face is; ``score`` says how surely, 0-1."""

    score: float
    box: Window

    @property
    def weight(self) -> float:
        """How much it matters: large and sure ones most."""
        return self.score * self.box.side

    def is_apart(self, others: Iterable[Detection]) -> bool:
        """Whether it is no second sight of one of the others."""
        x, y = self.box.centre
        return all(np.hypot(x - other.box.centre[0], y - other.box.centre[1]) > other.box.side / 2 for other in others)

    def enlarged(self, times: float) -> Detection:
        """Return it in a picture that is larger by this factor."""
        x, y = self.box.centre
        return Detection(self.score, Window((x * times, y * times), self.box.side * times, self.box.angle))


class Detector:
    """Looks for faces in RGB pictures, in looks of rising cost; one call at a time.

    Every look returns what it saw, no face twice, the largest and surest first.
    """

    def __init__(self) -> None:
        self._network = _load()

    def whole(self, picture: Pixels) -> list[Detection]:
        """Look at the whole picture at once: finds faces of a seventh of its longer side and more."""
        height, width = picture.shape[:2]
        return self._view(picture, Window((width / 2, height / 2), float(max(width, height))))

    def closer(self, picture: Pixels) -> list[Detection]:
        """Look at twice that sharpness."""
        return _wide(picture, _closer_scale(picture), MIN_SCORE)

    def further(self, picture: Pixels) -> Iterator[list[Detection]]:
        """Look again where the whole showed nothing: closer, from afar, turned, then finer and finer.

        A look is taken when it is asked for.
        """
        coarse, times = picture, 1
        while max(coarse.shape) > COARSE:
            coarse, times = _halved(coarse), 2 * times
        yield [one.enlarged(times) for one in self.closer(coarse)]
        for view in _odd_views(*coarse.shape[1::-1]):
            yield [one.enlarged(times) for one in self._view(coarse, view)]
        for scale in _finer_scales(picture):
            yield _wide(picture, scale, FINE_SCORE)

    def _view(self, picture: Pixels, view: Window) -> list[Detection]:
        return _distinct(_read(self._network, view.cut(picture, SIZE, cv2.BORDER_CONSTANT), view))


def _load() -> cv2.dnn.Net:
    return cv2.dnn.readNetFromTFLite(str(asset_path("face_detection.tflite")))


def _read(network: cv2.dnn.Net, cut: Pixels, first: Window, least: float = MIN_SCORE) -> Iterator[Detection]:
    """Yield what the network sees in ``cut``, surest first; ``first`` is what its first ``SIZE`` pixels show."""
    network.setInput(cv2.dnn.blobFromImage(cut, 1 / 127.5, mean=(127.5, 127.5, 127.5)))
    raw_boxes, raw_scores = network.forward(("regressors", "classificators"))
    boxes = floats(raw_boxes)[0] / SIZE
    scores = 1 / (1 + np.exp(-np.clip(floats(raw_scores).ravel(), -50, 50)))
    centres = _anchor_centres(*cut.shape[:2])
    matrix = first.matrix(1)
    for index in np.argsort(-scores, kind="stable")[:CANDIDATES]:
        if scores[index] < least:
            return
        spots = boxes[index].reshape(8, 2)
        centre, right_eye, left_eye = (spots[[0, 2, 3]] + centres[index]) @ matrix[:, :2].T + matrix[:, 2]
        across = left_eye - right_eye
        box = Window(
            (float(centre[0]), float(centre[1])),
            float(spots[1].max() * first.side),
            float(np.arctan2(across[1], across[0])),
        )
        yield Detection(float(scores[index]), box)


def _distinct(seen: Iterable[Detection]) -> list[Detection]:
    """Return the detections without second sights of a face, the largest and surest first.

    Args:
        seen: the surest first, as of two sights of a face the first one stays.
    """
    kept: list[Detection] = []
    for one in seen:
        if one.is_apart(kept):
            kept.append(one)
    return sorted(kept, key=lambda one: -one.weight)


def _wide(picture: Pixels, scale: float, least: float) -> list[Detection]:
    """Look at the whole picture at this scale, in tiles where that is large.

    The network is one of its own: it keeps room for what it saw last, and is slow to change its size.
    """
    height, width = picture.shape[:2]
    rest = scale
    while rest <= 1 / 2 and min(picture.shape[:2]) > 1:
        picture, rest = _halved(picture), 2 * rest
    size = [max(1, round(side * rest)) for side in picture.shape[1::-1]]
    seen = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if rest < 1 else cv2.INTER_LINEAR)
    rows, columns = _tiles(seen.shape[0]), _tiles(seen.shape[1])
    bottom, right = rows[-1].stop - seen.shape[0], columns[-1].stop - seen.shape[1]
    seen = pixels(cv2.copyMakeBorder(seen, 0, bottom, 0, right, cv2.BORDER_CONSTANT))
    network = _load()
    found: list[Detection] = []
    for row in rows:
        for column in columns:
            corner = (column.start / scale, row.start / scale)
            side = SIZE / scale
            first = Window((corner[0] + side / 2, corner[1] + side / 2), side)
            found += _read(network, np.ascontiguousarray(seen[row, column]), first, least)
    inside = (one for one in found if 0 <= one.box.centre[0] <= width and 0 <= one.box.centre[1] <= height)
    return _distinct(sorted(inside, key=lambda one: -one.score))


def _halved(picture: Pixels) -> Pixels:
    """Return the picture at half its size, averaged; an odd last row or column is left out."""
    height, width = (side // 2 * 2 for side in picture.shape[:2])
    size = (width // 2, height // 2)
    return pixels(cv2.resize(picture[:height, :width], size, interpolation=cv2.INTER_AREA))


def _tiles(length: int) -> list[slice]:
    """Return overlapping stretches of one size that cover a length; the last may reach beyond it."""
    count = max(1, -(-(length - OVERLAP) // (TILE - OVERLAP)))
    size = -(-(length + OVERLAP * (count - 1)) // (count * STEP)) * STEP
    starts = [0] if count == 1 else [round(n * (length - size) / (count - 1)) for n in range(count)]
    return [slice(start, start + size) for start in starts]


def _closer_scale(picture: Pixels) -> float:
    return CLOSER * SIZE / float(max(picture.shape[:2]))


def _finer_scales(picture: Pixels) -> list[float]:
    """Return the scales beyond the closer look, coarse to fine."""
    scales, scale = [], FINEST
    while scale > _closer_scale(picture):
        scales.append(scale)
        scale /= LEVEL_FACTOR
    return scales[::-1]


def _odd_views(width: int, height: int) -> list[Window]:
    """Return the views from afar and turned."""
    longest = float(max(width, height))
    middle = (width / 2, height / 2)
    turned = [Window(middle, longest * 1.2, np.radians(angle)) for angle in (90, -90, 45, -45)]
    return [Window(middle, longest * 2), *turned]


@lru_cache(maxsize=8)
def _anchor_centres(height: int, width: int) -> Floats:
    """Return the centres of the anchors ``[n, 2]`` in units of ``SIZE``: 2 per 8 pixels, then 6 per 16 pixels."""
    layers = []
    for pitch, repeats in ((8, 2), (16, 6)):
        across, down = np.meshgrid(*((np.arange(side // pitch) + 0.5) * pitch / SIZE for side in (width, height)))
        layers.append(np.repeat(np.column_stack([across.ravel(), down.ravel()]), repeats, axis=0))
    return floats(np.concatenate(layers))

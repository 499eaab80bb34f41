"""Owns the three landmark networks: finds faces and their 468 points. Must never change a picture.

The models are MediaPipe's short-range face detector, face mesh and iris model, run by OpenCV's own network code.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_service.assets import asset_path
from avatar_service.engine.portrait import indices
from avatar_service.engine.portrait.arrays import Floats, Pixels, floats, pixels
from avatar_service.engine.portrait.face import Face

DETECTOR_SIZE: Final = 128
MESH_SIZE: Final = 192
IRIS_SIZE: Final = 64
MIN_SCORE: Final = 0.5
MESH_MARGIN: Final = 1.5
IRIS_MARGIN: Final = 2.3
REFINEMENTS: Final = 2
"""Further passes of the mesh, each in the box of the points before it."""
MAX_FACES: Final = 4
CANDIDATES: Final = 40
MAX_OVERSAMPLING: Final = 8


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
class _Detection:
    score: float
    box: Window

    @property
    def weight(self) -> float:
        return self.score * self.box.side


class FaceFinder:
    """Finds faces in RGB pictures; one call at a time, others wait."""

    def __init__(self) -> None:
        self._detector, self._mesh, self._iris = (
            cv2.dnn.readNetFromTFLite(str(asset_path(f"{name}.tflite")))
            for name in ("face_detection", "face_mesh", "iris")
        )
        self._centres = _anchor_centres()
        self._lock = threading.Lock()

    def find(self, picture: Pixels) -> list[Face]:
        """Return the faces of an RGB picture, the largest and surest first; empty if there is none.

        Small, large, turned and painted faces that the plain look misses are sought in enlarged, shrunk and turned
        views, one after the other.
        """
        with self._lock:
            for view in _views(*picture.shape[1::-1]):
                found = self._detect(picture, view)
                faces = [self._measure(picture, one.box) for one in found[:MAX_FACES]]
                faces = [face for face in faces if face.score >= MIN_SCORE]
                if faces:
                    return faces
        return []

    def _detect(self, picture: Pixels, view: Window) -> list[_Detection]:
        cut = view.cut(picture, DETECTOR_SIZE, cv2.BORDER_CONSTANT)
        self._detector.setInput(cv2.dnn.blobFromImage(cut, 1 / 127.5, mean=(127.5, 127.5, 127.5)))
        raw_boxes, raw_scores = self._detector.forward(("regressors", "classificators"))
        boxes = floats(raw_boxes)[0] / DETECTOR_SIZE
        scores = 1 / (1 + np.exp(-np.clip(floats(raw_scores).ravel(), -50, 50)))
        matrix = view.matrix(1)
        kept: list[_Detection] = []
        for index in np.argsort(-scores, kind="stable")[:CANDIDATES]:
            if scores[index] < MIN_SCORE:
                break
            spots = boxes[index].reshape(8, 2)
            centre, right_eye, left_eye = (spots[[0, 2, 3]] + self._centres[index]) @ matrix[:, :2].T + matrix[:, 2]
            across = left_eye - right_eye
            box = Window(
                (float(centre[0]), float(centre[1])),
                float(spots[1].max() * view.side),
                float(np.arctan2(across[1], across[0])),
            )
            if all(np.hypot(*(centre - other.box.centre)) > other.box.side / 2 for other in kept):
                kept.append(_Detection(float(scores[index]), box))
        return sorted(kept, key=lambda one: -one.weight)

    def _measure(self, picture: Pixels, box: Window) -> Face:
        window = Window(box.centre, box.side * MESH_MARGIN, box.angle)
        points, score = self._fit_mesh(picture, window)
        for _ in range(REFINEMENTS):
            points, score = self._fit_mesh(picture, _window_around(points))
        points[:, :2] -= 0.5
        irises = [self._fit_iris(picture, points, eye) for eye in indices.EYES]
        return Face(floats(points), floats(irises), score)

    def _fit_mesh(self, picture: Pixels, window: Window) -> tuple[Floats, float]:
        cut = window.cut(picture, MESH_SIZE, cv2.BORDER_REPLICATE)
        self._mesh.setInput(cv2.dnn.blobFromImage(cut, 1 / 255))
        outputs = [floats(one).ravel() for one in self._mesh.forward(self._mesh.getUnconnectedOutLayersNames())]
        raw, logit = sorted(outputs, key=len, reverse=True)
        points = raw.reshape(indices.POINTS, 3)
        matrix = window.matrix(MESH_SIZE)
        flat = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        depth = points[:, 2] * window.side / MESH_SIZE
        return floats(np.column_stack([flat, depth])), float(1 / (1 + np.exp(-np.clip(logit[0], -50, 50))))

    def _fit_iris(self, picture: Pixels, points: Floats, eye: indices.EyeIndices) -> Floats:
        ends = points[[eye.upper[0], eye.upper[-1]], :2] + 0.5
        centre = ends.mean(axis=0)
        side = max(float(np.linalg.norm(ends[1] - ends[0])) * IRIS_MARGIN, 1.0)
        window = Window((float(centre[0]), float(centre[1])), side)
        cut = window.cut(picture, IRIS_SIZE, cv2.BORDER_REPLICATE)
        cut = np.ascontiguousarray(cut[:, ::-1]) if eye.mirrored else cut
        self._iris.setInput(cv2.dnn.blobFromImage(cut, 1 / 255))
        spots = floats(self._iris.forward("output_iris")).reshape(5, 3)[:, :2].copy()
        if eye.mirrored:
            spots[:, 0] = IRIS_SIZE - spots[:, 0]
        matrix = window.matrix(IRIS_SIZE)
        return floats(spots @ matrix[:, :2].T + matrix[:, 2] - 0.5)


def _anchor_centres() -> Floats:
    """Return the centres of the detector's 896 anchors ``[896, 2]``: 2 per cell of 16x16, then 6 per cell of 8x8."""
    layers = []
    for cells, repeats in ((16, 2), (8, 6)):
        line = (np.arange(cells) + 0.5) / cells
        across, down = np.meshgrid(line, line)
        layers.append(np.repeat(np.column_stack([across.ravel(), down.ravel()]), repeats, axis=0))
    return floats(np.concatenate(layers))


def _views(width: int, height: int) -> list[Window]:
    """Return where to look: the whole, twice as large, half as large, and turned."""
    longest = float(max(width, height))
    middle = (width / 2, height / 2)
    quarters = [(width * x, height * y) for y in (0.25, 0.5, 0.75) for x in (0.25, 0.5, 0.75)]
    turned = [Window(middle, longest * 1.2, np.radians(angle)) for angle in (90, -90, 45, -45)]
    return [
        Window(middle, longest),
        *(Window(centre, longest / 2) for centre in quarters),
        Window(middle, longest * 2),
        *turned,
    ]


def _window_around(points: Floats) -> Window:
    """Return the mesh's next window: around all points, turned so that the eyes are level."""
    flat = points[:, :2]
    across = flat[indices.EYES[1].upper[-1]] - flat[indices.EYES[0].upper[0]]
    angle = float(np.arctan2(across[1], across[0]))
    cosine, sine = np.cos(angle), np.sin(angle)
    axes = floats([[cosine, -sine], [sine, cosine]])
    level = flat @ axes
    low, high = level.min(axis=0), level.max(axis=0)
    centre = axes @ ((low + high) / 2)
    return Window((float(centre[0]), float(centre[1])), float((high - low).max()) * MESH_MARGIN, angle)

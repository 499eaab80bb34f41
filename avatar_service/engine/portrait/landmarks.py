"""Owns the two landmark networks: finds faces and their 468 points. Must never change a picture.

The models are MediaPipe's face mesh and iris model, run by OpenCV's own network code.
"""

from __future__ import annotations

import threading
from itertools import islice
from typing import Final

import cv2
import numpy as np

from avatar_service.assets import asset_path
from avatar_service.engine.portrait import indices
from avatar_service.engine.portrait.arrays import Floats, Pixels, floats
from avatar_service.engine.portrait.detector import MIN_SCORE, Detection, Detector, Window
from avatar_service.engine.portrait.face import Face

MESH_SIZE: Final = 192
IRIS_SIZE: Final = 64
MESH_MARGIN: Final = 1.5
IRIS_MARGIN: Final = 2.3
REFINEMENTS: Final = 2
"""Further passes of the mesh, each in the box of the points before it."""
DOUBT: Final = 0.9
"""Of the surest face's score: in the closer looks, what is below it is no face."""
MAX_FACES: Final = 4
MAX_TRIES: Final = 8
"""Detections of one look that are put to the mesh."""
SMALL_PART: Final = 0.2
"""Of the longer side: where the largest face is smaller than this, the plain look may have missed others like it."""
SURE: Final = 0.7
"""Least score of faces that are added to others."""


class FaceFinder:
    """Finds faces in RGB pictures; one call at a time, others wait."""

    def __init__(self) -> None:
        self._detector = Detector()
        self._mesh, self._iris = (
            cv2.dnn.readNetFromTFLite(str(asset_path(f"{name}.tflite"))) for name in ("face_mesh", "iris")
        )
        self._lock = threading.Lock()

    def find(self, picture: Pixels) -> list[Face]:
        """Return the faces of an RGB picture, the largest and surest first; empty if there is none.

        Small, turned and painted faces that the plain look misses are sought in further looks, one after the other.
        Where the plain look finds only small faces, a closer one makes sure that it missed none of their like.
        """
        with self._lock:
            found = self._confirmed(picture, self._detector.whole(picture))
            if found:
                longest = max(picture.shape[:2])
                if max(face.extent for _, face in found) < SMALL_PART * longest:
                    found += self._missed(picture, found)
            else:
                looks = (_surest(self._confirmed(picture, seen)) for seen in self._detector.further(picture))
                found = next((faces for faces in looks if faces), [])
        return [face for _, face in sorted(found, key=lambda one: -one[0].weight)]

    def again(self, picture: Pixels, face: Face) -> Face:
        """Return the face as measured anew in another copy of its picture; ``face`` is where it lies there."""
        points = face.points.copy()
        points[:, :2] += 0.5
        with self._lock:
            return self._refined(picture, floats(points), face.score)

    def _confirmed(self, picture: Pixels, seen: list[Detection]) -> list[tuple[Detection, Face]]:
        """Return the detections in which the mesh sees a face too, with that face."""
        measured = ((one, self._measure(picture, one.box)) for one in seen[:MAX_TRIES])
        return list(islice((pair for pair in measured if pair[1].score >= MIN_SCORE), MAX_FACES))

    def _missed(self, picture: Pixels, found: list[tuple[Detection, Face]]) -> list[tuple[Detection, Face]]:
        """Return the sure faces that a closer look shows besides those which were found."""
        known = [one for one, _ in found]
        seen = [one for one in self._detector.closer(picture) if one.score >= SURE and one.is_apart(known)]
        return _surest(self._confirmed(picture, seen))

    def _measure(self, picture: Pixels, box: Window) -> Face:
        window = Window(box.centre, box.side * MESH_MARGIN, box.angle)
        points, score = self._fit_mesh(picture, window)
        return self._refined(picture, points, score)

    def _refined(self, picture: Pixels, points: Floats, score: float) -> Face:
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


def _surest(found: list[tuple[Detection, Face]]) -> list[tuple[Detection, Face]]:
    """Return the faces that are about as sure as the surest: a fold in a coat, say, is half sure to be one."""
    least = DOUBT * max((face.score for _, face in found), default=0.0)
    return [(one, face) for one, face in found if face.score >= least]


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

"""Owns the watching of films: decodes them and measures the mouth in every frame as the engine finds faces.

Distances are in units of the distance of the outer eye corners, so that a face's size in the picture does not matter.
Nothing here knows what the mouth should do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_service.engine.portrait import indices
from avatar_service.engine.portrait.face import Face
from avatar_service.engine.portrait.landmarks import FaceFinder
from benchmarks.lipsync.agreement import Mask, Values

UPPER_INNER: Final = (82, 13, 312)
LOWER_INNER: Final = (87, 14, 317)
"""Three pairs in the middle of the inner lips: their mean is steadier than one."""
LEAST_SCORE: Final = 0.5
"""Of a face; below it, it is sought anew."""
Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Film:
    """A mouth as it was seen.

    Attributes:
        frames: that the film has, looked at or not.
        fps: frames per second.
        numbers: of the frames that were looked at, ``[n]``.
        gaps: between the inner lips in each of them, ``[n]``.
        widths: between the corners of the mouth, ``[n]``.
    """

    frames: int
    fps: int
    numbers: NDArray[np.int64]
    gaps: Values
    widths: Values

    @property
    def times(self) -> Values:
        """The middle of each frame's showing, in seconds."""
        return np.asarray((self.numbers + 0.5) / self.fps)

    @property
    def starts(self) -> Values:
        """When each frame appears, in seconds: its pts."""
        return np.asarray(self.numbers / self.fps)

    def part(self, chosen: Mask) -> Film:
        """Return the film as if only the chosen of its frames had been looked at."""
        return Film(self.frames, self.fps, self.numbers[chosen], self.gaps[chosen], self.widths[chosen])


class Watcher:
    """Measures one face through a film: found once, then followed from frame to frame."""

    def __init__(self, finder: FaceFinder) -> None:
        self._finder = finder
        self._face: Face | None = None

    def measure(self, picture: Picture) -> tuple[float, float]:
        """Return gap and width of the mouth.

        Raises:
            ValueError: if there is no face.
        """
        face = None if self._face is None else self._finder.again(picture, self._face)
        if face is None or face.score < LEAST_SCORE:
            face = next(iter(self._finder.find(picture)), None)
        if face is None:
            msg = "a frame shows no face"
            raise ValueError(msg)
        self._face = face
        return mouth_of(face)


def mouth_of(face: Face) -> tuple[float, float]:
    """Return the gap between the inner lips and the width of the mouth, in outer-eye distances."""
    flat = face.flat.astype(np.float64)
    span = float(np.linalg.norm(flat[indices.EYES[0].upper[0]] - flat[indices.EYES[1].upper[-1]]))
    apart = (flat[list(LOWER_INNER)] - flat[list(UPPER_INNER)]) @ face.axes[1]
    right, left = indices.MOUTH_CORNERS_RIGHT[0], indices.MOUTH_CORNERS_LEFT[0]
    return float(apart.mean()) / span, float(np.linalg.norm(flat[left] - flat[right])) / span


def frames(path: Path) -> Iterator[tuple[int, av.VideoFrame]]:
    """Yield every frame of a movie with its place on the clock."""
    with av.open(str(path.resolve())) as container:
        stream = container.streams.video[0]
        for frame in container.decode(stream):
            yield round((frame.time or 0) * frame_rate(stream)), frame


def shown(frame: av.VideoFrame) -> Picture:
    """Return what a frame shows, in RGB."""
    return frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


def frame_rate(stream: av.VideoStream) -> int:
    """Return frames per second: of the clock, as the mean would hide a frame that is missing."""
    return round(float(stream.base_rate or 0))


def watch(path: Path, looked_at: Callable[[float], bool] = lambda _: True) -> Film:
    """Return what the film at ``path`` shows.

    Args:
        path: a movie of one face, or with one that is largest.
        looked_at: tells by the time of a frame's appearing, in seconds, whether it is measured.

    Raises:
        ValueError: if a frame shows no face, or the film's clock does not run evenly.
    """
    cv2.setNumThreads(1)
    watcher = Watcher(FaceFinder())
    with av.open(str(path.resolve())) as container:
        fps = frame_rate(container.streams.video[0])
    count, numbers, mouths = 0, [], []
    for number, frame in frames(path):
        if number != count:
            msg = f"frame {count} of {path.name} is shown in the place of frame {number}"
            raise ValueError(msg)
        count += 1
        if looked_at(number / fps):
            numbers.append(number)
            mouths.append(watcher.measure(shown(frame)))
    return _film(count, fps, numbers, mouths)


def watch_frames(decoded: Iterable[av.VideoFrame], fps: int) -> Film:
    """Return what the frames of a decoder show."""
    watcher = Watcher(FaceFinder())
    mouths = [watcher.measure(shown(frame)) for frame in decoded]
    return _film(len(mouths), fps, list(range(len(mouths))), mouths)


def _film(frames: int, fps: int, numbers: list[int], mouths: list[tuple[float, float]]) -> Film:
    gaps, widths = np.array(mouths, np.float64).reshape(-1, 2).T
    return Film(frames, fps, np.array(numbers, np.int64), gaps, widths)

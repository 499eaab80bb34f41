"""Owns the making of films: the service's own ``animate`` against a real server, one process for each film at a time.

So what is watched is what a user gets: the sound went over gRPC, the frames came back as H.264 and lie in an MP4.
"""

from __future__ import annotations

import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar_service.commands import animate
from avatar_service.media import SAMPLE_RATE_HZ
from benchmarks.lipsync.sight import Film, watch

Sound = NDArray[np.float32]
"""Mono at 16 kHz, ``[n]`` float32 in [-1, 1]."""
SEED: Final = 42


@dataclass(frozen=True)
class Take:
    """One film to be made and watched.

    Attributes:
        portrait: picture file.
        sound: what is said; or the file that holds it.
        watched_s: the stretches that are looked at, in seconds; empty for all.
    """

    portrait: Path
    sound: Sound | Path
    watched_s: tuple[tuple[float, float], ...] = ()

    def looked_at(self, time_s: float) -> bool:
        """Whether the frame that appears at this time is measured."""
        return not self.watched_s or any(start <= time_s < end for start, end in self.watched_s)


@dataclass(frozen=True, slots=True)
class Shot:
    """A film, and how long it took to make, in seconds."""

    film: Film
    wall_s: float


def shoot(take: Take, target: str) -> Shot:
    """Make a film on the server at ``target``, and watch it.

    Raises:
        click.ClickException: if the service refuses.
        ValueError: if the film shows no face.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sound = take.sound if isinstance(take.sound, Path) else write_wave(folder / "sound.wav", take.sound)
        movie = folder / "movie.mp4"
        summary = animate.run(animate.Order(take.portrait, sound, movie, server=target, seed=SEED))
        return Shot(watch(movie, take.looked_at), summary.wall_s)


def write_wave(path: Path, sound: Sound) -> Path:
    """Write 16-bit samples, and return the path."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(np.round(np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    return path

"""Owns the trial by silence: what the mouth does when nobody speaks, in a still room and in a real one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from avatar_service.media import SAMPLE_RATE_HZ
from benchmarks.lipsync.agreement import open_fraction
from benchmarks.lipsync.script import Script, Stretch, within
from benchmarks.lipsync.sight import Film
from benchmarks.lipsync.studio import Sound

OPEN_MARGIN: Final = 0.03
"""A mouth is open whose gap is more than so much above that of the portrait at rest, in outer-eye distances."""
CLOSING_S: Final = 0.12
"""What the mouth may take to close behind the last sound, in pts."""
NOISE_DB: Final = -20.0
"""Level of the room's noise below that of speech."""


@dataclass(frozen=True)
class Quiet:
    """A sound without speech from some time on.

    Attributes:
        name: of the case.
        sound: all of it.
        stretches: in which the mouth should rest.
    """

    name: str
    sound: Sound
    stretches: tuple[Stretch, ...]


def cases(speech: Script, seconds: float) -> list[Quiet]:
    """Return silence and room noise, each alone and behind (and with) speech."""
    length = round(seconds * SAMPLE_RATE_HZ)
    spoken = speech.sound[: round(speech.phrases[0][1] * SAMPLE_RATE_HZ)]
    loud = spoken[round(speech.phrases[0][0] * SAMPLE_RATE_HZ) :]
    level = float(np.sqrt(np.mean(np.square(loud, dtype=np.float64)))) * 10 ** (NOISE_DB / 20)
    alone = np.zeros(length, np.float32)
    behind = np.concatenate([spoken, alone])
    end_s = len(behind) / SAMPLE_RATE_HZ
    begin_s = len(spoken) / SAMPLE_RATE_HZ + CLOSING_S
    return [
        Quiet("silence", alone, ((0.0, seconds),)),
        Quiet("room", alone + room_noise(length, level), ((0.0, seconds),)),
        Quiet("silence_after_speech", behind, ((begin_s, end_s),)),
        Quiet("room_after_speech", behind + room_noise(len(behind), level), ((begin_s, end_s),)),
    ]


def room_noise(samples: int, level: float) -> Sound:
    """Return noise whose power falls by 3 dB an octave, as that of rooms does, with ``level`` as its RMS."""
    spectrum = np.fft.rfft(np.random.default_rng(7).standard_normal(samples))
    hertz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ)
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(hertz, 50.0)), samples)
    return np.asarray(noise * level / np.sqrt(np.mean(noise**2)), np.float32)


@dataclass(frozen=True)
class Scene:
    """One case through one portrait, and its gap at rest."""

    portrait: str
    case: Quiet
    film: Film
    rest: float

    def counted(self) -> int:
        """Return how many frames count."""
        return int(within(self.film.starts, self.case.stretches).sum())

    def open_fraction(self) -> float:
        """Return the share of these frames in which the mouth is open."""
        return open_fraction(self.film.gaps, self.rest, OPEN_MARGIN, within(self.film.starts, self.case.stretches))


def figures(scenes: Sequence[Scene]) -> dict[str, Any]:
    """Return the share of open frames in all scenes, in each case and for each portrait."""
    cases_ = dict.fromkeys(scene.case.name for scene in scenes)
    portraits = dict.fromkeys(scene.portrait for scene in scenes)
    return {
        "silence_open_fraction": _pooled(scenes),
        "frames": sum(scene.counted() for scene in scenes),
        "by_case": {name: _pooled([scene for scene in scenes if scene.case.name == name]) for name in cases_},
        "by_portrait": {name: _pooled([scene for scene in scenes if scene.portrait == name]) for name in portraits},
    }


def _pooled(scenes: Sequence[Scene]) -> float:
    frames = sum(scene.counted() for scene in scenes)
    return round(sum(scene.open_fraction() * scene.counted() for scene in scenes) / max(frames, 1), 4)

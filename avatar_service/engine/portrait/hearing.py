"""Owns what the speech-to-motion net hears: mel bands relative to how loud the voice has been. Knows no net.

A block is one frame's worth of new sound, 40 ms, in four analyses. The same numbers are made here for training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from avatar_service.engine.base import Samples
from avatar_service.engine.portrait.arrays import Floats, floats
from avatar_service.plain import Plain

BLOCK: Final = 640
"""Samples from one block to the next: 40 ms."""
HOP: Final = 160
"""Samples from one analysis to the next: 10 ms."""
ANALYSES: Final = BLOCK // HOP
WINDOW: Final = 400
"""Samples of one analysis: 25 ms. The block's last one ends with the block."""
OVERLAP: Final = WINDOW - HOP
"""Samples before the block that its first analysis reaches back to."""
BANDS: Final = 32
HEARD: Final = ANALYSES * BANDS
"""Values that a block becomes."""
PEAK_START_DB: Final = -30.0
PEAK_FLOOR_DB: Final = -55.0
"""The loudest recent level: rises by a quarter of the way, falls by 1.5 dB/s, never below the floor."""
_PEAK_RISE: Final = 0.25
_PEAK_FALL_DB: Final = 0.015
_TRANSFORM: Final = 512
_BAND_EDGES_HZ: Final = (60.0, 7600.0)
_SCALE_DB: Final = 20.0
_RANGE: Final = (-3.0, 1.5)
_LEAST_POWER: Final = 1e-9


@dataclass(slots=True)
class Hearing(Plain):
    """What is remembered of one segment's loudness."""

    peak_db: float = PEAK_START_DB

    def hear(self, sound: Samples) -> tuple[Floats, Floats]:
        """Return what one or several blocks sound like.

        Args:
            sound: ``[OVERLAP + n * BLOCK]`` samples: what precedes the blocks, and the blocks.

        Returns:
            ``[n, HEARD]``: mel bands, 1 being 20 dB, 0 the recent peak; and ``[n, ANALYSES]``: levels in dB of full
            scale.
        """
        pieces = _windows(sound) * _HANN
        # A constant is no sound, and nothing of it may leak into the lowest bands.
        pieces -= np.add.reduce(pieces, axis=1, keepdims=True) * _HANN_OVER_ITS_SUM
        spectrum = np.fft.rfft(pieces, _TRANSFORM)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        decibels = 10 * np.log10(power @ _FILTERS + np.float32(_LEAST_POWER))
        levels = decibels[:, BANDS]
        bands = (decibels[:, :BANDS] - self._follow(levels)[:, np.newaxis]) / _SCALE_DB
        return floats(np.clip(bands, *_RANGE)).reshape(-1, HEARD), floats(levels).reshape(-1, ANALYSES)

    def _follow(self, levels: Floats) -> Floats:
        peak, peaks = self.peak_db, []
        for level in levels.tolist():
            rise = _PEAK_RISE * (level - peak)
            peak = max(peak + (rise if rise > 0 else -_PEAK_FALL_DB), PEAK_FLOOR_DB)
            peaks.append(peak)
        self.peak_db = peak
        return floats(peaks)


def _windows(sound: Samples) -> Floats:
    """Return the windows ``[n, WINDOW]`` of ``sound``: a view, 30 times faster than ``sliding_window_view``."""
    samples = np.ascontiguousarray(sound, np.float32)
    count = (samples.size - WINDOW) // HOP + 1
    width = samples.itemsize
    return np.ndarray((count, WINDOW), np.float32, samples, strides=(HOP * width, width))


def _filters() -> Floats:
    """Return ``[bins, BANDS + 1]``: triangles even on the mel scale (O'Shaughnessy 1987), and the whole band's mean.

    A full-scale sine reads 0 dB in the band that it lies in the middle of.
    """
    low, high = (2595 * np.log10(1 + edge / 700) for edge in _BAND_EDGES_HZ)
    points = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(_TRANSFORM, 1 / 16_000)[:, np.newaxis]
    rising = (bins - points[:-2]) / np.diff(points)[:-1]
    falling = (points[2:] - bins) / np.diff(points)[1:]
    triangles = np.clip(np.minimum(rising, falling), 0, None)
    whole = np.logical_and(bins >= _BAND_EDGES_HZ[0], bins < _BAND_EDGES_HZ[1])
    filters = np.concatenate([triangles, whole], axis=1)
    return floats(filters / filters.sum(axis=0) * (4 / np.sum(_HANN) ** 2))


_HANN: Final[Floats] = floats(np.hanning(WINDOW))
_HANN_OVER_ITS_SUM: Final[Floats] = floats(_HANN / np.sum(_HANN))
_FILTERS: Final[Floats] = _filters()

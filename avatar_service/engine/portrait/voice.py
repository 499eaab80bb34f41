"""Owns how sound becomes lip motion: a rule on the level and a few frequency bands. Must never know of faces.

A rule finds open and closed, and roughly round and wide; of consonants it only knows hissing ones and pauses.
It sees each frame's sound with what precedes and follows it, and remembers two levels between frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar_service.engine.base import Samples
from avatar_service.engine.portrait.arrays import Floats, floats

FRAME: Final = 640
"""Samples of one frame: 40 ms."""
HOP: Final = 160
"""Samples from one analysis to the next: 10 ms."""
WINDOW: Final = 400
"""Samples of one analysis: 25 ms."""
TRANSFORM: Final = 512
CONTEXT: Final = 320
"""Samples before the frame that are seen: 20 ms."""
LOOK_AHEAD: Final = 1280
"""Samples after the frame that are seen: 80 ms; lips lead the sound they make."""
ANALYSES: Final = (CONTEXT + FRAME + LOOK_AHEAD - WINDOW) // HOP + 1
PER_FRAME: Final = FRAME // HOP
CENTRE: Final = 6
"""The analysis the lips follow: about 40 ms after the frame's middle."""
BANDS_HZ: Final = ((100, 450), (450, 1000), (1000, 1700), (1700, 3300), (3800, 7600))
"""Voice bar and low first formants; open vowels; back to middle vowels; front vowels; hissing."""
PEAK_START_DB: Final = -28.0
PEAK_FLOOR_DB: Final = -36.0
"""The loudest recent level: rises fast, falls by 1.5 dB/s, never below what speech reaches."""
PEAK_RISE: Final = 0.25
PEAK_FALL_DB: Final = 0.015
NOISE_START_DB: Final = -70.0
"""The quietest recent level: falls at once, rises by 3 dB/s."""
NOISE_RISE_DB: Final = 0.03
NOISE_MARGIN_DB: Final = (6.0, 12.0)
SPEECH_DB: Final = (-50.0, -43.0)
"""Below the first it is silence, whatever came before; from the second on it may be speech."""
SILENCE_DB: Final = -100.0
RANGE_DB: Final = 30.0
LARGEST_OPENING: Final = 0.85
"""Wider looks like shouting."""
LINGER: Final = 3
"""Analyses to either side that take part in a smoothed value."""


@dataclass(frozen=True, slots=True)
class Articulation:
    """What the lips do in one frame, 0-1 each, and what the rest of the face may know of the sound."""

    open: float = 0.0
    round: float = 0.0
    wide: float = 0.0
    close: float = 0.0
    uplip: float = 0.0
    lolip: float = 0.0
    tongue: float = 0.0
    speaking: float = 0.0
    loudness: float = 0.0


@dataclass(slots=True)
class Voice:
    """What is remembered of one session's sound."""

    peak_db: float = PEAK_START_DB
    noise_db: float = NOISE_START_DB

    def articulate(self, window: Samples) -> Articulation:
        """Return what the lips do in a frame, and move on by it.

        Args:
            window: ``[CONTEXT + FRAME + LOOK_AHEAD]`` samples around the frame.
        """
        bands, levels = _analyse(window)
        presence, loudness = self._follow(levels)
        near = slice(CENTRE - 2, CENTRE + 3)
        speaking = float(presence[CENTRE - LINGER : CENTRE + LINGER + 1].mean())
        loud = float((loudness * presence)[near] @ _SMOOTH)
        if loud <= 0:
            return Articulation(speaking=speaking)
        low, open_, middle, front, hiss = (float(share) for share in _SMOOTH @ bands[near])
        voiced = low + open_ + middle + front
        hissing = float(np.clip((hiss - 0.45) / 0.3, 0, 1)) * float(presence[near] @ _SMOOTH)
        openness = np.clip((open_ + 0.6 * middle) / max(voiced, 1e-6) * 1.5 - 0.12, 0, 1)
        wide = float(np.clip((front / max(voiced, 1e-6) - 0.14) * 3.2, 0, 1)) * (1 - hissing)
        rounding = float(np.clip(0.55 - (front + 0.7 * middle) / max(voiced, 1e-6) * 2.6, 0, 0.55) / 0.55)
        rounding *= (1 - hissing) * min(1.0, 1.6 * loud)
        # A short dip between two louder moments is a consonant made with closed lips.
        around = float(loudness[: CENTRE - 2].max()), float(loudness[CENTRE + 3 :].max())
        dip = float(np.clip((min(around) - float(loudness[near].min()) - 0.30) / 0.25, 0, 1)) * (1 - hissing)
        open_now = loud**1.2 * (0.25 + 0.75 * float(openness)) * (1 - 0.45 * rounding) * (1 - 0.75 * hissing)
        open_now = max(open_now * (1 - 0.95 * dip), 0.16 * hissing)
        return Articulation(
            open=min(open_now, LARGEST_OPENING),
            round=0.85 * rounding,
            wide=min(1.0, wide * loud * 1.2 + 0.25 * hissing),
            close=dip,
            uplip=0.25 * hissing + 0.08 * wide,
            lolip=0.40 * hissing + 0.20 * wide * loud,
            tongue=0.5 * hissing,
            speaking=speaking,
            loudness=loud,
        )

    def _follow(self, levels: Floats) -> tuple[Floats, Floats]:
        """Return for each analysis whether it is speech and how loud, both 0-1; remember the frame's own levels."""
        peak, noise = self.peak_db, self.noise_db
        presence, loudness = np.zeros(ANALYSES, np.float32), np.zeros(ANALYSES, np.float32)
        for index, level in enumerate(levels.tolist()):
            rise = PEAK_RISE * (level - peak)
            peak = max(peak + (rise if rise > 0 else -PEAK_FALL_DB), PEAK_FLOOR_DB)
            noise = min(level, noise + NOISE_RISE_DB) if level > SILENCE_DB else noise
            noise = max(noise, NOISE_START_DB)
            absolute = _between(level, *SPEECH_DB)
            relative = _between(level - noise, *NOISE_MARGIN_DB)
            presence[index] = absolute * relative
            loudness[index] = min(max((level - peak + RANGE_DB) / RANGE_DB, 0.0), 1.0)
            if index == PER_FRAME - 1:
                self.peak_db, self.noise_db = peak, noise
        return presence, loudness


def _between(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _analyse(window: Samples) -> tuple[Floats, Floats]:
    """Return the share of each band ``[ANALYSES, 5]`` and the level in dB of full scale ``[ANALYSES]``."""
    pieces = np.lib.stride_tricks.sliding_window_view(np.array(window, np.float32), WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(pieces * _HANN, TRANSFORM)) ** 2
    levels = 10 * np.log10(power @ _SPEECH_BINS + 10 ** (SILENCE_DB / 10))
    # Emphasis by 6 dB per octave: speech falls about as much, so that the bands become comparable.
    bands = (power * _EMPHASIS) @ _BAND_BINS
    return floats(bands / (bands.sum(axis=1, keepdims=True) + 1e-12)), floats(levels)


_HANN: Final[Floats] = floats(np.hanning(WINDOW))
_BIN_HZ: Final[NDArray[np.float64]] = np.asarray(np.fft.rfftfreq(TRANSFORM, 1 / 16_000), np.float64)
_EMPHASIS: Final[NDArray[np.float64]] = np.square(_BIN_HZ / 500)
_BAND_BINS: Final[NDArray[np.float64]] = np.stack(
    [np.logical_and(low <= _BIN_HZ, high > _BIN_HZ) for low, high in BANDS_HZ], axis=1
).astype(np.float64)
# Mean square of the samples between 100 Hz and 7.6 kHz: twice the one-sided power, over the window's own energy.
_SPEECH_BINS: Final[NDArray[np.float64]] = np.where(
    np.logical_and(BANDS_HZ[0][0] <= _BIN_HZ, BANDS_HZ[-1][1] > _BIN_HZ), 2 / (TRANSFORM * np.sum(_HANN**2)), 0
).astype(np.float64)
_SMOOTH: Final[Floats] = floats([0.15, 0.22, 0.26, 0.22, 0.15])

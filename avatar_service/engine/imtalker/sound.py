"""Owns what of the sound the model is shown: which samples, and how loud they seem. Knows no model.

The reference hears a whole utterance at once and brings it to mean 0 and variance 1. A stream has only the past and a
short look-ahead, so the statistics run: over all that was heard of the segment, from a weak belief in ordinary speech.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from avatar_service.engine.base import MotionStep, Samples

FRAME: Final = 640
"""Samples of one frame: what the model sees is always a whole number of them."""
PAST: Final = 150 * FRAME
"""Samples before the hop that are heard at most: 6 s."""
BELIEF: Final = 1_600.0
"""How many samples of ordinary speech the statistics begin with: a tenth of a second."""
ORDINARY: Final = 0.06
"""Their standard deviation: speech at -24 dB of full scale."""
QUIETEST: Final = 0.002
"""Least standard deviation: what is quieter is no speech, and is not blown up to look like some."""
REMEMBERED: Final = 30.0 * 16_000
"""Samples beyond which the past counts less and less, so that minutes of silence do not make speech seem a shout."""
EPSILON: Final = 1e-7
"""The reference's, beside the variance."""


@dataclass(slots=True)
class Loudness:
    """The running statistics of one segment's sound.

    Attributes:
        heard: samples of the segment that have been counted.
        weight: what they weigh by now.
        total: their sum.
        squares: the sum of their squares.
    """

    heard: int = 0
    weight: float = BELIEF
    total: float = 0.0
    squares: float = BELIEF * ORDINARY**2

    def disbelieve(self) -> None:
        """Let what is heard speak for itself."""
        self.weight, self.squares = 0.0, 0.0

    def count(self, samples: Samples) -> None:
        """Take new samples ``[n]`` into account."""
        fresh = samples.astype(np.float64)
        self.heard += samples.size
        self.weight += samples.size
        self.total += float(fresh.sum())
        self.squares += float(fresh @ fresh)
        if self.weight > REMEMBERED:
            kept = REMEMBERED / self.weight
            self.weight, self.total, self.squares = REMEMBERED, kept * self.total, kept * self.squares

    def normalised(self, samples: Samples) -> Samples:
        """Return the samples as they seem: mean 0, variance 1, as far as is known."""
        mean = self.total / self.weight
        variance = max(self.squares / self.weight - mean * mean, QUIETEST**2)
        return np.asarray((samples - mean) / np.sqrt(variance + EPSILON), np.float32)


@dataclass(frozen=True, slots=True)
class Window:
    """What the model hears for one hop.

    Attributes:
        samples: ``[FRAME * (past + frames + ahead)]`` float32, normalised.
        past: frames before the hop.
        ahead: frames behind it.
    """

    samples: Samples
    past: int
    ahead: int


def hear(step: MotionStep, context: int, loudness: Loudness) -> Window:
    """Return what the model hears in a step, and count what is new in it.

    Where the segment ends within the window, the window ends with it: its last sample is repeated to the end of its
    frame, as the reference does. Where it is seen whole, its statistics are its own, as in the reference.

    Args:
        step: with sound that is not broken; its look-ahead is a whole number of frames.
        context: samples that its window shows before the hop.
        loudness: of the segment up to the hop before; advanced.
    """
    past = min(step.first_frame, min(context, PAST) // FRAME)
    in_sight = step.window.size - context
    end = min(step.remaining, in_sight)
    frames = -(-end // FRAME)
    sound = step.window[context - past * FRAME : context + frames * FRAME].copy()
    real = past * FRAME + end
    sound[real:] = sound[real - 1]
    if step.first_frame == 0 and end < in_sight:
        loudness.disbelieve()
    # The reference pads before it normalises, so the repeated samples count.
    loudness.count(sound[loudness.heard - (step.first_frame - past) * FRAME :])
    return Window(loudness.normalised(sound), past, frames - step.frames)


def unbroken(samples: Samples) -> Samples:
    """Return the samples within full scale; a broken one must neither spread nor stay in what is remembered."""
    clipped = np.clip(samples, -1, 1)
    return np.nan_to_num(clipped) if np.isnan(clipped).any() else clipped

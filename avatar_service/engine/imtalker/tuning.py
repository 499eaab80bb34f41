"""Owns what an operator may choose of the engine, beside the weights. Reads nothing; computes nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tuning:
    """What an operator may choose.

    Attributes:
        look_ahead_frames: frames of 40 ms that are heard beyond a hop; the preset LOWEST_LATENCY hears 2 fewer, and
            BEST_QUALITY twice as many.
        hop_frames: longest hop of the preset BALANCED.
        motion_scale: by how much motion is scaled about the portrait's own.
        gated: whether the face comes to rest in silence.
        max_batch: frames and clips that one call of the networks takes; 0 for what suits the device.
        captured: whether a GPU's work is captured once for each batch size, and replayed.
    """

    look_ahead_frames: int = 5
    hop_frames: int = 25
    motion_scale: float = 1.0
    gated: bool = True
    max_batch: int = 0
    captured: bool = False

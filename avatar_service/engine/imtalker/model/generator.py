"""Owns the way from speech to motion: projected conditions, clips of 50 frames, guidance, Euler steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

CLIP: Final = 50
"""Frames that are generated together."""
BEFORE: Final = 10
"""Frames of context before them."""


@dataclass(frozen=True, slots=True)
class Context:
    """The last ``BEFORE`` frames before a clip, of ``B`` sessions; zeros before the first one.

    Attributes:
        motion: ``[B, 10, 32]``, as generated.
        condition: ``[B, 10, 32]``: their embedded speech and style, added.
    """

    motion: Tensor
    condition: Tensor

    @classmethod
    def empty(cls, sessions: int, like: Tensor) -> Context:
        """Return what stands before the first clip, with the device and dtype of ``like`` (``[..., 32]``)."""
        return cls(*(torch.zeros(sessions, BEFORE, like.shape[-1], device=like.device, dtype=like.dtype) for _ in "mc"))

    def then(self, motion: Tensor, condition: Tensor) -> Context:
        """Return the context behind further real frames ``[B, n, 32]``; n may be less than ``BEFORE``."""
        return Context(
            torch.cat([self.motion, motion], dim=1)[:, -BEFORE:],
            torch.cat([self.condition, condition], dim=1)[:, -BEFORE:],
        )


@dataclass(frozen=True, slots=True)
class Style:
    """How the head and the eyes move, where that is known; ``None`` leaves it to the model.

    Attributes:
        pose: ``[N, 3]`` rotation of the head.
        gaze: ``[N, 2]`` direction of the eyes.
        cam: ``[N, 3]`` camera.
    """

    pose: Tensor | None = None
    gaze: Tensor | None = None
    cam: Tensor | None = None

"""Owns the whole model behind one door: the offline path of the reference, and the batched parts that streaming joins.

Everything is in eval mode and computes without gradients. A model belongs to one device; calls from two threads at once
are safe (nothing here has a state but the weights).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avatar_service.engine.imtalker.model.generator import Context, Style
from avatar_service.engine.imtalker.model.identity import Identity
from avatar_service.engine.imtalker.model.precision import Precision


class Model:
    """The public IMTalker model.

    Attributes:
        generation: of the public code that the weights belong to: 1 or 2.
        device: where all tensors are.
        precision: with which numbers each part computes.
        side: height and width of the frames, in pixels: 512 of the public weights.
        portrait_side: what a portrait is resized to before it is encoded: 512, or 256 in generation 1.
        renderer: the networks from portrait and motion to frames.
        generator: the networks from speech to motion; the Linear layers of ``generator.flow`` take low-rank adapters.
    """

    generation: int
    device: torch.device
    precision: Precision
    side: int
    portrait_side: int
    renderer: Any
    generator: Any

    @classmethod
    def load(
        cls, path: Path | str, *, device: torch.device | str = "cpu", dtype: torch.dtype | Precision = torch.float32
    ) -> Model:
        """Return the model of a folder (``renderer.ckpt``, ``generator.ckpt``, ``wav2vec2-base-960h/``) or of one file.

        Args:
            path: the folder, or the ``.safetensors`` file that ``convert`` wrote.
            device: where it shall compute.
            dtype: of all parts that bear it (see ``Precision.of``), or of each.

        Raises:
            WeightsError: if a file is missing, damaged, of another generation, does not match its SHA-256, or has
                missing, unexpected or misshapen keys or numbers that are none.
        """
        raise NotImplementedError

    def encode_portrait(self, image: NDArray[np.uint8]) -> Identity:
        """Return all that frames need of a portrait.

        Args:
            image: the face's square, RGB ``[H, W, 3]`` uint8 of any size; resized as the reference's command line does
                (Pillow, bilinear with antialiasing).
        """
        raise NotImplementedError

    def motion_of(self, images: NDArray[np.uint8]) -> Tensor:
        """Return the motion ``[k, 32]`` seen in pictures ``[k, H, W, 3]``, e.g. of a driving video or for training."""
        raise NotImplementedError

    def features(self, audio: Tensor) -> Tensor:
        """Return what is heard in a whole utterance: ``[T, 768]`` float32, T = ceil(n / 640), as the reference has it.

        Args:
            audio: ``[n]`` at 16 kHz, n >= 1; normalised as a whole to mean 0 and variance 1 before it is heard.
        """
        raise NotImplementedError

    def features_normalised(self, audio: Tensor) -> Tensor:
        """Return what is heard in windows ``[B, 640 T]`` that the caller has normalised: ``[B, T, 768]`` float32."""
        raise NotImplementedError

    def speech(self, features: Tensor) -> Tensor:
        """Return embedded speech ``[..., T, 32]`` of features ``[..., T, 768]``: what a clip takes."""
        raise NotImplementedError

    def style(self, style: Style, frames: int) -> Tensor:
        """Return embedded style: ``[frames, 32]``, the sum of what is given; zeros of nothing.

        Args:
            style: of frames 0 to N; longer than ``frames`` is cut, shorter is padded with zero rows before embedding.
            frames: how many.
        """
        raise NotImplementedError

    def clip(
        self,
        noise: Tensor,
        speech: Tensor,
        style: Tensor,
        context: Context,
        reference: Tensor,
        *,
        nfe: int = 10,
        cfg_scale: float | Tensor = 3.0,
    ) -> Tensor:
        """Return one clip of motion of B sessions: ``[B, 50, 32]`` float32.

        Args:
            noise: ``[B, 50, 32]``, standard normal.
            speech: ``[B, 50, 32]`` embedded speech; behind the end of the audio its last row, repeated.
            style: ``[B, 50, 32]`` embedded style.
            context: of the same B sessions.
            reference: ``[B, 32]``: ``Identity.reference``.
            nfe: points of the Euler grid, at least 2; nfe - 1 evaluations.
            cfg_scale: guidance; one number, or ``[B]`` of them. Exactly 1 for all costs half.
        """
        raise NotImplementedError

    def sample(
        self,
        identity: Identity,
        features: Tensor,
        *,
        nfe: int = 10,
        cfg_scale: float = 3.0,
        seed: int | None = None,
        noise: Tensor | None = None,
        style: Style = Style(),
    ) -> Tensor:
        """Return the motion of a whole utterance as the reference makes it, clip by clip: ``[T, 32]`` float32.

        Args:
            identity: whose motion; one.
            features: ``[T, 768]``.
            nfe: as in ``clip``.
            cfg_scale: as in ``clip``.
            seed: of the noise, which is drawn on the CPU clip after clip: the same numbers on every device.
            noise: ``[clips, 50, 32]``, or ``[1, 50, 32]`` for every clip, instead of a seed.
            style: how the head and the eyes move, where that is known.

        Raises:
            ValueError: unless exactly one of seed and noise is given.
        """
        raise NotImplementedError

    def render(self, identity: Identity | Sequence[Identity], motion: Tensor) -> Tensor:
        """Return frames ``[k, 3, side, side]`` float32 in [0, 1].

        Args:
            identity: of all frames, or one for each.
            motion: ``[k, 32]``, one row a frame.
        """
        raise NotImplementedError

    def frames(self, identity: Identity | Sequence[Identity], motion: Tensor) -> Tensor:
        """Return frames as bytes, RGB ``[k, side, side, 3]`` uint8 on the device: floor(255 x), as the reference."""
        raise NotImplementedError

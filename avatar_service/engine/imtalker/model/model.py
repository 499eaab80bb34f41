"""Owns the whole model behind one door: the offline path of the reference, and the batched parts that streaming joins.

Everything is in eval mode and computes without gradients. A model belongs to one device; calls from two threads at once
are safe (nothing here has a state but the weights).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from avatar_service.engine.imtalker.model.checkpoint import Checkpoint, read
from avatar_service.engine.imtalker.model.generator import CLIP, Conditions, Context, Generator, Style
from avatar_service.engine.imtalker.model.identity import Identity
from avatar_service.engine.imtalker.model.precision import Precision
from avatar_service.engine.imtalker.model.renderer import Renderer
from avatar_service.engine.imtalker.model.sizes import GeneratorSizes, RendererSizes
from avatar_service.engine.imtalker.model.speech import normalise, whole_steps
from avatar_service.engine.imtalker.model.weights import Weights


class Model:
    """The public IMTalker model.

    Attributes:
        generation: of the public code that the weights belong to: 1 or 2.
        device: where all tensors are.
        precision: with which numbers each part computes.
        side: height and width of the frames, in pixels: 512 of the public weights.
        portrait_side: what a portrait is resized to before it is encoded: 512, or 256 in generation 1.
        renderer: the networks from portrait and motion to frames.
        batch: frames that are rendered at once, at most; on a CPU one, which keeps memory small and costs no time.
        generator: the networks from speech to motion; the Linear layers of ``generator.flow`` take low-rank adapters.

    Args:
        checkpoint: all its tensors.
        device: as in ``load``.
        dtype: as in ``load``.
        renderer: sizes of the renderer, if not the public ones.
        generator: sizes of the generator, if not the public ones.

    Raises:
        WeightsError: as in ``load``.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | Precision = torch.float32,
        renderer: RendererSizes | None = None,
        generator: GeneratorSizes | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.precision = dtype if isinstance(dtype, Precision) else Precision.of(dtype)
        self.generation = checkpoint.generation
        drawing = renderer or RendererSizes(generation=self.generation)
        moving = generator or GeneratorSizes(generation=self.generation)
        self.side, self.portrait_side = drawing.side, drawing.portrait_side
        self.batch = 1 if self.device.type == "cpu" else 64
        weights = Weights(checkpoint.renderer, checkpoint.renderer_file)
        self.renderer = Renderer(weights, drawing, self.device, self.precision).eval()
        weights.close()
        weights = Weights(checkpoint.generator, checkpoint.generator_file)
        self.generator = Generator(weights, moving, self.device, self.precision).eval()
        weights.close()

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
        return cls(read(Path(path)), device=device, dtype=dtype)

    @torch.inference_mode()
    def encode_portrait(self, image: NDArray[np.uint8]) -> Identity:
        """Return all that frames need of a portrait.

        Args:
            image: the face's square, RGB ``[H, W, 3]`` uint8 of any size; resized as the reference's command line does
                (Pillow, bilinear with antialiasing).
        """
        return self.renderer.encode(self._seen(image))

    @torch.inference_mode()
    def motion_of(self, images: NDArray[np.uint8]) -> Tensor:
        """Return the motion ``[k, 32]`` seen in pictures ``[k, H, W, 3]``, e.g. of a driving video or for training."""
        return torch.cat([self.renderer.motion_encoder(self._seen(image)).float() for image in images])

    @torch.inference_mode()
    def features(self, audio: Tensor) -> Tensor:
        """Return what is heard in a whole utterance: ``[T, 768]`` float32, T = ceil(n / 640), as the reference has it.

        Args:
            audio: ``[n]`` at 16 kHz, n >= 1; normalised as a whole to mean 0 and variance 1 before it is heard.
        """
        return self.features_normalised(whole_steps(normalise(audio.to(self.device, torch.float32)))[None])[0]

    @torch.inference_mode()
    def features_normalised(self, audio: Tensor) -> Tensor:
        """Return what is heard in windows ``[B, 640 T]`` that the caller has normalised: ``[B, T, 768]`` float32."""
        return self.generator.features(audio.to(self.device, torch.float32))

    @torch.inference_mode()
    def speech(self, features: Tensor) -> Tensor:
        """Return embedded speech ``[..., T, 32]`` of features ``[..., T, 768]``: what a clip takes."""
        return self.generator.speech(features.to(self.device, torch.float32))

    @torch.inference_mode()
    def style(self, style: Style, frames: int) -> Tensor:
        """Return embedded style: ``[frames, 32]``, the sum of what is given; zeros of nothing.

        Args:
            style: of frames 0 to N; longer than ``frames`` is cut, shorter is padded with zero rows before embedding.
            frames: how many.
        """
        return self.generator.style(style, frames)

    @torch.inference_mode()
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
        conditions = Conditions(reference, speech, style, context)
        return self.generator.clip(noise, conditions, nfe=nfe, cfg_scale=cfg_scale)

    @torch.inference_mode()
    def sample(
        self,
        identity: Identity,
        features: Tensor,
        *,
        nfe: int = 10,
        cfg_scale: float = 3.0,
        seed: int | None = None,
        noise: Tensor | None = None,
        style: Style | None = None,
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
        frames = features.shape[0]
        if seed is not None and noise is None:
            source = torch.Generator().manual_seed(seed)
            shape = (1, CLIP, self.generator.sizes.motion)
            noise = torch.cat([torch.randn(shape, generator=source) for _ in range(0, frames, CLIP)])
        elif noise is None or seed is not None:
            msg = "give either a seed or noise"
            raise ValueError(msg)
        embedded = self.speech(features), self.style(style or Style(), frames)
        noise = noise.to(self.device)
        return self.generator.sample(identity.reference, *embedded, noise, nfe=nfe, cfg_scale=cfg_scale)

    @torch.inference_mode()
    def render(self, identity: Identity | Sequence[Identity], motion: Tensor) -> Tensor:
        """Return frames ``[k, 3, side, side]`` float32 in [0, 1].

        Args:
            identity: of all frames, or one for each.
            motion: ``[k, 32]``, one row a frame.
        """
        return torch.cat([part.float() for part in self._rendered(identity, motion)])

    @torch.inference_mode()
    def frames(self, identity: Identity | Sequence[Identity], motion: Tensor) -> Tensor:
        """Return frames as bytes, RGB ``[k, side, side, 3]`` uint8 on the device: floor(255 x), as the reference."""
        parts = [(part.float() * 255).to(torch.uint8) for part in self._rendered(identity, motion)]
        return torch.cat(parts).permute(0, 2, 3, 1)

    def _rendered(self, identity: Identity | Sequence[Identity], motion: Tensor) -> Iterator[Tensor]:
        """Yield frames in batches of at most ``batch``."""
        motion = motion.to(self.device, torch.float32)
        for start in range(0, motion.shape[0], self.batch):
            rows = slice(start, start + self.batch)
            whose = identity if isinstance(identity, Identity) else Identity.join(identity[rows])
            yield self.renderer(whose, motion[rows])

    def _seen(self, image: NDArray[np.uint8]) -> Tensor:
        """Return a picture as the encoders take it: ``[1, 3, side, side]`` in [0, 1]."""
        side = self.portrait_side
        resized = Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.asarray(resized, np.float32) / 255)
        return pixels.permute(2, 0, 1)[None].to(self.device)

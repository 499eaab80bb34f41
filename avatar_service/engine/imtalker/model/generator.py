"""Owns the way from speech to motion: projected conditions, clips of 50 frames, guidance, Euler steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar_service.engine.imtalker.model.flow import Flow
from avatar_service.engine.imtalker.model.layers import layer_norm, linear
from avatar_service.engine.imtalker.model.precision import Precision
from avatar_service.engine.imtalker.model.sizes import GeneratorSizes
from avatar_service.engine.imtalker.model.speech import SpeechEncoder
from avatar_service.engine.imtalker.model.weights import Weights

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


@dataclass(frozen=True, slots=True)
class Branches:
    """What a flow is told: the rows without the clip's speech first, if there is guidance, then those with it.

    Attributes:
        reference: ``[B or 2 B, 32]``.
        before: motion of the context, ``[B or 2 B, 10, 32]``.
        condition: ``[B or 2 B, 60, 32]``.
    """

    reference: Tensor
    before: Tensor
    condition: Tensor


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a clip of B sessions is made under.

    Attributes:
        reference: ``[B, 32]``, the portraits' motion.
        speech: ``[B, 50, 32]``, embedded.
        style: ``[B, 50, 32]``, embedded.
        context: what came before.
    """

    reference: Tensor
    speech: Tensor
    style: Tensor
    context: Context

    def branches(self, *, guided: bool) -> Branches:
        """Return what the flow is told; guidance leaves out the clip's own speech, nothing else (not the context's)."""
        told = torch.cat([self.context.condition, self.speech + self.style], dim=1)
        if not guided:
            return Branches(self.reference, self.context.motion, told)
        without = torch.cat([self.context.condition, self.style], dim=1)
        return Branches(
            self.reference.repeat(2, 1), self.context.motion.repeat(2, 1, 1), torch.cat([without, told], dim=0)
        )


class Embedding(nn.Sequential):
    """Embeds one condition: a layer, a layer normalisation, SiLU."""

    def __init__(self, weights: Weights, inputs: int, outputs: int) -> None:
        super().__init__(linear(weights.at("0"), inputs, outputs), layer_norm(weights.at("1"), outputs), nn.SiLU())


class Generator(nn.Module):
    """Everything in ``generator.ckpt`` and the folder of the audio encoder.

    Args:
        weights: without the prefix ``model.``.
        sizes: of the networks.
        device: where they compute.
        precision: with which numbers.
    """

    def __init__(
        self, weights: Weights, sizes: GeneratorSizes, device: torch.device, precision: Precision | None = None
    ) -> None:
        super().__init__()
        precision = precision or Precision()
        self.sizes = sizes
        self.precision = precision
        self.encoder = SpeechEncoder(weights.at("audio_encoder.wav2vec2"), sizes.speech).to(device, precision.speech)
        self.flow = Flow(weights.at("fmt"), sizes, BEFORE + CLIP).to(device, precision.flow)
        wide = {"audio": sizes.speech.hidden, "pose": 3, "gaze": 2, "cam": 3}
        embeddings = {
            name: Embedding(weights.at(f"{name}_projection"), width, sizes.condition) for name, width in wide.items()
        }
        self.embeddings = nn.ModuleDict(embeddings).to(device)

    def features(self, audio: Tensor) -> Tensor:
        """Return ``[B, T, 768]`` float32 of normalised audio ``[B, 640 T]``."""
        return self.encoder(audio.to(self.precision.speech)).float()

    def speech(self, features: Tensor) -> Tensor:
        """Return ``[..., T, 32]`` float32 of features ``[..., T, 768]``."""
        return self.embeddings["audio"](features)

    def style(self, style: Style, frames: int) -> Tensor:
        """Return ``[frames, 32]`` float32: the embedded parts of a style, added."""
        device = next(self.embeddings.parameters()).device
        total = torch.zeros(frames, self.sizes.condition, device=device)
        for name in ("pose", "gaze", "cam"):
            rows: Tensor | None = getattr(style, name)
            if rows is not None:
                rows = rows[:frames].to(device, torch.float32)
                total = total + self.embeddings[name](functional.pad(rows, (0, 0, 0, frames - rows.shape[0])))
        return total

    def clip(self, noise: Tensor, conditions: Conditions, *, nfe: int, cfg_scale: float | Tensor) -> Tensor:
        """Return the motion ``[B, 50, 32]`` float32 that noise ``[B, 50, 32]`` flows to.

        Euler steps on nfe equal points from 0 to 1; the last point is reached, not evaluated.
        """
        times = torch.linspace(0, 1, nfe, device=noise.device)
        scale = cfg_scale[:, None, None] if isinstance(cfg_scale, Tensor) else cfg_scale
        guided = isinstance(cfg_scale, Tensor) or cfg_scale != 1.0
        branches = conditions.branches(guided=guided)
        motion = noise.float()
        for step in range(nfe - 1):
            velocity = self._velocity(motion, branches, times[step : step + 1])
            if guided:
                without, told = velocity.chunk(2)
                velocity = without + scale * (told - without)
            motion = motion + (times[step + 1] - times[step]) * velocity
        return motion

    def _velocity(self, motion: Tensor, branches: Branches, time: Tensor) -> Tensor:
        copies = branches.reference.shape[0] // motion.shape[0]
        x = torch.cat([branches.before, motion.repeat(copies, 1, 1)], dim=1)
        dtype = self.precision.flow
        velocity = self.flow(x.to(dtype), branches.reference.to(dtype), branches.condition.to(dtype), time)
        return velocity[:, BEFORE:].float()

    def sample(
        self, reference: Tensor, speech: Tensor, style: Tensor, noise: Tensor, *, nfe: int, cfg_scale: float
    ) -> Tensor:
        """Return the motion ``[T, 32]`` of a whole utterance, clip by clip.

        Args:
            reference: ``[1, 32]``.
            speech: ``[T, 32]``.
            style: ``[T, 32]``.
            noise: ``[clips, 50, 32]``, or ``[1, 50, 32]`` for all of them.
            nfe: points of the Euler grid.
            cfg_scale: guidance.
        """
        frames = speech.shape[0]
        context = Context.empty(1, speech)
        clips = []
        for index, start in enumerate(range(0, frames, CLIP)):
            rows = [_filled(x[start : start + CLIP])[None] for x in (speech, style)]
            conditions = Conditions(reference, rows[0], rows[1], context)
            row = noise[index % noise.shape[0]][None]
            clips.append(self.clip(row, conditions, nfe=nfe, cfg_scale=cfg_scale))
            context = context.then(clips[-1], rows[0] + rows[1])
        return torch.cat(clips, dim=1)[0, :frames]


def _filled(rows: Tensor) -> Tensor:
    """Return ``CLIP`` rows: the last one is repeated."""
    return torch.cat([rows, rows[-1:].expand(CLIP - rows.shape[0], -1)])

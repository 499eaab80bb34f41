"""Owns what is heard: wav2vec2 as transformers has it, but its transformer sees 25 steps a second, not its own 50."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize
from transformers import Wav2Vec2Config, Wav2Vec2Model

from avatar_service.engine.imtalker.model.layers import frozen
from avatar_service.engine.imtalker.model.sizes import SpeechSizes
from avatar_service.engine.imtalker.model.weights import Weights

STEP: Final = 640
"""Samples a frame: 16 kHz, 25 frames a second."""
LOUDNESS_EPSILON: Final = 1e-7
_POSITIONS: Final = "encoder.pos_conv_embed.conv"
_MASK: Final = "masked_spec_embed"


def normalise(audio: Tensor) -> Tensor:
    """Return audio ``[..., n]`` with mean 0 and (population) variance 1."""
    spread = audio.var(-1, unbiased=False, keepdim=True)
    return (audio - audio.mean(-1, keepdim=True)) / torch.sqrt(spread + LOUDNESS_EPSILON)


def whole_steps(audio: Tensor) -> Tensor:
    """Return audio ``[n]`` with its last sample repeated until its length is a multiple of ``STEP``."""
    missing = -audio.shape[-1] % STEP
    return torch.cat([audio, audio[..., -1:].expand(*audio.shape[:-1], missing)], dim=-1)


class SpeechEncoder(nn.Module):
    """Features of speech, one row a frame."""

    def __init__(self, weights: Weights, sizes: SpeechSizes) -> None:
        super().__init__()
        config = Wav2Vec2Config(
            hidden_size=sizes.hidden,
            num_hidden_layers=sizes.layers,
            num_attention_heads=sizes.heads,
            intermediate_size=sizes.inner,
            conv_dim=(sizes.channels,) * 7,
            num_conv_pos_embeddings=sizes.position_kernel,
            num_conv_pos_embedding_groups=sizes.position_groups,
        )
        config._attn_implementation = "sdpa"  # noqa: SLF001 - the keyword is not in its signature
        with torch.device("meta"):
            model = Wav2Vec2Model(config)
        positions = model.encoder.pos_conv_embed.conv
        parametrize.remove_parametrizations(positions, "weight")
        kernel = f"{_POSITIONS}.weight"
        shapes = {name: tuple(x.shape) for name, x in model.state_dict().items() if name not in {kernel, _MASK}}
        tensors = {name: weights.take(name, *shape) for name, shape in shapes.items()}
        weights.unused(_MASK, sizes.hidden)
        tensors[_MASK] = torch.zeros(sizes.hidden)
        tensors[kernel] = _position_kernel(weights.at(_POSITIONS), tuple(positions.weight.shape))
        model.load_state_dict(tensors, assign=True)
        model.requires_grad_(requires_grad=False).eval()
        self.ears, self.projection, self.encoder = model.feature_extractor, model.feature_projection, model.encoder

    def forward(self, audio: Tensor) -> Tensor:
        """Return ``[B, T, 768]`` of normalised audio ``[B, 640 T]``."""
        heard = self.heard(audio)
        return self.encoder(self.projection(heard)[0]).last_hidden_state

    def heard(self, audio: Tensor) -> Tensor:
        """Return what the convolutions make of normalised audio ``[B, 640 T]``: ``[B, T, 512]``."""
        steps = audio.shape[1] // STEP
        return functional.interpolate(self.ears(audio), steps, mode="linear", align_corners=True).transpose(1, 2)


def _position_kernel(weights: Weights, shape: tuple[int, ...]) -> Tensor:
    """Return the kernel of the convolution that tells positions: per tap a gain times a direction."""
    v = weights.take("weight_v", *shape)
    g = weights.take("weight_g", 1, 1, shape[2])
    return frozen(g * v / v.double().square().sum((0, 1), keepdim=True).sqrt().clamp_min(1e-30).float())

"""Owns the network of the flow: a transformer over 10 frames of context and 50 of a clip, modulated frame by frame.

Its Linear layers are named as in the checkpoint, so that low-rank adapters can find and replace them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar_service.engine.imtalker.model.layers import frozen, linear
from avatar_service.engine.imtalker.model.sizes import GeneratorSizes
from avatar_service.engine.imtalker.model.weights import Weights

TINY = 1e-6
"""Of the layer normalisations here."""


class TimeEmbedder(nn.Module):
    """The time of the flow in [0, 1], as sines and cosines behind two layers."""

    def __init__(self, weights: Weights, sizes: GeneratorSizes) -> None:
        super().__init__()
        self.waves = sizes.waves // 2
        layers = [linear(weights.at("mlp.0"), sizes.waves, sizes.hidden), nn.SiLU()]
        self.mlp = nn.Sequential(*layers, linear(weights.at("mlp.2"), sizes.hidden, sizes.hidden))

    def forward(self, time: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return ``[n, hidden]`` of that dtype of times ``[n]``."""
        steps = torch.arange(self.waves, device=time.device)
        angles = time[:, None].float() * torch.exp(-math.log(10_000.0) * steps / self.waves)
        return self.mlp(torch.cat([angles.cos(), angles.sin()], dim=1).to(dtype))


@dataclass(frozen=True, slots=True)
class Places:
    """What tells tokens where they are, computed anew for each call: small, and exact whatever the networks' dtype.

    Attributes:
        band: True where a token sees another, ``[tokens, tokens]``; in generation 1.
        cosines: of the angles that queries and keys are rotated by, ``[tokens, d / 2]``; in generation 2.
        sines: likewise.
    """

    band: Tensor | None = None
    cosines: Tensor | None = None
    sines: Tensor | None = None

    @classmethod
    def rotated(cls, tokens: int, rates: Tensor) -> Places:
        """Return what rotates pairs of values at so many radians a token: ``[d / 2]``."""
        angles = torch.arange(tokens, device=rates.device)[:, None] * rates
        return cls(cosines=angles.cos().float(), sines=angles.sin().float())

    def rotate(self, x: Tensor) -> Tensor:
        """Return queries or keys ``[B, heads, tokens, d]`` rotated by their positions, where they are.

        Value i is paired with i + d / 2 (Su et al. 2021, as GPT-NeoX splits it).
        """
        if self.cosines is None:
            return x
        a, b = x.float().chunk(2, dim=-1)
        pair = a * self.cosines - b * self.sines, b * self.cosines + a * self.sines
        return torch.cat(pair, dim=-1).to(x.dtype)


def rates(sizes: GeneratorSizes, device: torch.device | None = None) -> Tensor:
    """Return the rotation of each pair of values, in radians a token: ``[d / 2]`` float64."""
    half = sizes.hidden // sizes.heads // 2
    return 10_000.0 ** (-torch.arange(half, dtype=torch.float64, device=device) / half)


class Attention(nn.Module):
    """Frames attend to frames: rotated by their positions (generation 2), or within a band (generation 1)."""

    def __init__(self, weights: Weights, sizes: GeneratorSizes) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.qkv = linear(weights.at("qkv"), sizes.hidden, 3 * sizes.hidden)
        self.proj = linear(weights.at("proj"), sizes.hidden, sizes.hidden)

    def forward(self, x: Tensor, places: Places) -> Tensor:
        """Return ``[B, tokens, hidden]``."""
        queries, keys, values = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        queries, keys = places.rotate(queries), places.rotate(keys)
        moved = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=places.band)
        return self.proj(moved.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and a two-layer net, each scaled, shifted and gated by what is known of the frame (DiT)."""

    def __init__(self, weights: Weights, sizes: GeneratorSizes) -> None:
        super().__init__()
        hidden = sizes.hidden
        self.attn = Attention(weights.at("attn"), sizes)
        self.mlp = nn.ModuleDict(
            {
                "fc1": linear(weights.at("mlp.fc1"), hidden, sizes.widening * hidden),
                "fc2": linear(weights.at("mlp.fc2"), sizes.widening * hidden, hidden),
            }
        )
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), linear(weights.at("adaLN_modulation.1"), hidden, 6 * hidden))

    def forward(self, x: Tensor, known: Tensor, places: Places) -> Tensor:
        """Return ``[B, tokens, hidden]`` under what is known, of the same shape."""
        shift, scale, gate, shift_2, scale_2, gate_2 = self.adaLN_modulation(known).chunk(6, dim=-1)
        x = x + gate * self.attn(modulated(x, shift, scale), places)
        inner = functional.gelu(self.mlp["fc1"](modulated(x, shift_2, scale_2)), approximate="tanh")
        return x + gate_2 * self.mlp["fc2"](inner)


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Return tokens normalised, then scaled and shifted each by its own."""
    return functional.layer_norm(x, x.shape[-1:], eps=TINY) * (1 + scale) + shift


class Decoder(nn.Module):
    """From tokens to the flow's direction."""

    def __init__(self, weights: Weights, sizes: GeneratorSizes) -> None:
        super().__init__()
        self.adaLN_modulation = nn.Sequential(
            nn.SiLU(), linear(weights.at("adaLN_modulation.1"), sizes.hidden, 2 * sizes.hidden)
        )
        self.linear = linear(weights.at("linear"), sizes.hidden, sizes.motion)

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        """Return ``[B, tokens, 32]``."""
        shift, scale = self.adaLN_modulation(known).chunk(2, dim=-1)
        return self.linear(modulated(x, shift, scale))


class Flow(nn.Module):
    """Where the flow leads from a motion at a time: a velocity for each frame."""

    def __init__(self, weights: Weights, sizes: GeneratorSizes, tokens: int) -> None:
        super().__init__()
        self.sizes = sizes
        self.tokens = tokens
        self.added = None
        if sizes.generation > 1:
            weights.constant("rotary_emb.inv_freq", rates(sizes).float())
        else:
            self.added = frozen(weights.take("pos_embed", 1, tokens, sizes.hidden))
            weights.constant("alignment_mask", ~_seen(tokens, sizes.reach))
        self.x_embedder = nn.ModuleDict({"proj": linear(weights.at("x_embedder.proj"), 2 * sizes.motion, sizes.hidden)})
        self.t_embedder = TimeEmbedder(weights.at("t_embedder"), sizes)
        self.c_embedder = linear(weights.at("c_embedder"), sizes.condition, sizes.hidden)
        self.blocks = nn.ModuleList(Block(weights.at(f"blocks.{index}"), sizes) for index in range(sizes.depth))
        self.decoder = Decoder(weights.at("decoder"), sizes)

    def forward(self, motion: Tensor, reference: Tensor, condition: Tensor, time: Tensor) -> Tensor:
        """Return the velocity ``[B, tokens, 32]``.

        Args:
            motion: ``[B, tokens, 32]``: the context as it is, then the clip on its way from noise.
            reference: ``[B, 32]``, the portrait's motion.
            condition: ``[B, tokens, 32]``, embedded speech and style added.
            time: ``[1]`` or ``[B]`` in [0, 1].
        """
        known = self.t_embedder(time, motion.dtype)[:, None] + self.c_embedder(condition)
        pair = torch.cat([reference[:, None].expand_as(motion), motion], dim=-1)
        x = self.x_embedder["proj"](pair)
        x = x if self.added is None else x + self.added
        places = self._places(motion.device)
        for block in self.blocks:
            x = block(x, known, places)
        return self.decoder(x, known)

    def _places(self, device: torch.device) -> Places:
        if self.added is None:
            return Places.rotated(self.tokens, rates(self.sizes, device))
        return Places(band=_seen(self.tokens, self.sizes.reach, device))


def _seen(tokens: int, reach: int, device: torch.device | None = None) -> Tensor:
    """Return True where a token is within reach of another: ``[tokens, tokens]``."""
    steps = torch.arange(tokens, device=device)
    return (steps[:, None] - steps).abs() <= reach

"""Owns the network of the flow: a transformer over 10 frames of context and 50 of a clip, modulated frame by frame.

Its Linear layers are named as in the checkpoint, so that low-rank adapters can find and replace them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar_service.engine.imtalker.model.layers import linear
from avatar_service.engine.imtalker.model.sizes import GeneratorSizes
from avatar_service.engine.imtalker.model.weights import Weights

TINY = 1e-6
"""Of the layer normalisations here."""


class TimeEmbedder(nn.Module):
    """The time of the flow in [0, 1], as sines and cosines behind two layers."""

    rates: Tensor

    def __init__(self, weights: Weights, sizes: GeneratorSizes) -> None:
        super().__init__()
        half = sizes.waves // 2
        self.register_buffer("rates", torch.exp(-math.log(10_000.0) * torch.arange(half) / half), persistent=False)
        layers = [linear(weights.at("mlp.0"), sizes.waves, sizes.hidden), nn.SiLU()]
        self.mlp: nn.Sequential = nn.Sequential(*layers, linear(weights.at("mlp.2"), sizes.hidden, sizes.hidden))

    def forward(self, time: Tensor) -> Tensor:
        """Return ``[n, hidden]`` of times ``[n]``."""
        angles = time[:, None].float() * self.rates.float()
        return self.mlp(torch.cat([angles.cos(), angles.sin()], dim=1).to(self.rates.dtype))


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


class Places(nn.Module):
    """What tells tokens where they are: positions that are added, rotated by, or hidden from each other.

    Attributes:
        added: to the tokens, ``[1, tokens, hidden]``, in generation 1.
        band: True where a token sees another, ``[tokens, tokens]``, in generation 1.
        cosines: of the angles that queries and keys are rotated by, ``[tokens, d / 2]``, in generation 2.
        sines: likewise.
    """

    added: Tensor | None
    band: Tensor | None
    cosines: Tensor | None
    sines: Tensor | None

    def __init__(self, weights: Weights, sizes: GeneratorSizes, tokens: int) -> None:
        super().__init__()
        self.pair = sizes.hidden // sizes.heads // 2
        added, band, cosines, sines = None, None, None, None
        if sizes.generation > 1:
            rates = 10_000.0 ** (-torch.arange(self.pair, dtype=torch.float64) / self.pair)
            weights.constant("rotary_emb.inv_freq", rates.float())
            angles = torch.arange(tokens, dtype=torch.float64)[:, None] * rates
            cosines, sines = angles.cos().float(), angles.sin().float()
        else:
            added = weights.take("pos_embed", 1, tokens, sizes.hidden)
            steps = torch.arange(tokens)
            band = (steps[:, None] - steps).abs() <= sizes.reach
            weights.constant("alignment_mask", ~band)
        self.register_buffer("added", added)
        self.register_buffer("band", band)
        self.register_buffer("cosines", cosines)
        self.register_buffer("sines", sines)

    def add(self, x: Tensor) -> Tensor:
        """Return tokens ``[B, tokens, hidden]`` with their positions added, where they are."""
        return x if self.added is None else x + self.added

    def rotate(self, x: Tensor) -> Tensor:
        """Return queries or keys ``[B, heads, tokens, d]`` rotated by their positions, where they are.

        Value i is paired with i + d / 2 (Su et al. 2021, as GPT-NeoX splits it).
        """
        if self.cosines is None:
            return x
        a, b = x[..., : self.pair], x[..., self.pair :]
        return torch.cat([a * self.cosines - b * self.sines, b * self.cosines + a * self.sines], dim=-1)


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
        self.places = Places(weights, sizes, tokens)
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
        known = self.t_embedder(time)[:, None] + self.c_embedder(condition)
        pair = torch.cat([reference[:, None].expand_as(motion), motion], dim=-1)
        x = self.places.add(self.x_embedder["proj"](pair))
        for block in self.blocks:
            x = block(x, known, self.places)
        return self.decoder(x, known)

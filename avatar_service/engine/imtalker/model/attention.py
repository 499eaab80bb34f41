"""Owns the attention of a map to itself: over all of it where it is small, within shifted windows (Swin) where not."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar_service.engine.imtalker.model.layers import frozen, layer_norm, linear
from avatar_service.engine.imtalker.model.transfer import joined, picture, split, tokens
from avatar_service.engine.imtalker.model.weights import Weights

APART: Final = -100.0
"""Added to the scores of pixels that came together in a window only because the map was rolled."""


class Mlp(nn.Module):
    """Two layers with a GELU between them, twice as wide inside."""

    def __init__(self, weights: Weights, channels: int, last: str) -> None:
        super().__init__()
        self.inner = linear(weights.at("0"), channels, 2 * channels)
        self.outer = linear(weights.at(last), 2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[..., channels]``."""
        return self.outer(functional.gelu(self.inner(x)))


class Attention(nn.Module):
    """Every pixel attends to every pixel; where they are is learned."""

    def __init__(self, weights: Weights, channels: int, side: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_place = frozen(weights.take("q_pos_embedding", 1, side * side, channels))
        self.key_place = frozen(weights.take("k_pos_embedding", 1, side * side, channels))
        self.norm_query = layer_norm(weights.at("norm_q"), channels)
        self.norm_key = layer_norm(weights.at("norm_kv"), channels)
        names = ("q_proj", "k_proj", "v_proj", "proj")
        attn = weights.at("attn")
        self.query, self.key, self.value, self.proj = (linear(attn.at(name), channels, channels) for name in names)
        self.norm = layer_norm(weights.at("norm_ffn"), channels)
        self.mlp = Mlp(weights.at("mlp"), channels, "3")

    def forward(self, picture_: Tensor) -> Tensor:
        """Return a map of the same shape."""
        x = tokens(picture_)
        queries = split(self.query(self.norm_query(x + self.query_place)), self.heads)
        keys = split(self.key(self.norm_key(x + self.key_place)), self.heads)
        values = split(self.value(self.norm_key(x)), self.heads)
        x = x + self.proj(joined(functional.scaled_dot_product_attention(queries, keys, values)))
        return picture(x + self.mlp(self.norm(x)), picture_.shape[-1])


class Windows(nn.Module):
    """Pixels attend within windows; the second block of a pair has them shifted by half a window."""

    bias: Tensor

    def __init__(self, weights: Weights, channels: int, side: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.shift = shift
        attn = weights.at("attn")
        table = attn.take("relative_position_bias_table", (2 * window - 1) ** 2, heads)
        index = _offsets(window)
        attn.constant("relative_position_index", index)
        bias = table[index].permute(2, 0, 1)[None]
        if shift:
            mask = _apart(side, window, shift)
            weights.constant("attn_mask", mask)
            bias = bias + mask[:, None]
        self.register_buffer("bias", bias)
        self.norm_query = layer_norm(weights.at("norm_q"), channels)
        self.norm_key = layer_norm(weights.at("norm_kv"), channels)
        self.query, self.key, self.value, self.proj = (
            linear(attn.at(name), channels, channels) for name in ("q", "k", "v", "proj")
        )
        self.norm = layer_norm(weights.at("norm_ffn"), channels)
        self.mlp = Mlp(weights.at("mlp"), channels, "2")

    def forward(self, picture_: Tensor) -> Tensor:
        """Return a map of the same shape."""
        x = picture_.permute(0, 2, 3, 1)
        rolled = torch.roll(x, (-self.shift, -self.shift), (1, 2)) if self.shift else x
        cut = _cut(rolled, self.window)
        moved = _joined(self._within(cut), x.shape, self.window)
        x = x + (torch.roll(moved, (self.shift, self.shift), (1, 2)) if self.shift else moved)
        return (x + self.mlp(self.norm(x))).permute(0, 3, 1, 2)

    def _within(self, x: Tensor) -> Tensor:
        """Return what windows ``[n * windows, pixels, channels]`` add to themselves."""
        known = self.norm_key(x)
        queries = split(self.query(self.norm_query(x)), self.heads)
        keys, values = split(self.key(known), self.heads), split(self.value(known), self.heads)
        bias = self.bias if self.bias.shape[0] == 1 else self.bias.repeat(x.shape[0] // self.bias.shape[0], 1, 1, 1)
        moved = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=bias)
        return self.proj(joined(moved))


def _cut(x: Tensor, window: int) -> Tensor:
    n, height, width, channels = x.shape
    grid = x.view(n, height // window, window, width // window, window, channels)
    return grid.transpose(2, 3).reshape(-1, window * window, channels)


def _joined(x: Tensor, shape: torch.Size, window: int) -> Tensor:
    n, height, width, channels = shape
    grid = x.view(n, height // window, width // window, window, window, channels)
    return grid.transpose(2, 3).reshape(n, height, width, channels)


def _offsets(window: int) -> Tensor:
    """Return the row of the bias table for each pair of pixels of a window: ``[pixels, pixels]``."""
    places = torch.cartesian_prod(torch.arange(window), torch.arange(window))
    rows, columns = (places[:, None] - places[None] + window - 1).unbind(-1)
    return rows * (2 * window - 1) + columns


def _apart(side: int, window: int, shift: int) -> Tensor:
    """Return what is added to scores ``[windows, pixels, pixels]`` where the roll joined what is not adjacent."""
    line = torch.arange(side)
    band = (line >= side - window).long() + (line >= side - shift).long()
    region = _cut((3 * band[:, None] + band)[None, :, :, None], window)[..., 0]
    return torch.where(region[:, :, None] == region[:, None], 0.0, APART)

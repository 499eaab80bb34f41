"""Owns the attention of a map to itself: over all of it where it is small, within shifted windows (Swin) where not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar_service.engine.imtalker.model import shares
from avatar_service.engine.imtalker.model.layers import EPSILON, frozen, linear, normed, side_by_side
from avatar_service.engine.imtalker.model.transfer import joined, picture, split, tokens
from avatar_service.engine.imtalker.model.weights import Weights

APART: Final = -100.0
"""Added to the scores of pixels that came together in a window only because the map was rolled."""
BAND: Final = 1
"""Rows of windows that a CPU goes through together."""


def norm(x: Tensor) -> Tensor:
    """Return tokens normalised; weight and bias of the normalisation are in the layer behind it."""
    return functional.layer_norm(x, x.shape[-1:], eps=EPSILON)


class Mlp(nn.Module):
    """Two layers with a GELU between them, twice as wide inside, behind a normalisation."""

    def __init__(self, weights: Weights, channels: int, last: str) -> None:
        super().__init__()
        self.inner = normed(weights.at("norm_ffn"), weights.at("mlp.0"), channels, 2 * channels)
        self.outer = linear(weights.at(f"mlp.{last}"), 2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` with what they make of it added."""
        return x + self.outer(functional.gelu(self.inner(norm(x))))


class Attention(nn.Module):
    """Every pixel attends to every pixel; where they are is learned."""

    def __init__(self, weights: Weights, channels: int, side: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_place = frozen(weights.take("q_pos_embedding", 1, side * side, channels))
        self.key_place = frozen(weights.take("k_pos_embedding", 1, side * side, channels))
        attn, asked, known = weights.at("attn"), weights.at("norm_q"), weights.at("norm_kv")
        self.query = normed(asked, attn.at("q_proj"), channels, channels)
        self.key = normed(known, attn.at("k_proj"), channels, channels)
        self.value = normed(known, attn.at("v_proj"), channels, channels)
        self.proj = linear(attn.at("proj"), channels, channels)
        self.mlp = Mlp(weights, channels, "3")

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        side, x = x.shape[-1], tokens(x)
        queries = split(self.query(norm(x + self.query_place)), self.heads)
        keys = split(self.key(norm(x + self.key_place)), self.heads)
        values = split(self.value(norm(x)), self.heads)
        moved = joined(functional.scaled_dot_product_attention(queries, keys, values))
        return picture(self.mlp(x + self.proj(moved)), side)


class Windows(nn.Module):
    """Pixels attend within windows; the second block of a pair has them shifted by half a window.

    All windows of a row are attended to at once, as if they were further heads: then a row's bias fits every row, but
    for the last one of a shifted map, in which the roll joined top and bottom. Nothing here looks beyond its window, so
    a CPU goes through the whole block some rows at a time, in place: what it holds stays in its cache.
    """

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
        along = side // window
        bias = table[index].permute(2, 0, 1).expand(1, along, -1, -1, -1)
        if shift:
            mask = _apart(side, window, shift)
            weights.constant("attn_mask", mask)
            bias = bias + mask.unflatten(0, (along, along))[[0, -1]][:, :, None]
        self.register_buffer("bias", bias.flatten(1, 2).transpose(-1, -2).contiguous())
        asked, known = weights.at("norm_q"), weights.at("norm_kv")
        parts = [(asked, "q"), (known, "k"), (known, "v")]
        self.qkv = side_by_side([normed(part, attn.at(name), channels, channels) for part, name in parts])
        self.proj = linear(attn.at("proj"), channels, channels)
        self.mlp = Mlp(weights, channels, "2")

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        x = torch.roll(x.permute(0, 2, 3, 1), (-self.shift, -self.shift), (1, 2))  # a copy, even by nothing
        for rows, bias in self._bands(x):
            band = x[:, rows]
            band += self.proj(self._within(norm(band), bias))
            band.copy_(self.mlp(band))
        x = torch.roll(x, (self.shift, self.shift), (1, 2)) if self.shift else x
        return x.permute(0, 3, 1, 2)

    def _bands(self, x: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Yield which rows of a map ``[n, height, ...]`` to go through together, and the bias of their scores."""
        last = x.shape[1] - self.window * (len(self.bias) - 1)
        step = last if x.is_cuda else self.window * BAND
        for start in range(0, last, step):
            yield slice(start, min(start + step, last)), self.bias[0]
        if self.shift:
            yield slice(last, None), self.bias[1]

    def _within(self, x: Tensor, bias: Tensor) -> Tensor:
        """Return the attended values ``[n, height, width, channels]`` of normalised tokens, shaped alike."""
        n, height, width, channels = x.shape
        rows, along, pixels = height // self.window, width // self.window, self.window**2
        grid = (n, rows, self.window, along, self.window, 3, self.heads, channels // self.heads)
        apart = self.qkv(x).view(grid).permute(5, 0, 1, 3, 6, 7, 2, 4)
        queries, keys, values = apart.reshape(3, n * rows, along * self.heads, -1, pixels)
        moved = _attended(queries, keys, values, bias)
        back = moved.view(n, rows, along, self.heads, -1, self.window, self.window).permute(0, 1, 5, 2, 6, 3, 4)
        return back.reshape(n, height, width, channels)


def _attended(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
    """Return the attended values of rows of windows: all ``[rows, heads of all windows, channels, pixels]``."""
    if queries.is_cuda:
        q, k, v = (x.transpose(-1, -2) for x in (queries, keys, values))
        mask = bias.transpose(-1, -2).expand(len(q), -1, -1, -1)
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(-1, -2).contiguous()
    return shares.attended(queries, keys, functional.pad(values, (0, 0, 0, 1), value=1.0), bias)


def _offsets(window: int) -> Tensor:
    """Return the row of the bias table for each pair of pixels of a window: ``[pixels, pixels]``."""
    places = torch.cartesian_prod(torch.arange(window), torch.arange(window))
    rows, columns = (places[:, None] - places[None] + window - 1).unbind(-1)
    return rows * (2 * window - 1) + columns


def _apart(side: int, window: int, shift: int) -> Tensor:
    """Return what is added to scores ``[windows, pixels, pixels]`` where the roll joined what is not adjacent."""
    line = torch.arange(side)
    band = (line >= side - window).long() + (line >= side - shift).long()
    along = side // window
    region = (3 * band[:, None] + band).view(along, window, along, window).transpose(1, 2).reshape(along**2, -1)
    return torch.where(region[:, :, None] == region[:, None], 0.0, APART)

"""Owns the implicit motion transfer: identity features are moved to where the motion says they belong.

Up to 64 px by attention, from the current motion's map to the reference's. Above, each 64 px cell takes the mean of the
one cell it attends to most (all heads together); that the reference computes it patch by patch changes nothing.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar_service.engine.imtalker.foremost import foremost
from avatar_service.engine.imtalker.model import shares
from avatar_service.engine.imtalker.model.layers import linear
from avatar_service.engine.imtalker.model.sizes import RendererSizes
from avatar_service.engine.imtalker.model.weights import Weights

TILE: Final = 32
"""Queries whose scores are held at once, for the arg-max over all heads."""


def tokens(x: Tensor) -> Tensor:
    """Return ``[n, height * width, channels]``, row by row, of ``[n, channels, height, width]``."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def picture(x: Tensor, side: int) -> Tensor:
    """Return ``[n, channels, side, side]`` of ``[n, side * side, channels]``."""
    return x.unflatten(1, (side, side)).permute(0, 3, 1, 2)


def split(x: Tensor, heads: int) -> Tensor:
    """Return ``[n, heads, tokens, channels / heads]`` of ``[n, tokens, channels]``."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def joined(x: Tensor) -> Tensor:
    """Return ``[n, tokens, channels]`` of ``[n, heads, tokens, channels / heads]``."""
    return x.transpose(1, 2).flatten(2)


class Transfer(nn.Module):
    """The attention of one level."""

    def __init__(self, weights: Weights, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = linear(weights.at("q_proj"), channels, channels)
        self.key = linear(weights.at("k_proj"), channels, channels)
        self.value = linear(weights.at("v_proj"), channels, channels)
        self.proj = linear(weights.at("proj"), channels, channels)

    def memory(self, motion: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values ``[n, heads, pixels, channels / heads]`` of the reference's motion and features."""
        keys = split(self.key(tokens(motion)), self.heads)
        values = split(self.value(tokens(features)), self.heads)
        return keys.contiguous(), values.contiguous()

    def forward(self, motion: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Return the moved features, shaped like the current motion's map ``[n, channels, side, side]``."""
        queries = split(self.query(tokens(motion)), self.heads)
        moved = functional.scaled_dot_product_attention(queries, keys, values)
        return picture(self.proj(joined(moved)), motion.shape[-1])

    def foremost(self, motion: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same, and the key that each pixel attends to most, over all heads: ``[n, pixels]``.

        The mean of the heads' shares decides, so scores alone do not: a tile of queries at a time has its whole rows
        normalised, used and compared, and never is the whole square of scores in memory.
        """
        queries = split(self.query(tokens(motion)).float(), self.heads).contiguous()
        if queries.is_cuda:  # tile by tile would be thousands of launches
            moved = functional.scaled_dot_product_attention(queries.to(values.dtype), keys.to(values.dtype), values)
            return picture(self.proj(joined(moved)), motion.shape[-1]), foremost(queries, keys.expand_as(queries))
        moved = torch.empty_like(queries, dtype=values.dtype)
        first = torch.empty(queries.shape[0], queries.shape[2], dtype=torch.long, device=queries.device)
        for frame in range(queries.shape[0]):
            self._tiles(queries[frame], keys[frame], values[frame], moved[frame], first[frame])
        return picture(self.proj(joined(moved)), motion.shape[-1]), first

    @staticmethod
    def _tiles(queries: Tensor, keys: Tensor, values: Tensor, moved: Tensor, first: Tensor) -> None:
        heads, pixels, _ = queries.shape
        scores = queries.new_empty(heads, min(TILE, pixels), pixels)
        total = queries.new_empty(scores.shape[1:])
        across = keys.transpose(1, 2).float().contiguous()
        for start in range(0, pixels, TILE):
            rows = slice(start, start + TILE)
            shares.normalise_(shares.scores_(scores, queries[:, rows], across))
            moved[:, rows] = scores.to(values.dtype) @ values
            torch.argmax(torch.sum(scores, 0, out=total), -1, out=first[rows])


class MotionTransfer(nn.Module):
    """All levels."""

    def __init__(self, weights: Weights, sizes: RendererSizes) -> None:
        super().__init__()
        self.sizes = sizes
        widths = sizes.widths[: sizes.attended]
        self.levels = nn.ModuleList(
            Transfer(weights.at(f"{level}.block_efc"), width, sizes.heads) for level, width in enumerate(widths)
        )

    def memory(
        self, motion: list[Tensor], features: list[Tensor]
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return keys, values and pooled fine features of a reference: what ``Identity`` keeps."""
        pairs = [
            level.memory(*maps) for level, maps in zip(self.levels, zip(motion, features, strict=False), strict=True)
        ]
        keys, values = zip(*pairs, strict=True)
        fine = features[len(self.levels) :]
        cells = tuple(tokens(functional.avg_pool2d(x, 2 << index)).contiguous() for index, x in enumerate(fine))
        return keys, values, cells

    def forward(
        self, motion: list[Tensor], keys: tuple[Tensor, ...], values: tuple[Tensor, ...], fine: tuple[Tensor, ...]
    ) -> tuple[list[Tensor], Tensor]:
        """Return the aligned features, coarse to fine, and the foremost key of each pixel of the last attended level.

        The fine levels are returned as cells, with the side of the last attended level: each of their pixels fills a
        square of 2 x 2, 4 x 4, ... of the level's own.
        """
        frames = motion[0].shape[0]
        *coarse, last = zip(self.levels, motion, keys, values, strict=True)
        aligned = [level(x, _each(k, frames), _each(v, frames)) for level, x, k, v in coarse]
        level, x, k, v = last
        moved, first = level.foremost(x, _each(k, frames), _each(v, frames))
        side = x.shape[-1]
        cells = [_each(cell, frames).gather(1, first[:, :, None].expand(-1, -1, cell.shape[2])) for cell in fine]
        return [*aligned, moved, *(picture(cell, side) for cell in cells)], first


def _each(x: Tensor, frames: int) -> Tensor:
    return x if x.shape[0] == frames else x.expand(frames, *x.shape[1:])

"""Owns attention where its scores are many and its vectors short, as the CPU likes it: a tile at a time, in base 2.

A vectorised ``exp2`` costs a third of ``exp``, and scores that stay in the cache cost no memory. So scores are computed
in units of log 2, one tile after the other into the same place.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

LOG2_E: Final = math.log2(math.e)
"""Scores in units of log 2 are so many times the natural ones."""

FAINTEST: Final = -64.0
"""Shares are at least 2 to the power of this: nothing beside 1, and no denormal number, which would cost much time."""


def scores_(out: Tensor, queries: Tensor, across: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return, in ``out``, the scores ``[heads, queries, keys]`` in units of log 2.

    Args:
        out: overwritten.
        queries: ``[heads, queries, channels]``; or keys, for the scores the other way round.
        across: keys, ``[heads, channels, keys]``.
        bias: added to the natural scores, ``[heads, queries, keys]``.
    """
    beta, added = (0.0, out) if bias is None else (LOG2_E, bias)
    return torch.baddbmm(added, queries, across, beta=beta, alpha=LOG2_E / math.sqrt(queries.shape[-1]), out=out)


def normalise_(scores: Tensor) -> Tensor:
    """Turn scores ``[..., keys]`` in units of log 2 into shares that add up to 1, where they are."""
    scores.sub_(scores.amax(-1, keepdim=True)).clamp_(min=FAINTEST).exp2_()
    return scores.mul_(scores.sum(-1, keepdim=True).reciprocal_())


def attended(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
    """Return the attended values of tiles, without the last channel, one tile after the other.

    All are ``[tiles, heads, channels, tokens]``: so every product has tokens along its rows, as vector units like it,
    and a row of ones below the values counts the shares.

    Args:
        queries: of the tiles.
        keys: likewise.
        values: likewise, with a last channel of ones.
        bias: added to the scores of every tile: ``[heads, keys, queries]``.
    """
    out = torch.empty_like(queries)
    scores = torch.empty_like(bias)
    sums = values.new_empty(values.shape[1:])
    for tile, (q, k, v) in enumerate(zip(queries, keys, values, strict=True)):
        scores_(scores, k.transpose(1, 2), q, bias)
        scores.sub_(scores.amax(1, keepdim=True)).clamp_(min=FAINTEST).exp2_()
        torch.bmm(v, scores, out=sums)
        torch.div(sums[:, :-1], sums[:, -1:], out=out[tile])
    return out

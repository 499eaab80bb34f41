"""Owns the key that each query attends to most, over all heads: in plain PyTorch, and as kernels for a GPU.

What decides is the mean over the heads of each head's normalised shares, so the scores alone do not: with 4,096
queries, 4,096 keys and 8 heads a picture's shares are half a gigabyte. The kernels never hold them: a first pass keeps
each row's log-sum-exp, a second one adds the heads' shares tile by tile and remembers the largest sum (the way of Dao
et al. 2022, FlashAttention, with an arg-max for the values).

The kernels have run in Triton's interpreter only; on a GPU they are not measured.
"""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor

try:
    import triton
    from triton import language as tl
except ModuleNotFoundError:  # a CPU install has none
    triton = tl = None

QUERIES, KEYS = 64, 64
"""Tile of the kernels."""
_ROWS: Final = 256
"""Queries whose shares plain PyTorch holds at once."""


def foremost(queries: Tensor, keys: Tensor) -> Tensor:
    """Return the foremost key of each query, ``[n, queries]`` int64: by kernels on a GPU, else by PyTorch.

    Args:
        queries: ``[n, heads, queries, d]``.
        keys: ``[n, heads, keys, d]``; scores are float32 whatever these are.
    """
    if triton is not None and queries.is_cuda and _suits(queries, keys):
        return foremost_by_kernels(queries, keys)
    return foremost_by_torch(queries, keys)


def foremost_by_torch(queries: Tensor, keys: Tensor) -> Tensor:
    """Return the same, some rows at a time."""
    scale = 1 / math.sqrt(queries.shape[-1])
    across = keys.float().transpose(2, 3)
    parts = queries.float().split(_ROWS, dim=2)
    return torch.cat([(scale * part @ across).softmax(dim=3).sum(dim=1).argmax(dim=2) for part in parts], dim=1)


def foremost_by_kernels(queries: Tensor, keys: Tensor) -> Tensor:
    """Return the same by two kernels; the tiles must divide queries and keys, and d be a power of two from 16 on."""
    count, heads, rows, width = queries.shape
    columns = keys.shape[2]
    queries, keys = queries.contiguous(), keys.contiguous()
    sums = torch.empty(count, heads, rows, device=queries.device, dtype=torch.float32)
    first = torch.empty(count, rows, device=queries.device, dtype=torch.int64)
    scale = 1 / math.sqrt(width)
    _sums[(rows // QUERIES, count * heads)](queries, keys, sums, scale, rows, columns, width, QUERIES, KEYS)
    _first[(rows // QUERIES, count)](queries, keys, sums, first, scale, heads, rows, columns, width, QUERIES, KEYS)
    return first


def _suits(queries: Tensor, keys: Tensor) -> bool:
    width = queries.shape[-1]
    whole = queries.shape[2] % QUERIES == 0 and keys.shape[2] % KEYS == 0
    return whole and width >= 16 and width & (width - 1) == 0  # noqa: PLR2004 - what a tensor core multiplies


def _jit(kernel: Any) -> Any:
    return kernel if triton is None else triton.jit(kernel)


@_jit
def _sums(  # noqa: PLR0913, PLR0917 - a kernel takes what it needs one by one
    queries: Any,
    keys: Any,
    sums: Any,
    scale: Any,
    rows: Any,
    columns: Any,
    width: tl.constexpr,
    tall: tl.constexpr,
    wide: tl.constexpr,
) -> None:
    """Keep the log-sum-exp of each row of scores of one head of one picture."""
    which = tl.program_id(1)
    place = tl.program_id(0) * tall + tl.arange(0, tall)
    depth = tl.arange(0, width)
    q = tl.load(queries + (which * rows + place)[:, None] * width + depth[None, :]).to(tl.float32)
    highest = tl.full([tall], -float("inf"), tl.float32)
    total = tl.zeros([tall], tl.float32)
    for start in range(0, columns, wide):
        at = start + tl.arange(0, wide)
        k = tl.load(keys + (which * columns + at)[None, :] * width + depth[:, None]).to(tl.float32)
        scores = tl.dot(q, k, input_precision="ieee") * scale
        higher = tl.maximum(highest, tl.max(scores, 1))
        total = total * tl.exp(highest - higher) + tl.sum(tl.exp(scores - higher[:, None]), 1)
        highest = higher
    tl.store(sums + which * rows + place, highest + tl.log(total))


@_jit
def _first(  # noqa: PLR0913, PLR0917 - likewise
    queries: Any,
    keys: Any,
    sums: Any,
    first: Any,
    scale: Any,
    heads: Any,
    rows: Any,
    columns: Any,
    width: tl.constexpr,
    tall: tl.constexpr,
    wide: tl.constexpr,
) -> None:
    """Remember, of one picture, the key whose shares of all heads are the most."""
    picture = tl.program_id(1)
    place = tl.program_id(0) * tall + tl.arange(0, tall)
    depth = tl.arange(0, width)
    most = tl.full([tall], -1.0, tl.float32)
    found = tl.zeros([tall], tl.int64)
    for start in range(0, columns, wide):
        at = start + tl.arange(0, wide)
        shares = tl.zeros([tall, wide], tl.float32)
        for head in range(heads):
            which = picture * heads + head
            q = tl.load(queries + (which * rows + place)[:, None] * width + depth[None, :]).to(tl.float32)
            k = tl.load(keys + (which * columns + at)[None, :] * width + depth[:, None]).to(tl.float32)
            known = tl.load(sums + which * rows + place)
            shares += tl.exp(tl.dot(q, k, input_precision="ieee") * scale - known[:, None])
        here = tl.max(shares, 1)
        better = here > most
        found = tl.where(better, start + tl.argmax(shares, 1), found)
        most = tl.where(better, here, most)
    tl.store(first + picture * rows + place, found)

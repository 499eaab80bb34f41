"""The key that each query attends to most."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

from avatar_service.engine.imtalker.foremost import foremost, foremost_by_torch


def pair(count: int, heads: int, rows: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return queries and keys of about unit scores."""
    random = torch.Generator().manual_seed(rows + width)
    queries, keys = (2 * torch.randn(count, heads, rows, width, generator=random) for _ in range(2))
    return queries, keys


@pytest.mark.parametrize("rows", [1, 64, 300])
def test_it_is_the_most_attended_key_over_all_heads(rows: int) -> None:
    """As softmax says, head by head, and their mean."""
    queries, keys = pair(2, 3, rows, 16)
    shares = torch.stack([torch.softmax(q @ k.T / 4, 1) for q, k in zip(queries[1], keys[1], strict=True)])
    assert torch.equal(foremost_by_torch(queries, keys)[1], shares.mean(0).argmax(1))
    assert torch.equal(foremost(queries, keys), foremost_by_torch(queries, keys))


def test_scores_alone_do_not_decide() -> None:
    """A head that is sure counts more than one with larger scores everywhere."""
    queries = torch.ones(1, 2, 1, 1)
    keys = torch.tensor([[[[9.0], [9.1], [9.0]], [[0.0], [0.0], [1.0]]]])
    assert foremost_by_torch(queries, keys).item() == 2


@pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="there is no Triton: CPU builds of torch come without it"
)
def test_the_kernels_find_what_pytorch_finds() -> None:
    """In Triton's interpreter, because no GPU can be counted on."""
    code = """
import torch
from tests.engine.imtalker.stream.test_imtalker_foremost import pair
from avatar_service.engine.imtalker.foremost import foremost_by_kernels, foremost_by_torch
for count, heads, rows, width in ((1, 2, 128, 16), (2, 3, 64, 32)):
    queries, keys = pair(count, heads, rows, width)
    assert torch.equal(foremost_by_kernels(queries, keys), foremost_by_torch(queries, keys))
    halves = queries.half(), keys.half()
    same = foremost_by_kernels(*halves) == foremost_by_torch(*halves)
    assert same.float().mean() > 0.98
"""
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=110)

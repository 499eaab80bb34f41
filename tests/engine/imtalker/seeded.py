"""Deterministic weights without the real ones: each tensor drawn from a generator seeded with its name.

The recipe, the manifests (every name, shape and rule) and the golden values that the public reference code computes
under these weights lie in ``shared/imtalker`` beside the checkout.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Entry = list[Any]
"""Shape, dtype, param or buffer, rule, mean, standard deviation."""


def manifest(folder: Path, generation: int, part: str) -> dict[str, Entry]:
    """Return what ``part`` (renderer, generator) of the public model holds, by name."""
    entries: dict[str, Entry] = json.loads((folder / f"gen{generation}_{part}.json").read_text())
    return entries


def seeded(entries: Mapping[str, Entry]) -> dict[str, Tensor]:
    """Return the tensors of a manifest."""
    return {name: tensor(name, *entry) for name, entry in entries.items()}


def tensor(name: str, shape: list[int], dtype: str, _kind: str, rule: str, mean: float, spread: float) -> Tensor:
    """Return one tensor."""
    kind, _, detail = rule.partition(":")
    if kind == "const":
        return torch.from_numpy(np.asarray(_CONSTANTS[detail](name, tuple(shape)))).to(getattr(torch, dtype))
    z = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()))).standard_normal(size=tuple(shape))
    if kind == "centred":
        z -= z.mean(axis=int(detail), keepdims=True)
    values = mean + spread * z
    return torch.from_numpy(np.asarray(np.exp(values) if kind == "lognormal" else values, np.float32))


def _blur(name: str, _shape: tuple[int, ...]) -> NDArray[np.float64]:
    row = np.array([1.0, 3.0, 3.0, 1.0])
    return np.outer(row, row) / 64 * (4 if name.startswith("latent_token_decoder.") else 1)


def _relative(_name: str, shape: tuple[int, ...]) -> NDArray[np.int64]:
    window = round(shape[0] ** 0.5)
    y, x = np.divmod(np.arange(window * window), window)
    return (y[:, None] - y + window - 1) * (2 * window - 1) + x[:, None] - x + window - 1


def _shifted(_name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    window = round(shape[1] ** 0.5)
    side = round(shape[0] ** 0.5) * window
    p = np.arange(side)
    band = np.where(p < side - window, 0, np.where(p < side - window // 2, 1, 2))
    region = 3 * band[:, None] + band
    windows = region.reshape(side // window, window, side // window, window).swapaxes(1, 2).reshape(shape[0], -1)
    return np.where(windows[:, :, None] == windows[:, None], 0.0, -100.0)


def _sinusoid(_name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    position, j = np.arange(shape[1])[:, None], np.arange(shape[2])
    angle = position / 10_000 ** (2 * (j // 2) / shape[2])
    return np.where(j % 2, np.cos(angle), np.sin(angle))[None]


_CONSTANTS: dict[str, Callable[[str, tuple[int, ...]], Any]] = {
    "zero": lambda _name, _shape: 0,
    "blur": _blur,
    "rel_index": _relative,
    "shift_mask": _shifted,
    "sinusoid": _sinusoid,
    "inv_freq": lambda _name, shape: 10_000.0 ** (-np.arange(shape[0]) / shape[0]),
    "band_mask": lambda _name, shape: np.abs(np.subtract.outer(np.arange(shape[0]), np.arange(shape[1]))) > 5,
}

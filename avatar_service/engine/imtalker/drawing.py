"""Owns the way from motion rows to pictures on the host: batches of few sizes, bytes made on the device, one copy.

A GPU is fed batches of fixed sizes, so that what was compiled or captured for a size is used again; rows that fill a
batch up are drawn and thrown away.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avatar_service.engine.imtalker.graphs import Graphs
from avatar_service.engine.imtalker.model import Identity, Model

SIZES: Final = (1, 2, 4, 8, 16, 32, 64)
"""Batches that a GPU is given."""


class Drawing:
    """Draws with a model.

    Args:
        model: with whose renderer.
        fixed: whether batches are filled up to one of ``SIZES``; by default only where that helps, on a GPU.
        captured: whether a GPU's work is captured once for each size, and replayed.
    """

    def __init__(self, model: Model, *, fixed: bool | None = None, captured: bool = False) -> None:
        on_cpu = model.device.type == "cpu"
        self._model = model
        self._fixed = not on_cpu if fixed is None else fixed
        self._graphs = Graphs(model) if captured and not on_cpu else None

    def capture(self, identity: Identity, largest: int) -> None:
        """Capture all sizes up to the one that holds ``largest``; nothing else may use the GPU meanwhile."""
        if self._graphs is not None:
            for size in SIZES[: bisect_left(SIZES, largest) + 1]:
                self._graphs.capture(identity, size)

    def drawn(self, identities: Sequence[Identity], motion: Tensor) -> NDArray[np.uint8]:
        """Return pictures ``[k, side, side, 3]`` uint8 on the host: floor(255 x), as the reference makes them.

        Args:
            identities: of each picture.
            motion: ``[k, 32]`` on the host.

        Raises:
            ArithmeticError: if one of them has numbers that are none.
        """
        count = len(identities)
        size = next((size for size in SIZES if size >= count), count) if self._fixed else count
        whose = [*identities, *[identities[-1]] * (size - count)]
        rows = torch.cat([motion, motion[-1:].expand(size - count, -1)])
        draw = self._model.render if self._graphs is None else self._graphs.replay
        made = draw(whose, rows.to(self._model.device, non_blocking=True))[:count]
        pixels = (made * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
        if not bool(made.isfinite().all()):
            message = "a frame became numbers that are none; the precision of its networks may be too low"
            raise ArithmeticError(message)
        return _on_host(pixels).numpy()


def _on_host(pixels: Tensor) -> Tensor:
    """Return a copy on the host; from a GPU by way of pinned memory, which it writes by itself."""
    if pixels.device.type != "cuda":
        return pixels.cpu()
    target = torch.empty(pixels.shape, dtype=pixels.dtype, pin_memory=True)
    target.copy_(pixels, non_blocking=True)
    torch.cuda.current_stream(pixels.device).synchronize()
    return target

"""Owns the captured work of a GPU: one graph for each batch size, replayed with new inputs, so launches cost nothing.

Written where there was no GPU: it has not run yet, nothing here is measured, and the engine option ``graphs`` is off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from avatar_service.engine.imtalker.model import Identity, Model
from avatar_service.engine.imtalker.noise import WIDTH

WARM_RUNS: Final = 3
"""Before a capture: libraries choose their algorithms in these, which must not be captured."""


@dataclass(frozen=True, slots=True)
class Captured:
    """A graph, the tensors that it reads, and the one that it writes."""

    graph: torch.cuda.CUDAGraph
    identity: Identity
    motion: Tensor
    frames: Tensor


class Graphs:
    """Draws by replaying what was captured.

    Args:
        model: on a GPU.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._captured: dict[int, Captured] = {}
        self._memory = torch.cuda.graph_pool_handle()

    def capture(self, identity: Identity, size: int) -> None:
        """Capture a batch of this size; nothing else may use the GPU meanwhile."""
        # Tensors of its own, also for a batch of one: replaying writes into them.
        joined = Identity.join([_copied(identity)] * size)
        motion = torch.zeros(size, WIDTH, device=self._model.device)
        stream = torch.cuda.Stream(self._model.device)
        stream.wait_stream(torch.cuda.current_stream(self._model.device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_RUNS):
                self._model.render(joined, motion)
        torch.cuda.current_stream(self._model.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._memory, capture_error_mode="thread_local"):
            frames = self._model.render(joined, motion)
        self._captured[size] = Captured(graph, joined, motion, frames)

    def replay(self, identities: Sequence[Identity], motion: Tensor) -> Tensor:
        """Return frames ``[k, 3, side, side]``, valid until the next call; k must have been captured."""
        captured = self._captured[len(identities)]
        for place, identity in enumerate(identities):
            for target, tensor in zip(captured.identity.tensors, identity.tensors, strict=True):
                target[place : place + 1].copy_(tensor, non_blocking=True)
        captured.motion.copy_(motion, non_blocking=True)
        captured.graph.replay()
        return captured.frames


def _copied(identity: Identity) -> Identity:
    keys, values, fine = (tuple(x.clone() for x in part) for part in (identity.keys, identity.values, identity.fine))
    return Identity(identity.reference.clone(), identity.adapting.clone(), keys, values, fine)

"""Owns the fitting of the net to the corpus: loss, schedule, seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from training.corpus import Corpus
from training.network import BLOCKS_AHEAD, SpeechNet

COLUMN_WEIGHTS: Final = (1.5, 1.0, 1.0, 1.5, 1.5, 0.4, 0.6, 0.5)
"""By how much each output counts, columns as in ``OUTPUTS``."""
CLOSURES: Final = slice(3, 5)
CLOSURE_WEIGHT: Final = 3.0
"""By how much more a moment of full closure counts: closures are short, and a mean error would smooth them away."""
VELOCITY_WEIGHT: Final = 1.0
"""Of the error from frame to frame: a curve that moves wrongly is seen, one that is off by a little is not."""
CHUNK_FRAMES: Final = 100
BATCH: Final = 32
LEARNING_RATE: Final = 4e-3
JITTER: Final = 0.05
"""Standard deviation of noise on what is heard, 1 being 20 dB."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """How far the fitting is."""

    number: int
    loss: float


def fit(net: SpeechNet, corpus: Corpus, epochs: int, seed: int) -> Iterator[Epoch]:
    """Fit the net, and yield after each epoch. One thread, so that the same seed gives the same net."""
    torch.set_num_threads(1)
    random = torch.Generator().manual_seed(seed)
    heard = torch.from_numpy(corpus.heard).reshape(-1, CHUNK_FRAMES, corpus.heard.shape[2])
    wanted = torch.from_numpy(corpus.wanted).reshape(-1, CHUNK_FRAMES, corpus.wanted.shape[2])
    batches = len(heard) // BATCH
    optimiser = torch.optim.AdamW(net.parameters(), LEARNING_RATE)
    # Smith and Topin 2019: up to a high rate and down to none.
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=epochs * batches)
    for number in range(epochs):
        order = torch.randperm(len(heard), generator=random)
        total = 0.0
        for chosen in order[: batches * BATCH].split(BATCH):
            jitter = JITTER * torch.randn(heard[chosen].shape, generator=random)
            loss = _loss(net(heard[chosen] + jitter), wanted[chosen])
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item()
        yield Epoch(number + 1, total / batches)


def _loss(outputs: list[Tensor], wanted: Tensor) -> Tensor:
    """Return the weighted squared error of value and velocity, summed over the read-outs."""
    weights = torch.tensor(COLUMN_WEIGHTS).repeat(*wanted.shape[:2], 1)
    weights[..., CLOSURES] *= 1 + CLOSURE_WEIGHT * wanted[..., CLOSURES]
    total = torch.zeros(())
    for blocks, output in zip(BLOCKS_AHEAD, outputs, strict=True):
        error = output - wanted[:, : wanted.shape[1] - blocks]
        seen = weights[:, : wanted.shape[1] - blocks]
        total = total + (seen * error.square()).mean()
        total = total + VELOCITY_WEIGHT * (seen[:, 1:] * error.diff(dim=1).square()).mean()
    return total

"""Owns the training of low-rank adapters of the motion generator. Reads no file and writes none.

The loss is that of the public training: the flow's velocity and its change from frame to frame, by their mean absolute
error, at one random time of each example. The generator itself stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from avatar_service.engine.imtalker.adapter import Adapter, adapted
from avatar_service.engine.imtalker.model.generator import BEFORE, CLIP, Generator, Style
from avatar_service.engine.imtalker.takes import Take

EXAMPLE = BEFORE + CLIP
"""Frames of one example."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How an adapter is trained.

    Attributes:
        steps: of the optimiser.
        batch: examples of each.
        learning_rate: at its highest; it falls to nothing along a cosine.
        seed: of the choice of examples, times and noise.
        without_speech: share of examples whose clip is learned without its speech, which guidance needs.
        without_style: share of examples that are learned without pose, gaze and camera, as most sessions have none.
        without_context: share of examples that begin a stream.
    """

    steps: int = 1000
    batch: int = 8
    learning_rate: float = 3e-4
    seed: int = 1
    without_speech: float = 0.1
    without_style: float = 0.5
    without_context: float = 0.1


@dataclass(frozen=True, slots=True)
class Examples:
    """A batch: rows ``[B, EXAMPLE, 32]`` each, ``BEFORE`` of context and ``CLIP`` of the clip, and ``[B, 32]``."""

    motion: Tensor
    speech: Tensor
    style: Tensor
    reference: Tensor


def finetune(generator: Generator, takes: Sequence[Take], adapter: Adapter, plan: Plan) -> Iterator[float]:
    """Train the adapter in place; yield the loss of each step.

    Args:
        generator: in float32; only read.
        takes: at least one, each of ``EXAMPLE`` frames or more.
        adapter: on the generator's device.
        plan: how.
    """
    random = torch.Generator().manual_seed(plan.seed)
    trained = [tensor.requires_grad_() for tensor in adapter.tensors]
    optimiser = torch.optim.AdamW(trained, plan.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, plan.steps)
    with adapted(generator.flow, adapter):
        for _ in range(plan.steps):
            loss = flow_loss(generator, examples(generator, takes, plan.batch, random), plan, random)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
            schedule.step()
            yield loss.item()
    for tensor in trained:
        tensor.requires_grad = False


@torch.no_grad()
def examples(generator: Generator, takes: Sequence[Take], count: int, random: torch.Generator) -> Examples:
    """Return random examples; the portrait that each starts from is a random frame of its own, as in the public one."""
    chosen = []
    for _ in range(count):
        take = takes[_below(len(takes), random)]
        start = _below(len(take.motion) - EXAMPLE + 1, random)
        rows = slice(start, start + EXAMPLE)
        device = next(generator.parameters()).device
        motion = take.motion[rows].to(device)
        pose, gaze, cam = (None if part is None else part[rows] for part in (take.pose, take.gaze, take.cam))
        speech = generator.speech(take.features[rows].to(device))
        style = generator.style(Style(pose, gaze, cam), EXAMPLE)
        chosen.append((motion, speech, style, motion[_below(EXAMPLE, random)]))
    return Examples(*(torch.stack(part) for part in zip(*chosen, strict=True)))


def flow_loss(generator: Generator, given: Examples, plan: Plan, random: torch.Generator) -> Tensor:
    """Return the loss of a batch, a scalar with gradients."""
    count, device = len(given.motion), given.motion.device

    def kept(without: float) -> Tensor:
        return (torch.rand(count, 1, 1, generator=random) >= without).float().to(device)

    clip = given.motion[:, BEFORE:]
    noise = torch.randn(clip.shape, generator=random).to(device)
    time = torch.rand(count, generator=random).to(device)
    context = kept(plan.without_context)
    condition = kept(plan.without_style) * given.style
    before = context * (given.speech + condition)[:, :BEFORE]
    during = kept(plan.without_speech) * given.speech[:, BEFORE:] + condition[:, BEFORE:]
    flowing = torch.lerp(noise, clip, time[:, None, None])
    motion = torch.cat([context * given.motion[:, :BEFORE], flowing], dim=1)
    said = generator.flow(motion, given.reference, torch.cat([before, during], dim=1), time)[:, BEFORE:]
    error = said - (clip - noise)
    return error.abs().mean() + error.diff(dim=1).abs().mean()


def _below(bound: int, random: torch.Generator) -> int:
    return int(torch.randint(bound, (1,), generator=random))

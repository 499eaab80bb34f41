"""Small networks with seeded weights, built of whatever names they ask for."""

from __future__ import annotations

import math
import zlib
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from avatar_service.engine.imtalker.model.generator import Generator
from avatar_service.engine.imtalker.model.sizes import GeneratorSizes, SpeechSizes

SIZES = GeneratorSizes(
    hidden=32,
    depth=2,
    heads=2,
    widening=2,
    waves=16,
    speech=SpeechSizes(channels=8, hidden=16, layers=1, heads=2, inner=16, position_kernel=8, position_groups=2),
)


class Seeds:
    """Looks like ``Weights``, and has every tensor of every shape."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix

    def at(self, name: str) -> Seeds:
        """Go down."""
        return Seeds(f"{self._prefix}{name}.")

    def take(self, name: str, *shape: int) -> Tensor:
        """Return a tensor whose outputs are about as large as its inputs."""
        random = torch.Generator().manual_seed(zlib.crc32((self._prefix + name).encode()))
        fan_in = math.prod(shape[1:]) if len(shape) > 1 else 100
        plain = torch.randn(shape, generator=random) / math.sqrt(fan_in)
        return 1 + plain if name == "weight" and len(shape) == 1 else plain

    def constant(self, name: str, value: Tensor) -> None:
        """Have it."""

    def unused(self, name: str, *shape: int) -> None:
        """Have it."""


def small_generator() -> Generator:
    """Return a generator of 50,000 parameters."""
    seeds: Any = Seeds()
    return Generator(seeds, SIZES, torch.device("cpu")).eval()


def small_model() -> Any:
    """Return what of a model the motion needs."""
    generator = small_generator()

    @torch.inference_mode()
    def clip(*given: Any, **kinds: Any) -> Tensor:
        from avatar_service.engine.imtalker.model.generator import Conditions

        noise, speech, style, context, reference = given
        return generator.clip(noise, Conditions(reference, speech, style, context), **kinds)

    return SimpleNamespace(
        generator=generator,
        device=torch.device("cpu"),
        generation=2,
        side=64,
        features_normalised=torch.inference_mode()(generator.features),
        speech=torch.inference_mode()(generator.speech),
        style=torch.inference_mode()(generator.style),
        clip=clip,
    )

"""The model with small networks: every layer is there, and a frame takes milliseconds. Weights are drawn by name."""

from __future__ import annotations

import math
import zlib
from typing import Final

import torch
from torch import Tensor

from avatar_service.engine.imtalker.model.checkpoint import Checkpoint
from avatar_service.engine.imtalker.model.generator import Generator
from avatar_service.engine.imtalker.model.renderer import Renderer
from avatar_service.engine.imtalker.model.sizes import GeneratorSizes, RendererSizes, SpeechSizes
from avatar_service.engine.imtalker.model.weights import Weights

SIDE: Final = 128
"""Of a frame, in pixels."""
HEARD: Final = 24
"""Values of a feature row."""
EQUALISED: Final = (
    "linear_layers",
    "final_linear",
    "in_layer",
    "modulation",
    "style_conv",
    "res_blocks",
    "latent_token_encoder.equalconv",
)
"""Parts of names whose weights are divided by the root of their fan-in when they are used."""


def renderer(generation: int) -> RendererSizes:
    """Return the sizes of a renderer of frames of ``SIDE`` pixels."""
    return RendererSizes(generation, coarse=2, widths=(32, 32, 16, 16, 16, 16), token=8, identity=24)


def generator(generation: int) -> GeneratorSizes:
    """Return the sizes of a generator."""
    speech = SpeechSizes(channels=16, hidden=HEARD, layers=2, heads=2, inner=32, position_kernel=8, position_groups=2)
    return GeneratorSizes(generation, hidden=32, depth=2, heads=2, waves=16, speech=speech)


class Drawn(Weights):
    """Gives a network whatever it asks for, and remembers it."""

    def __init__(self, given: dict[str, Tensor], prefix: str = "") -> None:
        super().__init__(given, "drawn", prefix)
        self._given = given

    def at(self, name: str) -> Drawn:
        """Return what is below a name."""
        return Drawn(self._given, f"{self._prefix}{name}.")

    def take(self, name: str, *shape: int) -> Tensor:
        """Return a tensor drawn from its name and shape."""
        full = self._prefix + name
        self._given[full] = draw(full, shape)
        return self._given[full].clone()

    def constant(self, name: str, value: Tensor) -> None:
        """Remember a constant."""
        self._given[self._prefix + name] = value.clone()


def draw(name: str, shape: tuple[int, ...]) -> Tensor:
    """Return a tensor whose spread suits its place."""
    z = torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
    if name.endswith("running_var"):
        return torch.exp(0.2 * z)
    if len(shape) < 2 or name.endswith("activate.bias"):
        return (0.0 if name.endswith(("bias", "mean")) and "modulation" not in name else 1.0) + 0.1 * z
    if name.endswith("weight_g"):
        return 2 + 0.2 * z
    if any(part in name for part in EQUALISED):
        return z
    return z * 1.2 / math.sqrt(math.prod(shape[1:]) if len(shape) != 5 else 1)


def checkpoint(generation: int) -> Checkpoint:
    """Return all tensors of a small model."""
    drawing: dict[str, Tensor] = {}
    moving: dict[str, Tensor] = {}
    device = torch.device("cpu")
    Renderer(Drawn(drawing), renderer(generation), device)
    Generator(Drawn(moving), generator(generation), device)
    return Checkpoint(generation, drawing, moving, "drawn renderer", "drawn generator")

"""Owns the way from motion rows to maps of motion: the adapter, which fits them to an identity, and the decoder.

A modulated convolution (StyleGAN 2) scales its weights per sample. Scaling the input channels and then the output
channels is the same, and lets a batch share the weights.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar_service.engine.imtalker.model.encoders import Blur
from avatar_service.engine.imtalker.model.layers import GAIN, STEEP, Conv, Layers, equal_linear, frozen
from avatar_service.engine.imtalker.model.sizes import RendererSizes
from avatar_service.engine.imtalker.model.weights import Weights

TINY = 1e-8
"""Keeps a demodulation finite."""
STEPS = 3
"""Layers of a level; the first one doubles the map."""


class Adapter(nn.Module):
    """Fits a motion row to an identity. What the identity adds to the first layer is computed once."""

    def __init__(self, weights: Weights, sizes: RendererSizes) -> None:
        super().__init__()
        start = equal_linear(weights.at("in_layer"), sizes.motion + sizes.identity, sizes.widths[0])
        self.from_motion = frozen(start.weight[:, : sizes.motion].contiguous())
        self.from_identity = frozen(start.weight[:, sizes.motion :].contiguous())
        self.bias = start.bias
        self.layers = Layers(weights, sizes.widths[0], sizes.motion)

    def adapting(self, identity: Tensor) -> Tensor:
        """Return ``[n, 512]``, what identities ``[n, 512]`` add."""
        return functional.linear(identity, self.from_identity, self.bias)

    def forward(self, motion: Tensor, adapting: Tensor) -> Tensor:
        """Return the adapted motion ``[n, 32]``."""
        return self.layers(functional.linear(motion, self.from_motion) + adapting)


class Growth(nn.Module):
    """A convolution that doubles the map: transposed, then blurred."""

    def __init__(self, blur: Weights, weight: Tensor) -> None:
        super().__init__()
        self.weight = frozen(weight.transpose(0, 1).contiguous())
        self.blur = Blur(blur, 1, gain=4.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[n, outputs, 2 height, 2 width]``."""
        return self.blur(functional.conv_transpose2d(x, self.weight, stride=2))


class Styled(nn.Module):
    """A modulated convolution with StyleGAN's activation, giving maps of a side; ``up`` doubles them."""

    def __init__(
        self, weights: Weights, sizes: RendererSizes, inputs: int, outputs: int, side: int, *, up: bool
    ) -> None:
        super().__init__()
        weight = weights.take("conv.weight", 1, outputs, inputs, 3, 3)[0] / math.sqrt(9 * inputs)
        self.style = equal_linear(weights.at("conv.modulation"), sizes.motion, inputs)
        self.power = frozen(weight.square().sum((2, 3)))
        self.bias = frozen(GAIN * weights.take("activate.bias", 1, outputs, 1, 1))
        weights.unused("noise.weight", 1)
        self.conv = Growth(weights.at("conv.blur"), weight) if up else Conv(weight, None, side)

    def forward(self, x: Tensor, motion: Tensor) -> Tensor:
        """Return the next map of ``[n, inputs, ...]`` (n may be 1 for all) under adapted motion ``[n, 32]``."""
        style = self.style(motion)
        strength = GAIN * torch.rsqrt(functional.linear(style.square(), self.power) + TINY)
        x = self.conv(x * style[:, :, None, None])
        return functional.leaky_relu(torch.addcmul(self.bias, x, strength[:, :, None, None]), STEEP)


class MotionDecoder(nn.Module):
    """Maps of motion at the levels that the transfer attends over."""

    def __init__(self, weights: Weights, sizes: RendererSizes) -> None:
        super().__init__()
        self.const = frozen(weights.take("const", 1, sizes.motion, sizes.coarse // 2, sizes.coarse // 2))
        widths = sizes.widths[: sizes.attended]
        below = (widths[0], *widths)
        layers = weights.at("style_conv_layers")
        self.start = Styled(layers.at("0"), sizes, sizes.motion, widths[0], sizes.coarse // 2, up=False)
        self.levels = nn.ModuleList()
        for level, width in enumerate(widths):
            inputs, side = (below[level], width, width), sizes.sides[level]
            parts = [
                Styled(layers.at(f"{STEPS * level + step + 1}"), sizes, inputs[step], width, side, up=not step)
                for step in range(STEPS)
            ]
            self.levels.extend(parts)

    def forward(self, motion: Tensor) -> list[Tensor]:
        """Return the maps ``[n, channels, side, side]``, coarse to fine, of adapted motion ``[n, 32]``."""
        const = self.const.contiguous(memory_format=torch.channels_last)
        x = self.start(const, motion)
        maps = []
        for index, layer in enumerate(self.levels):
            x = layer(x, motion)
            if index % STEPS == STEPS - 1:
                maps.append(x)
        return maps

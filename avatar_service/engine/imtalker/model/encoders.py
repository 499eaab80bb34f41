"""Owns what is read off a portrait: its features level by level, who it is, and how it holds its face."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar_service.engine.imtalker.model.layers import (
    GAIN,
    SLOPE,
    STEEP,
    Conv,
    Layers,
    Refinement,
    normalised,
)
from avatar_service.engine.imtalker.model.sizes import RendererSizes
from avatar_service.engine.imtalker.model.weights import Weights


class Down(nn.Module):
    """Halves a map of a side: convolution, mean of 2 x 2, refinement."""

    def __init__(self, weights: Weights, inputs: int, outputs: int, side: int) -> None:
        super().__init__()
        kernel = weights.take("conv1.weight", outputs, inputs, 3, 3)
        self.conv = Conv(*normalised(weights.at("norm.norm"), kernel), side, slope=SLOPE)
        self.refinement = Refinement(weights, outputs, side // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[n, outputs, height / 2, width / 2]``."""
        return self.refinement(functional.avg_pool2d(self.conv(x), 2))


class IdentityEncoder(nn.Module):
    """Features of a portrait at every level, and its identity vector.

    Generation 1 looks at half the side, and its first map is a level; generation 2 halves the first map first.
    """

    def __init__(self, weights: Weights, sizes: RendererSizes) -> None:
        super().__init__()
        finest_first = sizes.widths[::-1]
        width = finest_first[0]
        start = weights.at("initial_conv")
        kernel, bias = start.take("0.weight", width, 3, 7, 7), start.take("0.bias", width)
        self.start = Conv(*normalised(start.at("1"), kernel, bias), sizes.portrait_side, padding=3, slope=0.0)
        halved = sizes.generation > 1
        self.halving = Down(weights.at("down_block_0"), width, width, sizes.side) if halved else nn.Identity()
        pairs = zip(pairwise(finest_first), sizes.sides[::-1], strict=False)
        self.blocks = nn.ModuleList(
            Down(weights.at(f"down_blocks.{index}"), *pair, side) for index, (pair, side) in enumerate(pairs)
        )
        self.identity = Layers(weights, sizes.widths[0], sizes.identity)
        weights.unused("equalconv.weight", sizes.widths[0], sizes.widths[0], 3, 3)
        weights.unused("equalconv.bias", sizes.widths[0])

    def forward(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the features, coarse to fine, and the identity ``[n, 512]``.

        Args:
            image: ``[n, 3, side, side]`` in [0, 1], with the portrait's side.
        """
        x = self.halving(self.start(image))
        levels = [x]
        for block in self.blocks:
            x = block(x)
            levels.append(x)
        return levels[::-1], self.identity(x.mean((2, 3)))


class Blur(nn.Module):
    """A 4 x 4 binomial filter of each channel by itself."""

    kernel: Tensor

    def __init__(self, weights: Weights, padding: int, gain: float = 1.0) -> None:
        super().__init__()
        row = torch.tensor([1.0, 3.0, 3.0, 1.0])
        kernel = torch.outer(row, row) * (gain / 64)
        weights.constant("kernel", kernel)
        self.register_buffer("kernel", kernel)
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[n, channels, height + 2 padding - 3, ...]``."""
        channels = x.shape[1]
        return functional.conv2d(x, self.kernel.expand(channels, 1, 4, 4), padding=self.padding, groups=channels)


def equalised(weights: Weights, inputs: int, outputs: int) -> Tensor:
    """Return the kernel of a 3 x 3 convolution with an equalised learning rate."""
    return weights.take("weight", outputs, inputs, 3, 3) / math.sqrt(9 * inputs)


def activated(weights: Weights, kernel: str, bias: str, inputs: int, outputs: int, side: int, stride: int = 1) -> Conv:
    """Return an equalised convolution with StyleGAN's activation behind it."""
    offset = weights.take(f"{bias}.bias", 1, outputs, 1, 1).flatten()
    weight = equalised(weights.at(kernel), inputs, outputs)
    return Conv(GAIN * weight, GAIN * offset, side, stride=stride, padding=2 - stride, slope=STEEP)


class Halving(nn.Module):
    """The sum of two ways to half the side: of two convolutions, and of one."""

    def __init__(self, weights: Weights, inputs: int, outputs: int, side: int) -> None:
        super().__init__()
        self.first = activated(weights.at("conv1"), "0", "1", inputs, inputs, side)
        self.blur = Blur(weights.at("conv2.0"), 2)
        self.second = activated(weights.at("conv2"), "1", "2", inputs, outputs, side + 1, stride=2)
        self.skip_blur = Blur(weights.at("skip.0"), 2)
        self.skip = activated(weights.at("skip"), "1", "2", inputs, outputs, side + 1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[n, outputs, height / 2, width / 2]``."""
        return self.second(self.blur(self.first(x))) + self.skip(self.skip_blur(x))


class MotionEncoder(nn.Module):
    """How a face is held, as one row of motion."""

    def __init__(self, weights: Weights, sizes: RendererSizes) -> None:
        super().__init__()
        widths = sizes.token_widths
        side = sizes.portrait_side
        kernel, bias = weights.take("conv1.weight", widths[0], 3, 3, 3), weights.take("conv1.bias", widths[0])
        self.start = Conv(kernel, bias, side, slope=STEEP)
        pairs = enumerate(pairwise(widths))
        self.blocks = nn.Sequential(
            *(Halving(weights.at(f"res_blocks.{index}"), *pair, side >> index) for index, pair in pairs)
        )
        end = weights.at("equalconv")
        self.end = Conv(equalised(end, widths[-1], widths[-1]), end.take("bias", widths[-1]), side >> (len(widths) - 1))
        self.motion = Layers(weights, widths[-1], sizes.motion)

    def forward(self, image: Tensor) -> Tensor:
        """Return ``[n, 32]`` of ``[n, 3, side, side]`` in [0, 1], with the portrait's side."""
        return self.motion(self.end(self.blocks(self.start(image))).mean((2, 3)))

"""Owns the way from aligned features to the frame: a pyramid of convolutions with attention at every level."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar_service.engine.imtalker.model.attention import Attention, Windows
from avatar_service.engine.imtalker.model.layers import SLOPE, STEEP, Conv, Refinement, Upsampled, normalised
from avatar_service.engine.imtalker.model.sizes import RendererSizes
from avatar_service.engine.imtalker.model.weights import Weights


class Up(nn.Module):
    """Doubles a map, to ``side``."""

    def __init__(self, weights: Weights, inputs: int, outputs: int, side: int) -> None:
        super().__init__()
        kernel = weights.take("conv1.weight", outputs, inputs, 3, 3)
        self.conv = Upsampled(*normalised(weights.at("norm.norm"), kernel), side // 2, slope=SLOPE)
        self.refinement = Refinement(weights, outputs, side)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[n, outputs, 2 height, 2 width]``."""
        return self.refinement(self.conv(x))


class Joint(nn.Module):
    """Takes aligned features in. The convolution of both maps together is the sum of one of each.

    Args:
        side: of the maps.
        times: how often a pixel of the aligned features is repeated along each side.
    """

    def __init__(self, weights: Weights, channels: int, side: int, times: int) -> None:
        super().__init__()
        kernel = weights.take("conv1.weight", channels, 2 * channels, 3, 3)
        kernel, bias = normalised(weights.at("norm.norm"), kernel)
        own, other = kernel.split(channels, dim=1)
        self.own = Conv(own, bias, side, slope=SLOPE)
        self.other = Conv(other, None, side) if times == 1 else Upsampled(other, None, side // times, times=times)
        self.refinement = Refinement(weights, channels, side)

    def forward(self, x: Tensor, aligned: Tensor) -> Tensor:
        """Return a map shaped like ``x``."""
        return self.refinement(self.own(x, self.other(aligned)))


class Synthesis(nn.Module):
    """Frames of aligned features."""

    def __init__(self, weights: Weights, sizes: RendererSizes) -> None:
        super().__init__()
        self.up, self.joint, self.attention = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for stage, (inputs, outputs) in enumerate(zip(sizes.widths, sizes.widths[1:], strict=False)):
            side, times = sizes.sides[stage + 1], 1 << max(0, stage + 2 - sizes.attended)
            self.up.append(Up(weights.at(f"upconv_blocks.{stage}"), inputs, outputs, side))
            self.joint.append(Joint(weights.at(f"resblocks.{stage}"), outputs, side, times))
            blocks = weights.at(f"transformer_blocks.{stage}.blocks")
            if times == 1:
                self.attention.append(Attention(blocks.at("0"), outputs, side, sizes.heads))
            else:
                shifts = (0, sizes.window // 2)
                pair = (
                    Windows(blocks.at(str(index)), outputs, side, sizes.heads, sizes.window, shift)
                    for index, shift in enumerate(shifts)
                )
                self.attention.append(nn.Sequential(*pair))
        end, width = weights.at("final_conv"), sizes.widths[-1]
        self.end = Conv(end.take("1.weight", 12, width, 3, 3), end.take("1.bias", 12), sizes.sides[-1])

    def forward(self, aligned: list[Tensor]) -> Tensor:
        """Return ``[n, 3, side, side]`` in [0, 1] of what the motion transfer returns."""
        x = aligned[0]
        for up, joint, attention, features in zip(self.up, self.joint, self.attention, aligned[1:], strict=True):
            x = attention(joint(up(x), features))
        x = functional.pixel_shuffle(self.end(functional.leaky_relu(x, STEEP)), 2)
        return torch.sigmoid(x)

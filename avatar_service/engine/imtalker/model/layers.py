"""Owns the layers that the networks share, with everything folded into their weights that can be.

A batch normalisation in eval mode is a scale and an offset of each channel: it goes into the convolution before it.
The equalised learning rate of StyleGAN (weights are divided by the root of their fan-in when used) and the gain sqrt(2)
of its activation (which is positively homogeneous) go there as well. Maps are ``[n, channels, height, width]`` in
``channels_last`` memory, so that tokens are a view of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar_service.engine.imtalker.model.weights import Weights

EPSILON: Final = 1e-5
"""Of batch and layer normalisations."""
SLOPE: Final = 0.01
"""Of the residual blocks' leaky ReLU."""
STEEP: Final = 0.2
"""Of StyleGAN's."""
GAIN: Final = math.sqrt(2)
"""Of StyleGAN's activation."""


def frozen(tensor: Tensor) -> nn.Parameter:
    """Return a parameter that is not trained."""
    return nn.Parameter(tensor, requires_grad=False)


def linear(weights: Weights, inputs: int, outputs: int) -> nn.Linear:
    """Return a fully connected layer with bias."""
    return _linear(weights.take("weight", outputs, inputs), weights.take("bias", outputs))


def equal_linear(weights: Weights, inputs: int, outputs: int) -> nn.Linear:
    """Return the same with an equalised learning rate: ``x @ (w / sqrt(inputs)).T + b``."""
    return _linear(weights.take("weight", outputs, inputs) / math.sqrt(inputs), weights.take("bias", outputs))


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    layer.weight, layer.bias = frozen(weight), frozen(bias)
    return layer


def layer_norm(weights: Weights, channels: int) -> nn.LayerNorm:
    """Return a layer normalisation with weight and bias."""
    norm = nn.LayerNorm(channels, EPSILON, device="meta")
    norm.weight, norm.bias = frozen(weights.take("weight", channels)), frozen(weights.take("bias", channels))
    return norm


def normed(norm: Weights, weights: Weights, inputs: int, outputs: int) -> nn.Linear:
    """Return a layer with weight and bias of the layer normalisation before it folded in."""
    gain, offset = norm.take("weight", inputs), norm.take("bias", inputs)
    weight = weights.take("weight", outputs, inputs)
    return _linear(weight * gain, weight @ offset + weights.take("bias", outputs))


def side_by_side(layers: Sequence[nn.Linear]) -> nn.Linear:
    """Return one layer that gives what several give of the same input, one after the other."""
    return _linear(torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers]))


class Layers(nn.Module):
    """Equalised layers with an activation between them: 4 of one width, then one to ``outputs``."""

    def __init__(self, weights: Weights, width: int, outputs: int) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(
            equal_linear(weights.at(f"linear_layers.{index}"), width, width) for index in range(4)
        )
        self.final = equal_linear(weights.at("final_linear"), width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[..., outputs]`` of ``[..., width]``."""
        for layer in self.hidden:
            x = functional.leaky_relu(layer(x), STEEP)
        return self.final(x)


class Conv(nn.Module):
    """A convolution, what is added to it, and the activation behind: one pass over memory where the CPU allows it.

    Args:
        weight: ``[out, in, k, k]``.
        bias: ``[out]`` or nothing.
        side: of the maps that it meets; others it convolves too, but slower once it is packed.
        stride: of the kernel.
        padding: zeros around the map.
        slope: of a leaky ReLU behind it; 0 is a ReLU, ``None`` no activation.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        side: int,
        *,
        stride: int = 1,
        padding: int = 1,
        slope: float | None = None,
    ) -> None:
        super().__init__()
        self.weight = frozen(weight.contiguous(memory_format=torch.channels_last))
        self.bias = None if bias is None else frozen(bias)
        self.side = side
        self.stride = stride
        self.padding = padding
        self.slope = slope
        self._packed: Tensor | None = None

    def pack(self) -> None:
        """Lay the weights out as oneDNN likes them; afterwards the layer stays on this device.

        The best layout depends on the map's size, and weights in another one are laid out anew at every call.
        """
        if (
            self.weight.dtype == torch.float32
            and self.weight.device.type == "cpu"
            and torch.backends.mkldnn.is_available()
        ):
            shape = (1, self.weight.shape[1], self.side, self.side)
            reorder: Any = torch.ops.mkldnn._reorder_convolution_weight  # noqa: SLF001
            self._packed = reorder(self.weight.detach(), *self._geometry, shape)
            self.weight = frozen(self.weight.new_empty(0))

    def forward(self, x: Tensor, plus: Tensor | None = None) -> Tensor:
        """Return ``activation(conv(x) + bias + plus)``; ``plus`` has the output's shape."""
        if self._packed is not None:
            return self._fused(x.contiguous(memory_format=torch.channels_last), plus, self._packed)
        y = functional.conv2d(x, self.weight, self.bias, self.stride, self.padding)
        y = y if plus is None else y + plus
        return y if self.slope is None else functional.leaky_relu(y, self.slope)

    @property
    def _geometry(self) -> tuple[list[int], list[int], list[int], int]:
        return [self.padding] * 2, [self.stride] * 2, [1, 1], 1

    def _fused(self, x: Tensor, plus: Tensor | None, packed: Tensor) -> Tensor:
        geometry = self._geometry
        run: Any = torch.ops.mkldnn._convolution_pointwise  # noqa: SLF001
        if plus is None:
            name, slopes = ("none", []) if self.slope is None else ("leaky_relu", [self.slope])
            return run(x, packed, self.bias, *geometry, name, slopes, "")
        plus = plus.contiguous(memory_format=torch.channels_last)
        y: Tensor = run.binary(x, plus, packed, self.bias, *geometry, "add", 1.0, None, [], "")
        return y if self.slope is None else functional.leaky_relu_(y, self.slope)  # which oneDNN fuses with no sum


class Upsampled(nn.Module):
    """A 3 x 3 convolution of a map that was magnified ``times`` by repeating its pixels: computed on the small map.

    Each of the ``times``^2 places within a magnified pixel sees 2 x 2 small pixels at most, so a 2 x 2 convolution with
    the taps that fall on the same pixel added gives all of them: 4/9 of the work.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, side: int, *, times: int = 2, slope: float | None = None
    ) -> None:
        super().__init__()
        self.times = times
        rows = [_taps(weight, place, times, dim=2) for place in range(times)]
        phases = [_taps(row, place, times, dim=3) for row in rows for place in range(times)]
        repeated = None if bias is None else bias.repeat(times * times)
        self.conv = Conv(torch.cat(phases), repeated, side, slope=slope)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[n, out, times height, times width]`` of ``[n, in, height, width]``."""
        n, _, height, width = x.shape
        times = self.times
        phases = self.conv(x).unflatten(1, (times, times, -1))
        channels = phases.shape[3]
        y = x.new_empty(n, height, times, width, times, channels)
        for row in range(times):
            for column in range(times):
                top, left = row // (times - 1), column // (times - 1)  # only the last place looks ahead
                part = phases[:, row, column, :, top : top + height, left : left + width]
                y[:, :, row, :, column] = part.permute(0, 2, 3, 1)
        return y.view(n, height * times, width * times, channels).permute(0, 3, 1, 2)


def _taps(weight: Tensor, place: int, times: int, dim: int) -> Tensor:
    """Return the two taps along one side of what is at a place: on the pixels before and at, or at and behind."""
    first, middle, last = weight.unbind(dim)
    if place == 0:
        pair = first, middle + last
    elif place == times - 1:
        pair = first + middle, last
    else:
        pair = torch.zeros_like(first), first + middle + last
    return torch.stack(pair, dim)


def normalised(weights: Weights, weight: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a convolution with the batch normalisation behind it folded in."""
    channels = weight.shape[0]
    gain, offset = weights.take("weight", channels), weights.take("bias", channels)
    mean, variance = weights.take("running_mean", channels), weights.take("running_var", channels)
    weights.unused("num_batches_tracked")
    scale = gain / torch.sqrt(variance.double() + EPSILON).float()
    shift = -mean if bias is None else bias - mean
    return weight * scale[:, None, None, None], shift * scale + offset


class Residual(nn.Module):
    """``activation(x + conv(activation(conv(x))))``, both convolutions normalised."""

    def __init__(self, weights: Weights, channels: int, side: int) -> None:
        super().__init__()
        parts = [weights.at(name) for name in ("conv1", "conv2")]
        kernel = (channels, channels, 3, 3)
        folded = [normalised(part.at("norm.norm"), part.take("conv.weight", *kernel)) for part in parts]
        self.convs = nn.ModuleList(Conv(*pair, side, slope=SLOPE) for pair in folded)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        first, second = self.convs
        return second(first(x), x)


class Refinement(nn.Module):
    """What every block of the pyramids ends with: a convolution and two residuals."""

    def __init__(self, weights: Weights, channels: int, side: int) -> None:
        super().__init__()
        self.conv = Conv(weights.take("conv2.weight", channels, channels, 3, 3), None, side)
        names = ("feat_res_block1", "feat_res_block2")
        self.residuals = nn.Sequential(*(Residual(weights.at(name), channels, side) for name in names))

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        return self.residuals(self.conv(x))


def pack(networks: Sequence[nn.Module]) -> None:
    """Lay out the convolutions of networks that stay on the CPU."""
    for network in networks:
        for layer in network.modules():
            if isinstance(layer, Conv):
                layer.pack()

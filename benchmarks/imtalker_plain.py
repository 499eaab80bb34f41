"""A frame of IMTalker as its formulae stand, layer by layer in eager PyTorch: what our rewrites are timed against.

It is no reference implementation: only the same networks with nothing folded, packed or tiled, and with whole squares
of attention scores. It takes the checkpoint's own tensors, and its frame is compared with the reference's where it is
timed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from statistics import median
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from avatar_service.engine.imtalker.model import Model
from benchmarks.growth import peak_growth

HEADS: Final = 8
WINDOW: Final = 8
SLOPE, STEEP = 0.01, 0.2


class Plain:
    """The renderer's way from a row of motion to a frame.

    Args:
        weights: of ``renderer.ckpt``, without their prefix.
        features: of the portrait, coarse to fine, as the identity encoder gives them.
        identity: its vector ``[1, 512]``.
        reference: the portrait's own motion ``[1, 32]``.
    """

    def __init__(
        self, weights: Mapping[str, Tensor], features: list[Tensor], identity: Tensor, reference: Tensor
    ) -> None:
        self._weights = weights
        self._features = features
        self._identity = identity
        self._known = self._motion(reference)

    def frame(self, motion: Tensor) -> Tensor:
        """Return ``[1, 3, 512, 512]`` in [0, 1] of motion ``[1, 32]``."""
        return self._drawn(self._transferred(self._motion(motion)))

    def _motion(self, motion: Tensor) -> list[Tensor]:
        x = self._equal("adapt.in_layer", torch.cat([motion, self._identity], 1))
        for index in range(4):
            x = functional.leaky_relu(self._equal(f"adapt.linear_layers.{index}", x), STEEP)
        adapted = self._equal("adapt.final_linear", x)
        x, maps = self._weights["latent_token_decoder.const"], []
        for index in range(13):
            x = self._styled(f"latent_token_decoder.style_conv_layers.{index}", x, adapted, up=index % 3 == 1)
            if index and index % 3 == 0:
                maps.append(x)
        return maps

    def _styled(self, name: str, x: Tensor, style: Tensor, *, up: bool) -> Tensor:
        kernel = self._weights[f"{name}.conv.weight"][0]
        scale = self._equal(f"{name}.conv.modulation", style)
        kernel = kernel * scale[0, :, None, None] / math.sqrt(9 * kernel.shape[1])
        kernel = kernel * torch.rsqrt(kernel.square().sum((1, 2, 3), keepdim=True) + 1e-8)
        if up:
            x = functional.conv_transpose2d(x, kernel.transpose(0, 1), stride=2)
            blur = self._weights[f"{name}.conv.blur.kernel"].expand(len(kernel), 1, 4, 4)
            x = functional.conv2d(x, blur, padding=1, groups=len(kernel))
        else:
            x = functional.conv2d(x, kernel, padding=1)
        return math.sqrt(2) * functional.leaky_relu(x + self._weights[f"{name}.activate.bias"], STEEP)

    def _transferred(self, motion: list[Tensor]) -> list[Tensor]:
        aligned = []
        for level, (now, known, features) in enumerate(zip(motion, self._known, self._features, strict=False)):
            name, side = f"imt.{level}.block_efc", now.shape[-1]
            parts = zip("qkv", (now, known, features), strict=True)
            queries, keys, values = (self._linear(f"{name}.{part}_proj", _tokens(x)) for part, x in parts)
            moved, shares = _attended(queries, keys, values)
            aligned.append(_picture(self._linear(f"{name}.proj", moved), side))
        first = shares.mean(1).argmax(-1)[0]
        for fine in self._features[len(motion) :]:
            times = fine.shape[-1] // side
            cells = functional.avg_pool2d(fine, times).flatten(2)[:, :, first].unflatten(2, (side, side))
            aligned.append(functional.interpolate(cells, scale_factor=times, mode="nearest"))
        return aligned

    def _drawn(self, aligned: list[Tensor]) -> Tensor:
        x = aligned[0]
        for stage, features in enumerate(aligned[1:]):
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
            x = self._block(f"frame_decoder.upconv_blocks.{stage}", x)
            x = self._block(f"frame_decoder.resblocks.{stage}", torch.cat([x, features], 1))
            blocks = f"frame_decoder.transformer_blocks.{stage}.blocks"
            if f"{blocks}.1.norm_q.weight" in self._weights:
                x = self._windows(f"{blocks}.1", self._windows(f"{blocks}.0", x, 0), WINDOW // 2)
            else:
                x = self._whole(f"{blocks}.0", x)
        x = self._conv("frame_decoder.final_conv.1", functional.leaky_relu(x, STEEP))
        return torch.sigmoid(functional.pixel_shuffle(x, 2))

    def _block(self, name: str, x: Tensor) -> Tensor:
        x = functional.leaky_relu(self._norm(f"{name}.norm.norm", self._conv(f"{name}.conv1", x)), SLOPE)
        x = self._conv(f"{name}.conv2", x)
        for part in ("feat_res_block1", "feat_res_block2"):
            y = x
            for step in ("conv1", "conv2"):
                at = f"{name}.{part}.{step}"
                y = self._norm(f"{at}.norm.norm", self._conv(f"{at}.conv", y))
                y = functional.leaky_relu(y if step == "conv1" else x + y, SLOPE)
            x = y
        return x

    def _whole(self, name: str, x: Tensor) -> Tensor:
        side, x = x.shape[-1], _tokens(x)
        queries = self._layer_norm(f"{name}.norm_q", x + self._weights[f"{name}.q_pos_embedding"])
        keys = self._layer_norm(f"{name}.norm_kv", x + self._weights[f"{name}.k_pos_embedding"])
        values = self._layer_norm(f"{name}.norm_kv", x)
        parts = zip("qkv", (queries, keys, values), strict=True)
        moved, _ = _attended(*(self._linear(f"{name}.attn.{part}_proj", y) for part, y in parts))
        x = x + self._linear(f"{name}.attn.proj", moved)
        return _picture(self._mlp(name, x, "3"), side)

    def _windows(self, name: str, x: Tensor, shift: int) -> Tensor:
        side, channels = x.shape[-1], x.shape[1]
        along = side // WINDOW
        x = x.permute(0, 2, 3, 1)
        grid = torch.roll(x, (-shift, -shift), (1, 2)).reshape(along, WINDOW, along, WINDOW, channels)
        cells = grid.transpose(1, 2).reshape(along**2, WINDOW**2, channels)
        parts = zip("qkv", ("norm_q", "norm_kv", "norm_kv"), strict=True)
        told = (self._linear(f"{name}.attn.{part}", self._layer_norm(f"{name}.{norm}", cells)) for part, norm in parts)
        index = self._weights[f"{name}.attn.relative_position_index"]
        bias = self._weights[f"{name}.attn.relative_position_bias_table"][index].permute(2, 0, 1)
        if shift:
            bias = bias + self._weights[f"{name}.attn_mask"][:, None]
        moved = self._linear(f"{name}.attn.proj", _attended(*told, bias)[0])
        moved = moved.view(along, along, WINDOW, WINDOW, channels).transpose(1, 2).reshape(x.shape)
        x = x + torch.roll(moved, (shift, shift), (1, 2))
        return self._mlp(name, x, "2").permute(0, 3, 1, 2)

    def _mlp(self, name: str, x: Tensor, last: str) -> Tensor:
        inner = self._linear(f"{name}.mlp.0", self._layer_norm(f"{name}.norm_ffn", x))
        return x + self._linear(f"{name}.mlp.{last}", functional.gelu(inner))

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return functional.linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _equal(self, name: str, x: Tensor) -> Tensor:
        weight = self._weights[f"{name}.weight"]
        return functional.linear(x, weight / math.sqrt(weight.shape[1]), self._weights[f"{name}.bias"])

    def _conv(self, name: str, x: Tensor) -> Tensor:
        return functional.conv2d(x, self._weights[f"{name}.weight"], self._weights.get(f"{name}.bias"), padding=1)

    def _norm(self, name: str, x: Tensor) -> Tensor:
        mean, variance, weight, bias = (
            self._weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(x, mean, variance, weight, bias)

    def _layer_norm(self, name: str, x: Tensor) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])


def _tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)


def _picture(x: Tensor, side: int) -> Tensor:
    return x.transpose(1, 2).unflatten(2, (side, side)).contiguous()


def _attended(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | float = 0.0) -> tuple[Tensor, Tensor]:
    """Return attended values, and the shares ``[n, heads, queries, keys]``."""
    q, k, v = (x.unflatten(2, (HEADS, -1)).transpose(1, 2) for x in (queries, keys, values))
    scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
    shares = torch.softmax(scores if isinstance(bias, float) else scores + bias, -1)
    return (shares @ v).transpose(1, 2).flatten(2), shares


def beside_plain(model: Model, weights: Mapping[str, Tensor], golden: Any, frames: int) -> dict[str, Any]:
    """Return what a frame costs plain PyTorch, frame by frame beside ours, and whether that is the reference's too."""
    image = golden["in.image_ref_u8"]
    identity = model.encode_portrait(image)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    latent = torch.from_numpy(golden["in.latents"][1:2])
    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    draw = {"ours": lambda: model.render(identity, latent), "plain": lambda: plain.frame(latent)}
    with torch.inference_mode():
        features, who = model.renderer.identity_encoder(pixels)
        plain = Plain(weights, features, who, identity.reference)
        with peak_growth() as grown:
            frame = plain.frame(latent)
        for _ in range(frames):
            for name, times in seconds.items():
                began = time.perf_counter()
                draw[name]()
                times.append(time.perf_counter() - began)
    ours, theirs = (median(seconds[name]) for name in ("ours", "plain"))
    error = frame[0].double().numpy() - golden["frame1.u16"] / 65535.0
    return {
        "frame_psnr_db": round(-10 * np.log10(float(np.mean(error * error))), 1),
        "s_per_frame": round(theirs, 3),
        "ours_s_per_frame": round(ours, 3),
        "times": round(theirs / ours, 2),
        "peak_mb": round(grown["mb"], 1),
    }

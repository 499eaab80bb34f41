"""What half precision costs each part of the full-size model, without hardware that computes with it.

Everything is computed in float32, and weights, inputs and the result of every operation are rounded: so does a GPU,
whose sums are float32, but that it rounds less often within attention. Each module of a part (the synthesis: growth,
joint and attention of every stage; speech: convolutions, projection, transformer) is given float32 inputs that are the
reference's (the tests of parity say so), so that none answers for the one before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from avatar_service.engine.imtalker.model.attention import Windows
from avatar_service.engine.imtalker.model.checkpoint import Checkpoint
from avatar_service.engine.imtalker.model.decoder import Adapter, MotionDecoder
from avatar_service.engine.imtalker.model.encoders import IdentityEncoder, MotionEncoder
from avatar_service.engine.imtalker.model.flow import Flow
from avatar_service.engine.imtalker.model.generator import BEFORE, CLIP
from avatar_service.engine.imtalker.model.layers import STEEP
from avatar_service.engine.imtalker.model.model import Model
from avatar_service.engine.imtalker.model.speech import SpeechEncoder, normalise, whole_steps
from avatar_service.engine.imtalker.model.synthesis import Synthesis
from avatar_service.engine.imtalker.model.transfer import MotionTransfer
from avatar_service.engine.imtalker.model.weights import Weights

LIMITS: Final = {torch.float16: 1e-2, torch.bfloat16: 3e-2}
"""Relative error that a part may have."""
PARTS: Final = ("portrait", "motion", "transfer", "synthesis", "speech", "flow")
TILE: Final = 64
"""Side of the part of a map that attention within windows is judged by."""
_Network = TypeVar("_Network", bound=nn.Module)


class Rounding(TorchDispatchMode):
    """Rounds the result of every operation to a dtype, and goes on in float32."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self._dtype = dtype

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute, then round what is no view of something rounded."""
        made = func(*args, **(kwargs or {}))
        return made if func.is_view else tree_map_only(Tensor, self.rounded_, made)

    def rounded_(self, x: Tensor) -> Tensor:
        """Round a tensor where it is."""
        return x.copy_(x.to(self._dtype)) if x.dtype is torch.float32 else x


class Judge:
    """Judges the parts of a model.

    Args:
        model: in float32.
        checkpoint: its tensors.
        golden: the reference's values.
    """

    def __init__(self, model: Model, checkpoint: Checkpoint, golden: Mapping[str, Any]) -> None:
        self._drawing = Weights(checkpoint.renderer, "renderer")
        self._moving = Weights(checkpoint.generator, "generator")
        self._model = model
        self._golden = golden
        with torch.inference_mode():
            self._look()

    def _look(self) -> None:
        renderer = self._model.renderer
        self._image = torch.from_numpy(self._golden["in.image_ref_u8"]).permute(2, 0, 1)[None].float() / 255
        self._latent = torch.from_numpy(self._golden["in.latents"][1:2])
        self._levels, self._who = renderer.identity_encoder(self._image)
        self._identity = self._model.encode_portrait(self._golden["in.image_ref_u8"])
        adapting = self._identity.adapting
        self._still = renderer.motion_decoder(renderer.adapter(self._identity.reference, adapting))
        self._maps = renderer.motion_decoder(renderer.adapter(self._latent, adapting))
        identity = self._identity
        self._aligned, _ = renderer.transfer(self._maps, identity.keys, identity.values, identity.fine)

    @torch.inference_mode()
    def error(self, part: str, dtype: torch.dtype) -> float:
        """Return the largest relative error (RMS over RMS) of a part's modules when they compute in ``dtype``."""
        made = zip(*getattr(self, f"_{part}")(dtype), strict=True)
        return max(
            float((ours - theirs).square().mean().sqrt() / theirs.square().mean().sqrt()) for ours, theirs in made
        )

    def _portrait(self, dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
        sizes = self._model.renderer.sizes
        identity = _rounded(IdentityEncoder(self._drawing.at("dense_feature_encoder"), sizes), dtype)
        motion = _rounded(MotionEncoder(self._drawing.at("latent_token_encoder"), sizes), dtype)
        with Rounding(dtype):
            levels, who = identity(self._image.clone())
            ours = [*levels, who, motion(self._image.clone())]
        return ours, [*self._levels, self._who, self._identity.reference]

    def _motion(self, dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
        sizes = self._model.renderer.sizes
        adapter = _rounded(Adapter(self._drawing.at("adapt"), sizes), dtype)
        decoder = _rounded(MotionDecoder(self._drawing.at("latent_token_decoder"), sizes), dtype)
        with Rounding(dtype):
            return decoder(adapter(self._latent.clone(), self._identity.adapting.clone())), self._maps

    def _transfer(self, dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
        transfer = _rounded(MotionTransfer(self._drawing.at("imt"), self._model.renderer.sizes), dtype)
        with Rounding(dtype):
            maps, still, levels = ([x.clone() for x in xs] for xs in (self._maps, self._still, self._levels))
            keys, values, _ = transfer.memory(still, levels)
            told = zip(transfer.levels, maps, keys, values, strict=True)
            ours = [level(motion, key, value) for level, motion, key, value in told]
        return ours, self._aligned[: len(ours)]

    def _synthesis(self, dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
        full = self._model.renderer.synthesis
        half = _rounded(Synthesis(self._drawing.at("frame_decoder"), self._model.renderer.sizes), dtype)
        ours, theirs, x = [], [], self._aligned[0]
        for stage, features in enumerate(self._aligned[1:]):
            grown = full.up[stage](x)
            joint = full.joint[stage](grown, features)
            attended = full.attention[stage](joint)
            with Rounding(dtype):
                ours += [half.up[stage](x.clone()), half.joint[stage](grown.clone(), features.clone())]
            theirs += [grown, joint]
            tile, attention, judged = self._tile(stage, joint, dtype) or (joint, half.attention[stage], attended)
            with Rounding(dtype):
                ours.append(attention(tile.clone()))
            theirs.append(judged)
            x = attended
        with Rounding(dtype):
            ours.append(half.end(functional.leaky_relu(x, STEEP)))
        return ours, [*theirs, full.end(functional.leaky_relu(x, STEEP))]

    def _tile(self, stage: int, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, nn.Module, Tensor] | None:
        """Return a tile of a map whose pixels attend within windows, who attends in half precision, and to what end."""
        sizes, blocks = self._model.renderer.sizes, self._drawing.at(f"frame_decoder.transformer_blocks.{stage}.blocks")
        if not blocks.holds("1.attn_mask"):
            return None
        tile, told = x[:, :, :TILE, :TILE], (x.shape[1], TILE, sizes.heads, sizes.window)
        full, half = (
            nn.Sequential(Windows(blocks.at("0"), *told, 0), Windows(blocks.at("1"), *told, sizes.window // 2))
            for _ in range(2)
        )
        return tile, _rounded(half, dtype), full(tile)

    def _speech(self, dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
        full, sizes = self._model.generator.encoder, self._model.generator.sizes.speech
        half = _rounded(SpeechEncoder(self._moving.at("audio_encoder.wav2vec2"), sizes), dtype)
        audio = whole_steps(normalise(torch.from_numpy(self._golden["in.audio_i16"]).float() / 32768))[None]
        heard = full.heard(audio)
        projected = full.projection(heard)[0]
        with Rounding(dtype):
            ours = [half.heard(audio.clone()), half.projection(heard.clone())[0]]
            ours.append(half.encoder(projected.clone()).last_hidden_state)
        return ours, [heard, projected, torch.from_numpy(self._golden["w2v.features"])[None]]

    def _flow(self, dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
        flow = Flow(self._moving.at("fmt"), self._model.generator.sizes, BEFORE + CLIP).to(dtype)
        motion, reference, condition, time = told(self._golden)
        ours = flow(motion.to(dtype), reference.to(dtype), condition.to(dtype), time)  # small enough for the real thing
        return [ours.float()], [torch.from_numpy(self._golden["fmt.out"])]


def told(golden: Mapping[str, Any]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return what the reference's flow was given: motion, reference, condition, time."""
    names = ("a", "gaze", "pose", "cam")
    x = {name.removeprefix("fmt.in."): torch.from_numpy(golden[name]) for name in golden if name.startswith("fmt.in.")}
    before, now = (torch.stack([x[f"{when}{name}"] for name in names]).sum(0) for when in ("prev_", ""))
    motion, condition = torch.cat([x["prev_x"], x["x"]], dim=1), torch.cat([before, now], dim=1)
    return motion, x["ref_x"], condition, x["t"]


def _rounded(network: _Network, dtype: torch.dtype) -> _Network:
    """Return a network with rounded weights, to compute in float32."""
    network.to(dtype).float()
    return network

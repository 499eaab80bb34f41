"""What half precision costs each part of the full-size model, without hardware that computes with it.

Everything is computed in float32, and weights, inputs and the result of every operation are rounded: so does a GPU,
whose sums are float32, but that it rounds less often within attention. A part is given float32 inputs that are the
reference's (the tests of parity say so), so that no part answers for the one before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from avatar_service.engine.imtalker.model.checkpoint import Checkpoint
from avatar_service.engine.imtalker.model.decoder import Adapter, MotionDecoder
from avatar_service.engine.imtalker.model.encoders import IdentityEncoder, MotionEncoder
from avatar_service.engine.imtalker.model.flow import Flow
from avatar_service.engine.imtalker.model.generator import BEFORE, CLIP
from avatar_service.engine.imtalker.model.model import Model
from avatar_service.engine.imtalker.model.speech import SpeechEncoder, normalise, whole_steps
from avatar_service.engine.imtalker.model.synthesis import Synthesis
from avatar_service.engine.imtalker.model.transfer import MotionTransfer
from avatar_service.engine.imtalker.model.weights import Weights

LIMITS: Final = {torch.float16: 1e-2, torch.bfloat16: 3e-2}
"""Relative error that a part may have."""
PARTS: Final = ("portrait", "motion", "transfer", "synthesis", "speech", "flow")
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
        """Return the largest relative error (RMS over RMS) of what the part makes when it computes in ``dtype``."""
        ours, theirs = getattr(self, f"_{part}")(dtype)
        errors = [float((x - y).square().mean().sqrt() / y.square().mean().sqrt()) for x, y in _pairs(ours, theirs)]
        return max(errors)

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
        synthesis = _rounded(Synthesis(self._drawing.at("frame_decoder"), self._model.renderer.sizes), dtype)
        with Rounding(dtype):
            ours = synthesis([x.clone() for x in self._aligned])
        return [ours], [self._model.renderer.synthesis(self._aligned)]

    def _speech(self, dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
        encoder = SpeechEncoder(self._moving.at("audio_encoder.wav2vec2"), self._model.generator.sizes.speech)
        audio = torch.from_numpy(self._golden["in.audio_i16"]).float() / 32768
        heard = whole_steps(normalise(audio))[None]
        encoder = _rounded(encoder, dtype)
        with Rounding(dtype):
            ours = encoder(heard.clone())
        return [ours[0]], [torch.from_numpy(self._golden["w2v.features"])]

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


def _pairs(ours: Iterable[Tensor], theirs: Iterable[Tensor]) -> Iterable[tuple[Tensor, Tensor]]:
    return zip(ours, theirs, strict=True)

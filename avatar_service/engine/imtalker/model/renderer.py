"""Owns the renderer: the networks between a portrait, its motion and its frames, joined."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from avatar_service.engine.imtalker.model.decoder import Adapter, MotionDecoder
from avatar_service.engine.imtalker.model.encoders import IdentityEncoder, MotionEncoder
from avatar_service.engine.imtalker.model.identity import Identity
from avatar_service.engine.imtalker.model.layers import pack
from avatar_service.engine.imtalker.model.precision import Precision
from avatar_service.engine.imtalker.model.sizes import RendererSizes
from avatar_service.engine.imtalker.model.synthesis import Synthesis
from avatar_service.engine.imtalker.model.transfer import MotionTransfer
from avatar_service.engine.imtalker.model.weights import Weights


class Renderer(nn.Module):
    """Everything in ``renderer.ckpt``.

    Args:
        weights: without the prefix ``gen.``.
        sizes: of the networks.
        device: where they compute.
        precision: with which numbers.
    """

    def __init__(
        self, weights: Weights, sizes: RendererSizes, device: torch.device, precision: Precision | None = None
    ) -> None:
        super().__init__()
        precision = precision or Precision()
        self.sizes = sizes
        self.precision = precision
        self.identity_encoder = IdentityEncoder(weights.at("dense_feature_encoder"), sizes).to(
            device, precision.portrait
        )
        self.motion_encoder = MotionEncoder(weights.at("latent_token_encoder"), sizes).to(device, precision.portrait)
        self.adapter = Adapter(weights.at("adapt"), sizes).to(device, precision.motion)
        self.motion_decoder = MotionDecoder(weights.at("latent_token_decoder"), sizes).to(device, precision.motion)
        self.transfer = MotionTransfer(weights.at("imt"), sizes).to(device, precision.transfer)
        self.synthesis = Synthesis(weights.at("frame_decoder"), sizes).to(device, precision.synthesis)
        if device.type == "cpu":
            pack([self])

    def encode(self, image: Tensor) -> Identity:
        """Return what frames need of portraits ``[n, 3, side, side]`` in [0, 1], with the portrait's side."""
        image = image.to(self.precision.portrait)
        features, identity = self.identity_encoder(image)
        reference = self.motion_encoder(image)
        adapting = self.adapter.adapting(identity.to(self.precision.motion))
        maps = self.motion_decoder(self.adapter(reference.to(self.precision.motion), adapting))
        dtype = self.precision.transfer
        memory = self.transfer.memory([x.to(dtype) for x in maps], [x.to(dtype) for x in features])
        return Identity(reference.float(), adapting, *memory)

    def forward(self, identity: Identity, motion: Tensor) -> Tensor:
        """Return frames ``[k, 3, side, side]`` in [0, 1], in the synthesis' dtype.

        Args:
            identity: of 1 or k portraits.
            motion: ``[k, 32]``.
        """
        adapted = self.adapter(motion.to(self.precision.motion), identity.adapting)
        maps = [x.to(self.precision.transfer) for x in self.motion_decoder(adapted)]
        aligned, _ = self.transfer(maps, identity.keys, identity.values, identity.fine)
        return self.synthesis([x.to(self.precision.synthesis) for x in aligned])

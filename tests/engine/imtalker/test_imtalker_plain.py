"""The networks as their formulae stand, against ours with all rewrites."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
import torch

from avatar_service.engine.imtalker.model.checkpoint import Checkpoint
from avatar_service.engine.imtalker.model.model import Model
from benchmarks.imtalker_plain import Plain
from tests.engine.imtalker.test_imtalker_model import drawn, photo

SAME = 1e-4


@torch.inference_mode()
def test_plain_networks_draw_the_same_frame(small_model: Model, small_checkpoint: Checkpoint) -> None:
    """Nothing that was folded, packed, tiled or left out for speed changes a picture."""
    image, renderer = photo(1, small_model.portrait_side // 9 * 9), small_model.renderer
    identity = small_model.encode_portrait(image)
    features, who = renderer.identity_encoder(small_model._seen(image))
    plain = Plain(small_checkpoint.renderer, features, who, identity.reference)
    for seed in range(3):
        motion = drawn(1, 32, seed=seed)
        assert float((plain.frame(motion) - small_model.render(identity, motion)).abs().max()) < SAME

"""Captured work of a GPU."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU: what is captured there cannot be replayed")
def test_replaying_draws_what_drawing_draws() -> None:
    """For every batch size, with identities and motion that differ from those that were captured."""
    from pathlib import Path

    import numpy as np

    from avatar_service.engine.imtalker.drawing import Drawing
    from avatar_service.engine.imtalker.model import Model
    from avatar_service.engine.imtalker.model.checkpoint import Checkpoint
    from tests.engine.imtalker.seeded import manifest, seeded

    folder = Path(__file__).resolve().parents[4].parent / "shared" / "imtalker"
    if not folder.is_dir():
        pytest.skip("there is no folder shared beside the checkout")
    parts = [seeded(manifest(folder, 2, part)) for part in ("renderer", "generator")]
    model = Model(Checkpoint(2, parts[0], parts[1], "r", "g"), device="cuda")
    random = np.random.default_rng(1)
    identities = [model.encode_portrait(random.integers(0, 255, (512, 512, 3), np.uint8)) for _ in range(3)]
    plain, captured = Drawing(model), Drawing(model, captured=True)
    captured.capture(identities[0], 4)
    for count in (1, 2, 3):
        motion = torch.randn(count, 32)
        drawn = captured.drawn(identities[:count], motion).astype(int)
        assert np.abs(drawn - plain.drawn(identities[:count], motion)).max() <= 1

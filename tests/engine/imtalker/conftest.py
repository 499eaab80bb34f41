"""What the tests of the neural engine share: small networks with drawn weights, and the skip where torch is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

from avatar_service.engine.imtalker.model.checkpoint import Checkpoint
from avatar_service.engine.imtalker.model.model import Model
from tests.engine.imtalker import small


@pytest.fixture(scope="session")
def small_checkpoint() -> Checkpoint:
    """All tensors of a small model of generation 2."""
    return small.checkpoint(2)


@pytest.fixture(scope="session")
def small_model(small_checkpoint: Checkpoint) -> Model:
    """That model."""
    return Model(small_checkpoint, renderer=small.renderer(2), generator=small.generator(2))


@pytest.fixture(scope="session")
def goldens(shared: Path) -> Path:
    """The folder of the reference's values."""
    return shared / "imtalker"

"""What the tests of the neural engine share: small networks with drawn weights. Without torch they all skip."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from avatar_service.engine.imtalker.model.checkpoint import Checkpoint
    from avatar_service.engine.imtalker.model.model import Model


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Compute in one thread: two wait for each other after each small product, and for all else on a busy machine."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def small_checkpoint() -> Checkpoint:
    """All tensors of a small model of generation 2."""
    from tests.engine.imtalker import small

    return small.checkpoint(2)


@pytest.fixture(scope="session")
def small_model(small_checkpoint: Checkpoint) -> Model:
    """That model."""
    from avatar_service.engine.imtalker.model.model import Model
    from tests.engine.imtalker import small

    return Model(small_checkpoint, renderer=small.renderer(2), generator=small.generator(2))


@pytest.fixture(scope="session")
def goldens(shared: Path) -> Path:
    """The folder of the reference's values."""
    return shared / "imtalker"

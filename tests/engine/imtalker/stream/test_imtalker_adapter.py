"""Low-rank adapters: their files, and whom they change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from avatar_service.engine.base import Parameters, Samples
from avatar_service.engine.imtalker.adapter import (
    Adapter,
    adapted,
    fresh_adapter,
    load_adapter,
    save_adapter,
)
from avatar_service.engine.imtalker.avatar import ImtalkerAvatar
from avatar_service.engine.imtalker.engine import ImtalkerEngine
from avatar_service.engine.imtalker.tuning import Tuning
from avatar_service.errors import SetupError
from tests.engine.imtalker.stream.small import small_generator, small_model

if TYPE_CHECKING:
    from tests.engine.imtalker.stream.conftest import Cutter


def some_adapter(flow: Any, seed: int = 1) -> Adapter:
    """Return one that changes something."""
    adapter = fresh_adapter(flow, 2, 0.5, seed)
    random = torch.Generator().manual_seed(seed)
    return replace(adapter, up={name: torch.randn(up.shape, generator=random) for name, up in adapter.up.items()})


def velocity(flow: Any) -> Any:
    """Return what the network says."""
    random = torch.Generator().manual_seed(9)
    motion, condition = (torch.randn(2, 60, 32, generator=random) for _ in range(2))
    return flow(motion, motion[:, 0], condition, torch.tensor([0.3]))


def test_a_fresh_adapter_changes_nothing() -> None:
    """It acts on every block, with outputs that are zero."""
    flow = small_generator().flow
    plain, adapter = velocity(flow), fresh_adapter(flow, 4)
    assert len(adapter.down) == 8
    with adapted(flow, adapter):
        assert torch.equal(velocity(flow), plain)


def test_an_adapter_acts_while_it_is_hung_in() -> None:
    """As the sum of the layer's own output and the low-rank one, and not a call longer."""
    flow = small_generator().flow
    adapter, layer, x = some_adapter(flow), flow.blocks[1].mlp["fc1"], torch.randn(3, 32)
    plain, own = velocity(flow), layer(x)
    name = "blocks.1.mlp.fc1"
    with adapted(flow, adapter):
        assert torch.allclose(layer(x), own + 0.5 * x @ adapter.down[name].T @ adapter.up[name].T, atol=1e-5)
        assert not torch.allclose(velocity(flow), plain, atol=1e-2)
    assert torch.equal(velocity(flow), plain)
    with adapted(flow, None):
        assert torch.equal(velocity(flow), plain)


def test_it_is_taken_away_after_a_failure_too() -> None:
    """Nobody else gets it."""
    flow = small_generator().flow
    plain = velocity(flow)
    with pytest.raises(LookupError), adapted(flow, some_adapter(flow)):
        raise LookupError
    assert torch.equal(velocity(flow), plain)


def test_a_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    """All tensors and the scale."""
    flow, path = small_generator().flow, tmp_path / "anna.safetensors"
    adapter = some_adapter(flow)
    save_adapter(adapter, path)
    loaded = load_adapter(path, flow)
    assert loaded.scale == adapter.scale
    for name in adapter.down:
        assert torch.equal(loaded.down[name], adapter.down[name])
        assert torch.equal(loaded.up[name], adapter.up[name])


def spoiled(flow: Any, path: Path, how: str) -> None:
    """Write a file with one thing wrong."""
    adapter = some_adapter(flow)
    name = "blocks.0.attn.qkv"
    if how == "not finite":
        adapter.up[name][0, 0] = torch.nan  # type: ignore[index]
    elif how == "misshapen":
        adapter = replace(adapter, down={**adapter.down, name: torch.zeros(2, 31)})
    elif how == "half":
        adapter = replace(adapter, up={key: up for key, up in adapter.up.items() if key != name})
    elif how == "unknown":
        adapter = replace(adapter, down={"lips": torch.zeros(2, 32)}, up={"lips": torch.zeros(32, 2)})
    save_adapter(adapter, path)
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "missing":
        path.unlink()
    elif how == "other":
        from safetensors.torch import save_file

        save_file({"x": torch.zeros(1)}, path)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("missing", "cannot be read"),
        ("cut", "cannot be read"),
        ("other", "is no adapter of this engine"),
        ("misshapen", "1 layers do not fit, such as blocks.0.attn.qkv"),
        ("half", "1 layers do not fit, such as blocks.0.attn.qkv"),
        ("unknown", "1 layers do not fit, such as lips"),
        ("not finite", "numbers that are none, in blocks.0.attn.qkv"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, how: str, said: str) -> None:
    """With what is wrong."""
    flow, path = small_generator().flow, tmp_path / "anna.safetensors"
    spoiled(flow, path, how)
    with pytest.raises(SetupError) as caught:
        load_adapter(path, flow)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


def test_an_adapter_changes_only_the_sessions_that_ask_for_it(cutter: type[Cutter], spoken: Samples) -> None:
    """Stepped together, the others move as without any adapter on the server, but for how a batch rounds."""
    model: Any = small_model()
    flow = model.generator.flow
    adapters = {"anna": some_adapter(flow, 1), "ben": some_adapter(flow, 2)}
    face = ImtalkerAvatar(SimpleNamespace(nbytes=0), np.full(32, 0.1, np.float32), 64, None, ())  # type: ignore[arg-type]

    def moved(engine: ImtalkerEngine, wishes: list[str]) -> list[Any]:
        states = [engine.open(face, Parameters(seed=7, adapter=wish)) for wish in wishes]
        queues = [cutter(5, 5).steps(spoken[:16_000], state) for state in states]
        made = [engine.motion([*steps]) for steps in zip(*queues, strict=True)]
        return [np.concatenate(rows) for rows in zip(*made, strict=True)]

    with_none, anna, ben = moved(ImtalkerEngine(model, Tuning(), adapters), ["", "anna", "ben"])
    [alone] = moved(ImtalkerEngine(model, Tuning(), {}), [""])
    assert np.abs(with_none - alone).max() <= 1e-5
    assert not np.allclose(anna, alone, atol=1e-2)
    assert not np.allclose(anna, ben, atol=1e-2)

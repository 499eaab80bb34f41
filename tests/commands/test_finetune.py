"""From a folder of features to an adapter file, by the command."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

torch = pytest.importorskip("torch")

from avatar_service.cli import main  # noqa: E402
from avatar_service.engine.imtalker import device, loading, takes  # noqa: E402
from avatar_service.engine.imtalker.adapter import load_adapter  # noqa: E402
from tests.engine.imtalker.stream.small import small_generator  # noqa: E402


def finetune(*words: str | Path) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["finetune", *map(str, words)])


def lay(folder: Path, width: int = 768) -> Path:
    """Write one take."""
    for kind in ("motion", "audio"):
        (folder / kind).mkdir(parents=True)
    random = np.random.default_rng(1)
    torch.save(torch.from_numpy(random.standard_normal((80, 32)).astype(np.float32)), folder / "motion" / "one.pt")
    np.save(folder / "audio" / "one.npy", random.standard_normal((80, width)).astype(np.float32))
    return folder


def test_it_writes_an_adapter_that_the_engine_can_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says how the loss went; the networks are small ones here."""
    generator = small_generator()
    small: Any = SimpleNamespace(generator=generator)
    monkeypatch.setattr(loading, "loaded", lambda *_: small)
    monkeypatch.setattr(device, "use_threads", lambda _: None)  # tensors this small would only wait for each other
    monkeypatch.setattr(takes.read_takes, "__defaults__", (16,))
    output = tmp_path / "anna.safetensors"
    done = finetune(lay(tmp_path / "takes", 16), "-o", output, "--steps", 60, "--rank", 2, "--batch", 2)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "1 takes, 3 s"
    assert [line.partition(":")[0] for line in lines[1:3]] == ["step 50 of 60", "step 60 of 60"]
    adapter = load_adapter(output, generator.flow)
    assert any(bool(up.any()) for up in adapter.up.values())


def test_missing_weights_are_named(tmp_path: Path) -> None:
    """As at the start of a server."""
    done = finetune(lay(tmp_path / "takes"), "-o", tmp_path / "x", "--checkpoint", tmp_path / "none")
    assert done.exit_code == 1
    assert "there are no IMTalker weights" in done.stderr


def test_missing_takes_are_named(tmp_path: Path) -> None:
    """Before any weight is read."""
    done = finetune(tmp_path, "-o", tmp_path / "x")
    assert done.exit_code == 1
    assert f"{tmp_path}{os.sep}motion has no .pt file" in done.stderr

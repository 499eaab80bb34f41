"""From a folder of weights to one file, by the command."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("transformers")

from avatar_service.cli import main
from avatar_service.engine.imtalker.model import checkpoint
from tests.engine.imtalker import small


def test_what_is_converted_is_what_was_there(tmp_path: Path) -> None:
    """Here one file is made of another; folders are read by the same words."""
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    checkpoint.write(small.checkpoint(2), first)
    done = CliRunner().invoke(main, ["convert", str(first), "-o", str(second)])
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == f"{second}: generation 2"
    before, after = checkpoint.read(first), checkpoint.read(second)
    assert before.generation == after.generation
    assert all((after.renderer[name] == tensor).all() for name, tensor in before.renderer.items())
    assert all((after.generator[name] == tensor).all() for name, tensor in before.generator.items())


def test_missing_weights_are_named(tmp_path: Path) -> None:
    """As at the start of a server."""
    done = CliRunner().invoke(main, ["convert", str(tmp_path), "-o", str(tmp_path / "x.safetensors")])
    assert done.exit_code == 1
    assert "renderer.ckpt" in done.stderr


def test_the_file_is_called_what_it_is(tmp_path: Path) -> None:
    """Another ending would mislead whoever loads it."""
    assert CliRunner().invoke(main, ["convert", str(tmp_path), "-o", "x.ckpt"]).exit_code == 2

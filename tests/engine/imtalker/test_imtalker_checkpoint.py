"""Files of weights: what is read, and what is refused with a text that helps."""

from __future__ import annotations

import argparse
import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
import torch
from torch import Tensor

from avatar_service.engine.imtalker.model.checkpoint import Checkpoint, read, write
from avatar_service.engine.imtalker.model.model import Model
from avatar_service.engine.imtalker.model.weights import WeightsError
from tests.engine.imtalker import small

SPEECH = "audio_encoder.wav2vec2."
HEARD = "wav2vec2-base-960h"
Tensors = dict[str, Tensor]


@pytest.fixture
def folder(small_checkpoint: Checkpoint, tmp_path: Path) -> Path:
    """A small model, laid out as the public one."""
    return lay_out(tmp_path, small_checkpoint)


def lay_out(folder: Path, checkpoint: Checkpoint, **beside: Any) -> Path:
    """Write a checkpoint as the public model card lays it out, with other things beside its tensors."""
    torch.save({"state_dict": prefixed("gen.", checkpoint.renderer), **beside}, folder / "renderer.ckpt")
    moving = {name: x for name, x in checkpoint.generator.items() if not name.startswith(SPEECH)}
    torch.save({"state_dict": prefixed("model.", moving), **beside}, folder / "generator.ckpt")
    heard = {name.removeprefix(SPEECH): x for name, x in checkpoint.generator.items() if name.startswith(SPEECH)}
    (folder / HEARD).mkdir(exist_ok=True)
    torch.save(prefixed("wav2vec2.", heard) | {"lm_head.bias": torch.zeros(3)}, folder / HEARD / "pytorch_model.bin")
    return folder


def prefixed(prefix: str, tensors: Any) -> Tensors:
    """Return tensors under longer names."""
    return {prefix + name: x for name, x in tensors.items()}


def change(file: Path, edit: Callable[[Tensors], None]) -> None:
    """Edit the tensors of a file."""
    content = torch.load(file, weights_only=True)
    edit(content.get("state_dict", content))
    torch.save(content, file)


def model(path: Path) -> Model:
    """Build the small model of a folder or file."""
    return Model(read(path), renderer=small.renderer(2), generator=small.generator(2))


def same(one: Checkpoint, other: Checkpoint) -> bool:
    """Say whether two checkpoints hold the same tensors."""
    pairs = ((one.renderer, other.renderer), (one.generator, other.generator))
    return all(a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a) for a, b in pairs)


def test_a_folder_gives_back_all_tensors_without_their_prefixes(folder: Path, small_checkpoint: Checkpoint) -> None:
    """What is no part of the model (the recogniser's head) is left out."""
    found = read(folder)
    assert found.generation == 2
    assert same(found, small_checkpoint)


def test_a_converted_file_holds_the_same(folder: Path, small_checkpoint: Checkpoint) -> None:
    """One safetensors file takes the folder's place."""
    write(read(folder), folder / "imtalker.safetensors")
    assert same(read(folder / "imtalker.safetensors"), small_checkpoint)


def test_settings_beside_the_tensors_do_no_harm(small_checkpoint: Checkpoint, tmp_path: Path) -> None:
    """A Lightning file holds paths, options and optimizers; they are read by the strict reader, and dropped."""
    options = argparse.Namespace(lr=1e-4, path=Path("/data"))
    lay_out(tmp_path, small_checkpoint, hyper_parameters={"opt": options}, epoch=3, optimizer_states=[{"state": {}}])
    assert same(read(tmp_path), small_checkpoint)


def test_both_spellings_of_a_weight_normed_convolution_are_read(folder: Path, small_checkpoint: Checkpoint) -> None:
    """Older and newer versions of torch name its two parts differently."""

    def respell(tensors: Tensors) -> None:
        at = "wav2vec2.encoder.pos_conv_embed.conv."
        tensors[f"{at}parametrizations.weight.original0"] = tensors.pop(f"{at}weight_g")
        tensors[f"{at}parametrizations.weight.original1"] = tensors.pop(f"{at}weight_v")

    change(folder / HEARD / "pytorch_model.bin", respell)
    assert same(read(folder), small_checkpoint)


def test_an_audio_encoder_in_the_generators_file_wins(folder: Path, small_checkpoint: Checkpoint) -> None:
    """Training may have saved the encoder with the generator."""
    name = f"{SPEECH}encoder.layer_norm.bias"
    change(
        folder / "generator.ckpt", lambda tensors: tensors.update({f"model.{name}": torch.full((small.HEARD,), 7.0)})
    )
    assert torch.equal(read(folder).generator[name], torch.full((small.HEARD,), 7.0))
    assert not torch.equal(small_checkpoint.generator[name], torch.full((small.HEARD,), 7.0))


def test_other_networks_in_the_renderers_file_are_ignored(folder: Path, small_checkpoint: Checkpoint) -> None:
    """Training saves the discriminator as well."""
    change(folder / "renderer.ckpt", lambda tensors: tensors.update({"disc.weight": torch.zeros(3)}))
    assert same(read(folder), small_checkpoint)


@pytest.mark.parametrize("name", ["renderer.ckpt", "generator.ckpt", f"{HEARD}/pytorch_model.bin"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    """So is the layout that is expected."""
    (folder / name).unlink()
    with pytest.raises(WeightsError, match=r"lacks .*" + name.rpartition("/")[0]) as caught:
        read(folder)
    assert "public model card" in str(caught.value)


def test_a_path_without_anything_is_named(tmp_path: Path) -> None:
    """The text says what to put there."""
    with pytest.raises(WeightsError, match=r"no IMTalker weights at .*nowhere"):
        read(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["renderer.ckpt", "generator.ckpt", f"{HEARD}/pytorch_model.bin"])
@pytest.mark.parametrize("kept", [0, 10, 5000])
def test_a_truncated_file_is_refused(folder: Path, name: str, kept: int) -> None:
    """However little of it there is."""
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:kept])
    with pytest.raises(WeightsError, match=rf"{name}.* (truncated|damaged)"):
        read(folder)


class Payload:
    """A pickle that would run a command."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        """Make a file when unpickled."""
        return (os.mkdir, (str(self.witness),))


def test_code_in_a_file_is_refused_and_never_run(folder: Path, tmp_path: Path) -> None:
    """A checkpoint is a pickle, which can do anything; ours must not."""
    witness = tmp_path / "ran"
    torch.save({"state_dict": {"gen.x": torch.zeros(1)}, "callback": Payload(witness)}, folder / "renderer.ckpt")
    with pytest.raises(WeightsError, match=r"renderer.ckpt wants to run or make \w+.mkdir"):
        read(folder)
    assert not witness.exists()


def test_another_models_file_is_refused(folder: Path) -> None:
    """The text shows what is in it instead."""
    torch.save({"state_dict": {"unet.conv.weight": torch.zeros(2)}}, folder / "renderer.ckpt")
    with pytest.raises(WeightsError, match=r"starts with 'gen.' \(but unet.conv.weight"):
        read(folder)


def test_a_damaged_safetensors_file_is_refused(tmp_path: Path) -> None:
    """As any other."""
    (tmp_path / "imtalker.safetensors").write_bytes(b"\x00" * 64)
    with pytest.raises(WeightsError, match=r"imtalker.safetensors is damaged"):
        read(tmp_path / "imtalker.safetensors")


def test_files_of_two_generations_are_refused(folder: Path) -> None:
    """Their shapes fit, but a motion of one means nothing to the other."""

    def older(tensors: Tensors) -> None:
        tensors.pop("model.fmt.rotary_emb.inv_freq")
        tensors["model.fmt.pos_embed"] = torch.zeros(1, 60, 32)

    change(folder / "generator.ckpt", older)
    with pytest.raises(WeightsError, match=r"renderer.ckpt is of generation 2 .* of generation 1"):
        read(folder)


def test_positions_of_both_generations_are_refused(folder: Path) -> None:
    """No public file has both."""
    edit = {"model.fmt.pos_embed": torch.zeros(1, 60, 32)}
    change(folder / "generator.ckpt", lambda tensors: tensors.update(edit))
    with pytest.raises(WeightsError, match="both generations"):
        read(folder)


def test_missing_unexpected_and_misshapen_tensors_are_all_named(folder: Path) -> None:
    """One text tells all that is wrong with a file."""

    def spoil(tensors: Tensors) -> None:
        del tensors["gen.adapt.in_layer.bias"]
        tensors["gen.adapt.extra"] = torch.zeros(1)
        tensors["gen.adapt.final_linear.bias"] = torch.zeros(5)

    change(folder / "renderer.ckpt", spoil)
    with pytest.raises(WeightsError) as caught:
        model(folder)
    for told in ("renderer.ckpt", "1 missing (adapt.in_layer.bias)", "1 unexpected (adapt.extra)"):
        assert told in str(caught.value)
    assert "1 misshapen (adapt.final_linear.bias: [5] instead of [32])" in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_no_number_is_refused(folder: Path, value: float) -> None:
    """It would turn every frame black."""
    name = "gen.frame_decoder.final_conv.1.bias"
    change(folder / "renderer.ckpt", lambda tensors: tensors[name][3:4].fill_(value))
    with pytest.raises(WeightsError, match=r"1 not finite \(frame_decoder.final_conv.1.bias\)"):
        model(folder)


def test_a_constant_of_other_value_is_refused(folder: Path) -> None:
    """A blur or a rotation that is not the public code's means another model."""
    name = "model.fmt.rotary_emb.inv_freq"
    change(folder / "generator.ckpt", lambda tensors: tensors.update({name: tensors[name] * 1.1}))
    with pytest.raises(WeightsError, match=r"not what the public code computes \(fmt.rotary_emb.inv_freq\)"):
        model(folder)


def test_weights_of_parameters_only_are_taken(small_checkpoint: Checkpoint) -> None:
    """Buffers that the public code computes by itself may be missing."""
    computed = ("inv_freq", "kernel", "attn_mask", "relative_position_index")
    renderer = {name: x for name, x in small_checkpoint.renderer.items() if not name.endswith(computed)}
    generator = {name: x for name, x in small_checkpoint.generator.items() if not name.endswith(computed)}
    assert len(renderer) < len(small_checkpoint.renderer)
    bare = replace(small_checkpoint, renderer=renderer, generator=generator)
    assert Model(bare, renderer=small.renderer(2), generator=small.generator(2)).generation == 2


def sums(folder: Path) -> str:
    """Return the lines of SHA256SUMS."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.name != "SHA256SUMS"]
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(folder)}" for file in files]
    return "\n".join(lines) + "\n"


def test_files_that_match_their_sums_are_taken(folder: Path, small_checkpoint: Checkpoint) -> None:
    """The list is what ``sha256sum`` writes."""
    (folder / "SHA256SUMS").write_text(sums(folder))
    assert same(read(folder), small_checkpoint)


def test_a_file_that_does_not_match_its_sum_is_refused(folder: Path) -> None:
    """Before anything of it is read."""
    (folder / "SHA256SUMS").write_text(sums(folder).replace(sums(folder)[:4], "beef"))
    with pytest.raises(WeightsError, match=r"has SHA-256 .* as SHA256SUMS says"):
        read(folder)


def test_a_file_that_no_sum_stands_for_is_refused(folder: Path) -> None:
    """A list that misses a file protects nobody."""
    lines = [line for line in sums(folder).splitlines() if "renderer" not in line]
    (folder / "SHA256SUMS").write_text("\n".join(lines))
    with pytest.raises(WeightsError, match=r"does not list renderer.ckpt"):
        read(folder)

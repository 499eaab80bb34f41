"""Owns the files of the public model, and the one file that ``convert`` makes of them. Builds no network.

Nothing in a file is run: PyTorch's files are pickles, so only tensors, plain containers and a few harmless classes that
Lightning leaves in them are let through, and all but the tensors is dropped.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import pathlib
import pickle
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from avatar_service.engine.imtalker.model.weights import WeightsError

RENDERER: Final = "renderer.ckpt"
GENERATOR: Final = "generator.ckpt"
SPEECH: Final = "wav2vec2-base-960h"
SPEECH_FILES: Final = ("model.safetensors", "pytorch_model.bin")
SUMS: Final = "SHA256SUMS"
LAYOUT: Final = f"a folder with {RENDERER}, {GENERATOR} and {SPEECH}/, as the public model card lays it out"
_SPEECH_PREFIX: Final = "audio_encoder.wav2vec2."
_SPELLINGS: Final = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
"""What newer versions of torch call gain and direction of a weight-normed convolution, and older ones."""


class _Attributes(dict[str, Any]):
    """Stands for the dictionaries of settings that Lightning saves beside the weights."""


_HARMLESS: Final[tuple[Any, ...]] = (
    argparse.Namespace,
    pathlib.PosixPath,
    pathlib.PurePosixPath,
    np.dtype,
    np.dtypes.Float64DType,
    np.dtypes.Float32DType,
    np.dtypes.Int64DType,
    (np.float64(0).__reduce__()[0], "numpy.core.multiarray.scalar"),
    (np.float64(0).__reduce__()[0], "numpy._core.multiarray.scalar"),
    (_Attributes, "lightning.fabric.utilities.data.AttributeDict"),
    (_Attributes, "lightning_fabric.utilities.data.AttributeDict"),
    (_Attributes, "pytorch_lightning.utilities.parsing.AttributeDict"),
)
"""Classes that may stand in a Lightning file beside its tensors."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """All tensors of the model, by their names in the public code.

    Attributes:
        generation: of the public code: 1 or 2.
        renderer: without ``gen.``.
        generator: without ``model.``; the audio encoder is in it.
        renderer_file: as messages call it.
        generator_file: likewise.
    """

    generation: int
    renderer: Mapping[str, Tensor]
    generator: Mapping[str, Tensor]
    renderer_file: str
    generator_file: str


def read(path: Path) -> Checkpoint:
    """Return what is in a folder of the public layout, or in a file that ``write`` made.

    Raises:
        WeightsError: if a file is missing, damaged, not what its SHA-256 says, holds code or another model, or if the
            files are of different generations.
    """
    if path.is_dir():
        return _read_folder(path)
    if path.is_file():
        return _read_file(path)
    msg = (
        f"there are no IMTalker weights at {path}; name {LAYOUT}, or the file that 'avatar-service convert' made of it"
    )
    raise WeightsError(msg)


def write(checkpoint: Checkpoint, path: Path) -> None:
    """Write one safetensors file: quick to load, and nothing in it can run."""
    parts = {"renderer": checkpoint.renderer, "generator": checkpoint.generator}
    tensors = {f"{part}.{name}": x.contiguous() for part, named in parts.items() for name, x in named.items()}
    save_file(tensors, path, metadata={"model": "imtalker", "generation": str(checkpoint.generation)})


def _read_folder(folder: Path) -> Checkpoint:
    speech = next((name for name in SPEECH_FILES if (folder / SPEECH / name).is_file()), SPEECH_FILES[0])
    names = (RENDERER, GENERATOR, f"{SPEECH}/{speech}")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        msg = f"{folder} lacks {', '.join(missing)}; the weights are {LAYOUT}"
        raise WeightsError(msg)
    _verify(folder, names)
    renderer = _below(_tensors(folder / RENDERER), "gen.", folder / RENDERER)
    generator = _below(_tensors(folder / GENERATOR), "model.", folder / GENERATOR)
    heard = _below(_tensors(folder / SPEECH / speech), "wav2vec2.", folder / SPEECH / speech)
    generator = {**_respelled(heard, _SPEECH_PREFIX), **_respelled(generator)}
    files = str(folder / RENDERER), f"{folder / GENERATOR} with {SPEECH}"
    return _checkpoint(renderer, generator, *files)


def _read_file(path: Path) -> Checkpoint:
    _verify(path.parent, (path.name,), needed=False)
    tensors = _tensors(path)
    return _checkpoint(_below(tensors, "renderer.", path), _below(tensors, "generator.", path), str(path), str(path))


def _checkpoint(
    renderer: Mapping[str, Tensor], generator: Mapping[str, Tensor], renderer_file: str, generator_file: str
) -> Checkpoint:
    drawn = 2 if any(name.startswith("dense_feature_encoder.down_block_0.") for name in renderer) else 1
    first = any(name in generator for name in ("fmt.pos_embed", "fmt.alignment_mask"))
    second = "fmt.rotary_emb.inv_freq" in generator
    if first and second:
        msg = (
            f"{generator_file} has positions of both generations (fmt.pos_embed, fmt.rotary_emb): it is no public file"
        )
        raise WeightsError(msg)
    moved = 1 if first else 2
    if drawn != moved:
        msg = (
            f"{renderer_file} is of generation {drawn} and {generator_file} of generation {moved}: "
            "their motions mean different things; take both from one release"
        )
        raise WeightsError(msg)
    return Checkpoint(drawn, renderer, generator, renderer_file, generator_file)


def _below(tensors: Mapping[str, Tensor], prefix: str, file: Path) -> dict[str, Tensor]:
    found = {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)}
    if not found:
        shown = ", ".join(list(tensors)[:3]) or "nothing"
        msg = f"{file} holds no tensor whose name starts with {prefix!r} (but {shown}, ...): it is another model's file"
        raise WeightsError(msg)
    return found


def _respelled(tensors: Mapping[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    named = {}
    for name, x in tensors.items():
        new = next((name.removesuffix(old) + its for old, its in _SPELLINGS.items() if name.endswith(old)), name)
        named[prefix + new] = x
    return named


def _verify(folder: Path, names: Iterable[str], *, needed: bool = True) -> None:
    """Check files against the folder's SHA256SUMS, where there is one."""
    if not (folder / SUMS).is_file():
        return
    lines = (folder / SUMS).read_text(encoding="utf-8").split("\n")
    sums = {name.lstrip("*").removeprefix("./"): digest for digest, _, name in (line.partition(" ") for line in lines)}
    sums = {name.strip().lstrip("*").removeprefix("./"): digest.lower() for name, digest in sums.items()}
    for name in names:
        if name not in sums:
            if needed:
                msg = f"{folder / SUMS} does not list {name}; list all files of the model, or remove it"
                raise WeightsError(msg)
            continue
        with (folder / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sums[name]:
            msg = f"{folder / name} has SHA-256 {found}, not {sums[name]} as {SUMS} says; fetch it again"
            raise WeightsError(msg)


def _tensors(path: Path) -> dict[str, Tensor]:
    reader: Callable[[Path], Any] = _read_safetensors if path.suffix == ".safetensors" else _read_pickle
    content = reader(path)
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        msg = f"{path} holds no tensors by name"
        raise WeightsError(msg)
    return {str(name): x for name, x in content.items() if isinstance(x, Tensor)}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except SafetensorError as error:
        msg = f"{path} is damaged or no safetensors file ({error}); fetch or convert it again"
        raise WeightsError(msg) from None


def _read_pickle(path: Path) -> Any:
    whole = zipfile.is_zipfile(path)
    with path.open("rb") as file:
        truncated = not whole and file.read(2) == b"PK"
    if truncated or not path.stat().st_size:
        msg = f"{path} is truncated; fetch it again"
        raise WeightsError(msg)
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.serialization.safe_globals(list(_HARMLESS)))
            return torch.load(path, map_location="cpu", weights_only=True, mmap=whole)
    except pickle.UnpicklingError as error:
        code = re.search(r"GLOBAL (\S+)|Unsupported (?:class|global)\S* (\S+)", str(error))
        what = f"wants to run or make {next(filter(None, code.groups()))}" if code else "holds more than tensors"
        msg = f"{path} {what}, and is refused unread: a file of weights has no business doing so, or it is damaged"
        raise WeightsError(msg) from None
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        msg = (
            f"{path} is damaged ({str(error).splitlines()[0] if str(error) else type(error).__name__}); fetch it again"
        )
        raise WeightsError(msg) from None

"""Owns low-rank adapters of the motion generator: what they are, their files, and where they act. Trains nothing.

An adapter adds ``scale * up(down(x))`` to some Linear layers (Hu et al. 2021, LoRA). It is hung in for one call and
taken away again, so the generator's own weights never change, and a call without it computes what it always did.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from avatar_service.errors import SetupError

LAYERS: Final = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
"""Ends of the names of the layers that a new adapter acts on: those of the transformer's blocks."""
_FORMAT: Final = "avatar-service imtalker adapter 1"


@dataclass(frozen=True)
class Adapter:
    """A low-rank adapter.

    Attributes:
        down: by layer, ``[rank, inputs]``.
        up: by layer, ``[outputs, rank]``.
        scale: of what it adds.
    """

    down: Mapping[str, Tensor]
    up: Mapping[str, Tensor]
    scale: float

    @property
    def tensors(self) -> list[Tensor]:
        """All that training changes."""
        return [*self.down.values(), *self.up.values()]

    def to(self, device: torch.device) -> Adapter:
        """Return it on a device."""
        down, up = ({name: tensor.to(device) for name, tensor in half.items()} for half in (self.down, self.up))
        return Adapter(down, up, self.scale)


def fresh_adapter(flow: nn.Module, rank: int, scale: float = 1.0, seed: int = 1) -> Adapter:
    """Return an adapter that changes nothing yet: ``down`` is random, ``up`` is zero."""
    random = torch.Generator().manual_seed(seed)
    down, up = {}, {}
    for name, layer in flow.named_modules():
        if isinstance(layer, nn.Linear) and name.endswith(LAYERS):
            device = layer.weight.device
            down[name] = torch.randn(rank, layer.in_features, generator=random).div(layer.in_features**0.5).to(device)
            up[name] = torch.zeros(layer.out_features, rank, device=device)
    return Adapter(down, up, scale)


@contextmanager
def adapted(flow: nn.Module, adapter: Adapter | None) -> Iterator[None]:
    """Have an adapter act on the generator's network while the context lasts; ``None`` changes nothing."""
    with ExitStack() as stack:
        if adapter is not None:
            layers = dict(flow.named_modules())
            for name in adapter.down:
                hook = partial(_add, adapter.down[name], adapter.up[name], adapter.scale)
                stack.callback(layers[name].register_forward_hook(hook).remove)
        yield


def _add(down: Tensor, up: Tensor, scale: float, _: nn.Module, given: tuple[Any, ...], made: Tensor) -> Tensor:
    low = given[0].to(down.dtype) @ down.T
    return made + (scale * (low @ up.T)).to(made.dtype)


def save_adapter(adapter: Adapter, path: Path) -> None:
    """Write an adapter as one safetensors file."""
    tensors = {
        f"{name}.{half}": tensor.detach().cpu().contiguous()
        for half in ("down", "up")
        for name, tensor in vars(adapter)[half].items()
    }
    save_file(tensors, path, {"format": _FORMAT, "scale": json.dumps(adapter.scale)})


def load_adapter(path: Path, flow: nn.Module) -> Adapter:
    """Return the adapter in a file, on the device of the network that it is for.

    Raises:
        SetupError: if the file is missing, damaged, or not for this network; it names the file and the layers.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no mapping
    except (OSError, SafetensorError) as error:
        message = f"{path}: this adapter cannot be read: {error}"
        raise SetupError(message) from None
    if metadata.get("format") != _FORMAT:
        message = f"{path} is no adapter of this engine; make one with avatar-service finetune"
        raise SetupError(message)
    halves = {
        half: {key.removesuffix(f".{half}"): tensor for key, tensor in tensors.items() if key.endswith(f".{half}")}
        for half in ("down", "up")
    }
    adapter = Adapter(halves["down"], halves["up"], float(metadata["scale"]))
    _check(adapter, flow, path)
    return adapter.to(next(flow.parameters()).device)


def _check(adapter: Adapter, flow: nn.Module, path: Path) -> None:
    layers = dict(flow.named_modules())
    wrong = sorted(name for name in {*adapter.down, *adapter.up} if not _fits(adapter, name, layers.get(name)))
    if wrong:
        message = f"{path} is an adapter of another model: {len(wrong)} layers do not fit, such as {wrong[0]}"
        raise SetupError(message)
    broken = [
        name for name in adapter.down if not (adapter.down[name].isfinite().all() and adapter.up[name].isfinite().all())
    ]
    if broken:
        message = f"{path}: the adapter has numbers that are none, in {broken[0]}"
        raise SetupError(message)


def _fits(adapter: Adapter, name: str, layer: nn.Module | None) -> bool:
    down, up = adapter.down.get(name), adapter.up.get(name)
    if not isinstance(layer, nn.Linear) or down is None or up is None or down.ndim != 2 or up.ndim != 2:  # noqa: PLR2004
        return False
    return down.shape[1] == layer.in_features and up.shape[0] == layer.out_features and down.shape[0] == up.shape[1]

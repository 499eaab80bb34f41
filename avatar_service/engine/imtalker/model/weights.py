"""Owns the tensors of a checkpoint while networks are built of them: nothing missing, nothing left over, no NaN.

A network takes what it needs by name and shape, and folds it as it likes; so the names that it takes are the only list
of names there is. All faults are gathered, and told together once everything was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor

SHOWN: Final = 5
"""Names that a message lists of each kind."""


class WeightsError(Exception):
    """A model file that cannot be used: names the file, says what is wrong and what to do."""


@dataclass(slots=True)
class Faults:
    """What was found wrong so far, and which names were asked for."""

    asked: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


class Weights:
    """The tensors below one name of a checkpoint.

    Args:
        tensors: of the whole file, by name.
        file: as messages call it.
        prefix: of all names here, with its last dot.
        faults: shared by all parts of one file.
    """

    def __init__(
        self, tensors: Mapping[str, Tensor], file: str, prefix: str = "", faults: Faults | None = None
    ) -> None:
        self._tensors = tensors
        self._file = file
        self._prefix = prefix
        self._faults = Faults() if faults is None else faults

    def at(self, name: str) -> Weights:
        """Return what is below a name."""
        return Weights(self._tensors, self._file, f"{self._prefix}{name}.", self._faults)

    def holds(self, name: str) -> bool:
        """Say whether there is such a tensor."""
        return self._prefix + name in self._tensors

    def take(self, name: str, *shape: int) -> Tensor:
        """Return a float32 copy of a tensor; where it is missing or misshapen, zeros, and a fault is noted."""
        found = self._look(name, shape)
        if found is None:
            if self._prefix + name not in self._tensors:
                self._faults.missing.append(self._prefix + name)
            return torch.zeros(shape)
        copy = found.detach().to(torch.float32, copy=True)
        if not bool(torch.isfinite(copy).all()):
            self._faults.broken.append(self._prefix + name)
        return copy

    def constant(self, name: str, value: Tensor) -> None:
        """Note a fault if there is such a tensor and it is not what the public code computes by itself."""
        found = self._look(name, tuple(value.shape))
        if found is not None and not torch.allclose(found.to(torch.float32), value.to(torch.float32), atol=1e-6):
            self._faults.changed.append(self._prefix + name)

    def unused(self, name: str, *shape: int) -> None:
        """Note a fault if there is such a tensor, which the public code loads and never reads, of another shape."""
        self._look(name, shape)

    def close(self) -> None:
        """Raise what was found wrong.

        Raises:
            WeightsError: naming the file and up to ``SHOWN`` tensors of each kind.
        """
        faults = self._faults
        unexpected = [name for name in self._tensors if name.startswith(self._prefix) and name not in faults.asked]
        kinds = {
            "missing": faults.missing,
            "unexpected": unexpected,
            "misshapen": faults.misshapen,
            "not finite": faults.broken,
            "not what the public code computes": faults.changed,
        }
        told = [f"{len(names)} {kind} ({_shortened(names)})" for kind, names in kinds.items() if names]
        if told:
            msg = f"{self._file} does not hold the public IMTalker weights: {'; '.join(told)}"
            raise WeightsError(msg)

    def _look(self, name: str, shape: tuple[int, ...]) -> Tensor | None:
        full = self._prefix + name
        self._faults.asked.add(full)
        found = self._tensors.get(full)
        if found is not None and tuple(found.shape) != shape:
            self._faults.misshapen.append(f"{full}: {list(found.shape)} instead of {list(shape)}")
            return None
        return found


def _shortened(names: list[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")

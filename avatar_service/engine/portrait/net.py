"""Owns the speech-to-motion net: its weights and one step of it, in plain numpy. Trained by ``training/``.

    block --linear, ReLU--> GRU --memory now and some blocks ago--> linear, ReLU, linear, sigmoid --> face

One recurrent net hears block by block; for each look-ahead a read-out says what the face does that long before the
newest block. GRU: Cho et al. 2014, with the reset gate behind the product, as torch and cuDNN have it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import resources
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from avatar_service.engine.portrait.arrays import Floats, floats

WEIGHTS: Final = "speech.npz"
OUTPUTS: Final = ("open", "round", "wide", "close", "fv", "tongue", "teeth", "speaking")
"""What the face does, 0-1 each, and whether somebody speaks."""

Layer: TypeAlias = tuple[Floats, Floats]
"""Weights ``[out, in]`` and biases ``[out]``."""


@dataclass(frozen=True, slots=True)
class ReadOut:
    """What is made of the memory for one look-ahead.

    Attributes:
        blocks: how many blocks before the newest one the face is.
        hidden: of the memories now and at the ``taps``, joined.
        face: to ``OUTPUTS``.
    """

    blocks: int
    hidden: Layer
    face: Layer


@dataclass(frozen=True, slots=True)
class Net:
    """The weights; shared by all sessions, never changed.

    Attributes:
        heard: from a block.
        inward: from what was heard to the reset, update and new gates, in that order.
        onward: from the memory to the same.
        taps: blocks ago whose memories are read, ascending from 0.
        read_outs: by the blocks that they look ahead, ascending.
    """

    heard: Layer
    inward: Layer
    onward: Layer
    taps: tuple[int, ...]
    read_outs: tuple[ReadOut, ...]

    @property
    def units(self) -> int:
        """Values in a memory."""
        return int(self.onward[0].shape[1])

    @property
    def parameters(self) -> int:
        """Count of all weights and biases."""
        layers = [self.heard, self.inward, self.onward, *(r.hidden for r in self.read_outs)]
        layers += [read_out.face for read_out in self.read_outs]
        return sum(array.size for layer in layers for array in layer)

    def silence(self) -> Floats:
        """Return the memories ``[taps[-1] + 1, units]``, newest first, before anything was heard."""
        return np.zeros((self.taps[-1] + 1, self.units), np.float32)

    def remember(self, memories: Floats, block: Floats) -> Floats:
        """Return the memories after a block ``[HEARD]``."""
        units = self.units
        inward = _applied(self.inward, np.maximum(_applied(self.heard, block), 0))
        onward = _applied(self.onward, memories[0])
        gates = _sigmoid(inward[: 2 * units] + onward[: 2 * units])
        fresh = np.tanh(inward[2 * units :] + gates[:units] * onward[2 * units :])
        newest = fresh + gates[units:] * (memories[0] - fresh)
        return np.concatenate([newest[np.newaxis], memories[:-1]])

    def face(self, memories: Floats, read_out: ReadOut) -> Floats:
        """Return ``[OUTPUTS]``, what the face does ``read_out.blocks`` blocks before the newest one."""
        hidden = np.maximum(_applied(read_out.hidden, memories[list(self.taps)].ravel()), 0)
        return floats(_sigmoid(_applied(read_out.face, hidden)))


def _applied(layer: Layer, values: Floats) -> Floats:
    weights, biases = layer
    return floats(weights @ values + biases)


def _sigmoid(values: Floats) -> Floats:
    return floats(0.5 + 0.5 * np.tanh(0.5 * values))


@functools.cache
def net() -> Net:
    """Return the net that this package ships."""
    with resources.files(__package__).joinpath(WEIGHTS).open("rb") as file, np.load(file) as arrays:
        return read_net(dict(arrays))


def read_net(arrays: dict[str, NDArray[np.generic]]) -> Net:
    """Return the net of what ``training`` wrote: ``NAME.weights`` and ``NAME.biases``, half precision, and ``taps``."""

    def layer(name: str) -> Layer:
        weights, biases = floats(arrays[f"{name}.weights"]), floats(arrays[f"{name}.biases"])
        return np.ascontiguousarray(weights), biases

    blocks = [int(number) for number in arrays["blocks"]]
    read_outs = tuple(ReadOut(number, layer(f"hidden{number}"), layer(f"face{number}")) for number in blocks)
    taps = tuple(int(tap) for tap in arrays["taps"])
    return Net(layer("heard"), layer("inward"), layer("onward"), taps, read_outs)

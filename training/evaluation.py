"""Owns the figures of a net: what it says of a corpus, against what was wanted. Runs the service's own numpy net."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar_service.engine.portrait.net import OUTPUTS, Net, ReadOut
from training.corpus import Corpus

CLOSED: Final = 0.5
"""From this ``close`` on the lips are closed, wanted or said."""
PARTED: Final = 0.08
"""From this ``open`` on the mouth is open."""
CERTAIN: Final = 0.5
"""From this ``speaking`` on somebody speaks."""


def said_of(net: Net, corpus: Corpus, read_out: ReadOut) -> NDArray[np.float32]:
    """Return what the net says of each stream, ``[streams, frames - blocks, OUTPUTS]``, the first row being frame 0."""
    return np.stack([_stream(net, heard, read_out) for heard in corpus.heard])


def figures(said: NDArray[np.float32], wanted: NDArray[np.float32]) -> dict[str, float]:
    """Return Pearson's r of each output and of the width (wide less round), F1 of closed frames, and silences' figure.

    Args:
        said: as ``said_of`` returns it.
        wanted: of the corpus; longer.
    """
    right = wanted[:, : said.shape[1]].reshape(-1, len(OUTPUTS))
    rows = said.reshape(-1, len(OUTPUTS))
    found = {f"{name}_r": _correlation(rows[:, number], right[:, number]) for number, name in enumerate(OUTPUTS)}
    found["width_r"] = _correlation(rows[:, 2] - rows[:, 1], right[:, 2] - right[:, 1])
    close = OUTPUTS.index("close")
    found["closure_f1"] = _f1(rows[:, close] > CLOSED, right[:, close] > CLOSED)
    silent = ~_near_speech(wanted[:, : said.shape[1], -1]).ravel()
    parted = np.logical_and(rows[:, 0] > PARTED, rows[:, -1] > CERTAIN)
    found["silence_open_fraction"] = float(parted[silent].mean()) if silent.any() else 0.0
    return {name: round(value, 3) for name, value in found.items()}


def _stream(net: Net, heard: NDArray[np.float32], read_out: ReadOut) -> NDArray[np.float32]:
    memories, rows = net.silence(), []
    for number, block in enumerate(heard):
        memories = net.remember(memories, block)
        if number >= read_out.blocks:
            rows.append(net.face(memories, read_out))
    return np.stack(rows)


def _near_speech(speaking: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return frames ``[streams, frames]`` with speech within 120 ms, which is what a mouth may take to close."""
    spoken = np.pad(speaking > 0, ((0, 0), (2, 2)))
    near = [spoken[:, shift : shift + speaking.shape[1]] for shift in range(5)]
    return np.asarray(np.any(near, axis=0), np.bool_)


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.corrcoef(one, other)[0, 1]) if one.std() and other.std() else 0.0


def _f1(said: NDArray[np.bool_], right: NDArray[np.bool_]) -> float:
    both, either = int(np.count_nonzero(said & right)), int(np.count_nonzero(said)) + int(np.count_nonzero(right))
    return 2 * both / either if either else 1.0

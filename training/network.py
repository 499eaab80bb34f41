"""Owns the net as torch trains it, and how its weights become the file that the service reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar_service.engine.portrait.hearing import HEARD
from training.corpus import OUTPUTS

BLOCKS_AHEAD: Final = (2, 4)
"""One read-out each: 80 and 160 ms beyond the frame."""
TAPS: Final = (0, 2)
"""Blocks ago whose memories a read-out sees."""
INNER, UNITS, READ_OUT = 96, 96, 40
"""Values behind the first layer, in the memory, and inside a read-out."""


class SpeechNet(nn.Module):
    """The same net as ``avatar_service.engine.portrait.net``, over whole streams."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = nn.Linear(HEARD, INNER)
        self.memory = nn.GRU(INNER, UNITS, batch_first=True)
        self.hidden = nn.ModuleList(nn.Linear(UNITS * len(TAPS), READ_OUT) for _ in BLOCKS_AHEAD)
        self.face = nn.ModuleList(nn.Linear(READ_OUT, OUTPUTS) for _ in BLOCKS_AHEAD)

    def forward(self, heard: Tensor) -> list[Tensor]:
        """Return each read-out's ``[streams, frames - blocks, OUTPUTS]``, the first row being frame 0.

        Args:
            heard: ``[streams, frames, HEARD]``.
        """
        frames, before = heard.shape[1], TAPS[-1]
        memories = functional.pad(self.memory(torch.relu(self.heard(heard)))[0], (0, 0, before, 0))
        seen = torch.cat([memories[:, before - tap : before - tap + frames] for tap in TAPS], dim=2)
        outputs = []
        for blocks, hidden, face in zip(BLOCKS_AHEAD, self.hidden, self.face, strict=True):
            outputs.append(torch.sigmoid(face(torch.relu(hidden(seen[:, blocks:])))))
        return outputs


def save(net: SpeechNet, path: Path) -> None:
    """Write the weights as ``read_net`` of the service reads them, in half precision."""
    memory = net.memory
    layers = {
        "heard": (net.heard.weight, net.heard.bias),
        "inward": (memory.weight_ih_l0, memory.bias_ih_l0),
        "onward": (memory.weight_hh_l0, memory.bias_hh_l0),
    }
    for blocks, hidden, face in zip(BLOCKS_AHEAD, net.hidden, net.face, strict=True):
        layers[f"hidden{blocks}"] = (hidden.weight, hidden.bias)
        layers[f"face{blocks}"] = (face.weight, face.bias)
    arrays: dict[str, Any] = {"blocks": np.array(BLOCKS_AHEAD, np.int8), "taps": np.array(TAPS, np.int8)}
    for name, pair in layers.items():
        for kind, tensor in zip(("weights", "biases"), pair, strict=True):
            arrays[f"{name}.{kind}"] = tensor.detach().numpy().astype(np.float16)
    np.savez(path, **arrays)

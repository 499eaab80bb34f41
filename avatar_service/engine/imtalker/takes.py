"""Owns the training data of the motion generator: features of one's own videos, in the public layout. Trains nothing.

folder/motion/NAME.pt   [T, 32]   what the renderer's motion encoder sees in each frame
folder/audio/NAME.npy   [T, 768]  the last hidden layer of wav2vec2 at 25 steps a second
folder/smirk/NAME.pt    pose_params [T, 3] and cam [T, 3], as SMIRK says them; may be missing
folder/gaze/NAME.npy    [T, 2], as L2CS says it; may be missing
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avatar_service.errors import SetupError

MOTION, FEATURES, POSE, GAZE = 32, 768, 3, 2


@dataclass(frozen=True, slots=True)
class Take:
    """The features of one video; all of one length, float32.

    Attributes:
        name: of its files.
        motion: ``[T, 32]``.
        features: ``[T, 768]``.
        pose: ``[T, 3]``, if it is known.
        cam: ``[T, 3]``, likewise.
        gaze: ``[T, 2]``, likewise.
    """

    name: str
    motion: Tensor
    features: Tensor
    pose: Tensor | None = None
    cam: Tensor | None = None
    gaze: Tensor | None = None


def read_takes(folder: Path, shortest: int, width: int = FEATURES) -> list[Take]:
    """Return the takes of a folder that have at least ``shortest`` frames, by name.

    Args:
        folder: in the public layout.
        shortest: frames that a training example needs.
        width: of the audio features; other than the public model's only in tests.

    Raises:
        SetupError: if a file is damaged, misshapen or not finite, or there is nothing to learn from; it names the file.
    """
    names = sorted(path.stem for path in (folder / "motion").glob("*.pt"))
    if not names:
        message = f"{folder / 'motion'} has no .pt file; docs/imtalker.md says how training data are laid out"
        raise SetupError(message)
    takes = [take for name in names if len((take := _read(folder, name, width)).motion) >= shortest]
    if not takes:
        message = f"no take in {folder} has the {shortest} frames that a training example needs"
        raise SetupError(message)
    return takes


def _read(folder: Path, name: str, width: int) -> Take:
    motion = _rows(folder / "motion" / f"{name}.pt", _tensor(folder / "motion" / f"{name}.pt"), MOTION)
    features = _rows(folder / "audio" / f"{name}.npy", _array(folder / "audio" / f"{name}.npy"), width)
    parts = {"motion": motion, "features": features}
    smirk, gaze = folder / "smirk" / f"{name}.pt", folder / "gaze" / f"{name}.npy"
    if smirk.exists():
        said = _tensor(smirk)
        if not isinstance(said, Mapping) or not {"pose_params", "cam"} <= {*said}:
            _refuse(smirk, "holds no pose_params and cam")
        parts |= {"pose": _rows(smirk, said["pose_params"], POSE), "cam": _rows(smirk, said["cam"], POSE)}
    if gaze.exists():
        parts["gaze"] = _rows(gaze, _array(gaze), GAZE)
    shared = min(map(len, parts.values()))  # trackers lose the last frames
    return Take(name, **{part: rows[:shared] for part, rows in parts.items()})


def _tensor(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        return _refuse(path, f"cannot be read: {str(error).splitlines()[0] if str(error) else 'it ends too early'}")


def _array(path: Path) -> Any:
    try:
        return torch.from_numpy(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError, TypeError) as error:
        return _refuse(path, f"cannot be read: {error}")


def _rows(path: Path, rows: Any, width: int) -> Tensor:
    if not isinstance(rows, Tensor) or rows.ndim != 2 or rows.shape[1] != width:  # noqa: PLR2004 - frames and numbers
        shape = list(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
        return _refuse(path, f"is {shape}; it must be [frames, {width}]")
    rows = rows.to(torch.float32)
    if not bool(rows.isfinite().all()):
        return _refuse(path, "has numbers that are none")
    return rows


def _refuse(path: Path, what: str) -> Any:
    message = f"{path} {what}"
    raise SetupError(message)

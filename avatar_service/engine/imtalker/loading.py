"""Owns the loading of the model that the options name, and with which numbers each of its parts computes."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import torch

from avatar_service.engine.imtalker.device import DTYPES
from avatar_service.engine.imtalker.model import Model, Precision, WeightsError
from avatar_service.engine.imtalker.options import Options
from avatar_service.errors import SetupError

ON_GPU: Final = Precision.of(torch.float16)
"""What a GPU computes in half precision unless it is told otherwise: every part whose modules err by 1 % at most in it
when they are given the reference's values. The portrait costs once, and every arg-max hangs on it: it stays float32."""


def loaded(options: Options, device: torch.device) -> Model:
    """Return the model.

    Raises:
        SetupError: if an option is wrong or the weights cannot be used; it names the option, or the file and its keys.
    """
    try:
        return Model.load(options.folder, device=device, dtype=precision_of(options, device))
    except WeightsError as error:
        message = f"{error}; docs/imtalker.md says where the weights come from and how to place them"
        raise SetupError(message) from None


def precision_of(options: Options, device: torch.device) -> Precision:
    """Return with which numbers each part computes.

    Raises:
        SetupError: if an option is wrong.
    """
    main, parts = options.main_dtype, {part: DTYPES[dtype] for part, dtype in options.part_dtypes.items()}
    if main == "auto":
        return replace(Precision() if device.type == "cpu" else ON_GPU, **parts)
    return replace(Precision.of(DTYPES[main]), **parts)

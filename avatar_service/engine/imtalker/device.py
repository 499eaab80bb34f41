"""Owns the device: which one, how many threads of a CPU, and what its failures mean. Knows no model."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch

from avatar_service.errors import SetupError

DTYPES: Final = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_NO_MEMORY: Final = "can't allocate memory"
"""How PyTorch's CPU allocator says so, in a RuntimeError like any other."""


def chosen_device(name: str) -> torch.device:
    """Return the device of that name; ``auto`` is the first GPU, or else the CPU.

    Raises:
        SetupError: if there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        message = f"the engine option device={name} cannot be used: {str(error).splitlines()[0]}"
        raise SetupError(message) from None
    return device


def described() -> str:
    """Return what PyTorch would compute on."""
    if not torch.cuda.is_available():
        return f"none that PyTorch {torch.__version__} can use; the CPU, {torch.backends.cpu.get_cpu_capability()}"
    gpus = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return ", ".join(f"{gpu.name}, {gpu.total_memory / 1e9:.0f} GB" for gpu in gpus)


def use_threads(threads: int) -> None:
    """Have a CPU compute with so many threads; 0 for one a core that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(threads or cores)


@contextmanager
def guarded() -> Iterator[None]:
    """Say what a failure of the device means.

    Raises:
        MemoryError: if the device has no memory left; what was computed is void, and nothing else is.
        SystemExit: if a GPU failed: nothing that this process does with it can succeed any more, so it must end, and
            whoever watches over it starts another one.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise MemoryError(str(error)) from None
    except torch.AcceleratorError as error:
        sys.exit(f"the GPU failed, and this process ends: {error}")
    except RuntimeError as error:
        if _NO_MEMORY in str(error):
            raise MemoryError(str(error)) from None
        raise

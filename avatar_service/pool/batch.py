"""Owns one call of an engine for the steps of many sessions: what fails in it is lost alone. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from avatar_service.pool.failure import attempt

_S = TypeVar("_S")
_D = TypeVar("_D", bound=np.generic)


def in_batch(call: Callable[[Sequence[_S]], list[NDArray[_D]]], steps: Sequence[_S]) -> list[NDArray[_D] | Exception]:
    """Call the engine once for all steps; if that fails, once for each, so that only the guilty one is lost."""
    if not steps:
        return []
    outcome = attempt(lambda: call(steps))
    if not isinstance(outcome, Exception):
        assert len(outcome) == len(steps), "length in = length out"
        return [*outcome]
    if len(steps) == 1:
        return [outcome]
    return [attempt(partial(_alone, call, step)) for step in steps]


def _alone(call: Callable[[Sequence[_S]], list[NDArray[_D]]], step: _S) -> NDArray[_D]:
    return call([step])[0]

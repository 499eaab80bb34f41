"""Owns what becomes of whatever a stranger's code raises: the caller is told of it, and the log has the rest."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, TypeVar

from avatar_service.errors import AvatarError, InternalError, ResourceExhaustedError

_log = logging.getLogger(__name__)
_RETRY_MEMORY_S: Final = 5.0
_R = TypeVar("_R")


def told(error: BaseException, engine: str, lost: str) -> AvatarError:
    """Return ``error`` if it is one of ours, else log it and return what stands for it.

    Args:
        error: raised by an engine or an encoder.
        engine: the engine's name, for the log.
        lost: what it costs: ``session`` or ``avatar``.
    """
    if isinstance(error, AvatarError):
        return error
    _log.error("%s: a %s was lost", engine, lost, exc_info=error)
    if isinstance(error, MemoryError):
        text = f"there is not enough memory for this {lost}; try again later, or with a smaller portrait"
        return ResourceExhaustedError("OUT_OF_MEMORY", text, retry_after_s=_RETRY_MEMORY_S)
    return InternalError("ENGINE_FAILED", f"the engine failed on this {lost}; others are not affected")


def attempt(call: Callable[[], _R]) -> _R | Exception:
    """Return what ``call`` returns or raises: an engine or encoder may fail in any way, at its own session's cost."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - the one place where a stranger's code meets everybody's loop
        return error

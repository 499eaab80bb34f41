"""Owns the names of the engines. Imports are lazy, so that a CPU install never imports torch."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Final, cast

from avatar_service.engine.base import Engine
from avatar_service.errors import SetupError

_MODULES: Final = {
    "portrait": "avatar_service.engine.portrait.engine",
    "imtalker": "avatar_service.engine.imtalker.engine",
    "fake": "avatar_service.engine.fake",
}
_EXTRAS: Final = {"imtalker": "imtalker"}
"""Engines whose libraries are not in the base install, and the extra that brings them."""

ENGINE_NAMES: Final = tuple(_MODULES)
ONE_WORKER: Final = frozenset({"imtalker"})
"""Engines that keep a GPU, or all cores, busy by themselves: a second worker would only take memory."""


def create_engine(name: str, options: Mapping[str, str] | None = None) -> Engine:
    """Return a new engine, not yet warmed up.

    Args:
        name: one of ``ENGINE_NAMES``.
        options: keyword arguments of the engine's ``create``, as strings.

    Raises:
        KeyError: if there is no such engine.
        TypeError: if the engine has no such option.
        SetupError: if its libraries are not installed, or it cannot start with these options.
    """
    try:
        module = importlib.import_module(_MODULES[name])
    except ModuleNotFoundError as error:
        if name not in _EXTRAS or str(error.name).startswith("avatar_service"):
            raise
        message = f"the engine {name} needs {error.name}: pip install 'avatar-service[{_EXTRAS[name]}]'"
        raise SetupError(message) from None
    return cast("Engine", module.create(**(options or {})))

"""Owns the names of the engines. Imports are lazy, so that a CPU install never imports torch."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Final, cast

from avatar_service.engine.base import Engine

_MODULES: Final = {
    "portrait": "avatar_service.engine.portrait.engine",
    "fake": "avatar_service.engine.fake",
}

ENGINE_NAMES: Final = tuple(_MODULES)


def create_engine(name: str, options: Mapping[str, str] | None = None) -> Engine:
    """Return a new engine, not yet warmed up.

    Args:
        name: one of ``ENGINE_NAMES``.
        options: keyword arguments of the engine's ``create``, as strings.

    Raises:
        KeyError: if there is no such engine.
        TypeError: if the engine has no such option.
    """
    module = importlib.import_module(_MODULES[name])
    return cast("Engine", module.create(**(options or {})))

"""Owns how what often crosses process borders is pickled: as classes and fields, in a third of Python's own time.

Those are an engine's state, with every hop of a resumable session, and the messages of each frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import Any


class Plain:
    """Base of dataclasses with slots whose fields are what their constructor takes, in order."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the class and its fields."""
        kind: Any = type(self)
        return kind, _reader(kind)(self)


@cache
def _reader(kind: Any) -> Callable[[Any], tuple[Any, ...]]:
    """Return what reads all fields of a class."""
    names = [one.name for one in fields(kind)]
    if len(names) == 1:
        return lambda plain: (getattr(plain, names[0]),)
    return attrgetter(*names)

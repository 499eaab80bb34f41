"""The making of avatars, and their cache."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from avatar_service.engine.base import Avatar, Portrait, PrepareOptions
from avatar_service.engine.fake import FakeAvatar, FakeEngine
from avatar_service.errors import InvalidArgumentError
from avatar_service.pool.preparer import Preparer


class Counting(FakeEngine):
    """Notes what it prepares, and on which thread; cannot animate a black picture."""

    def __init__(self) -> None:
        super().__init__()
        self.prepared: list[int] = []
        self.threads: set[str] = set()

    def prepare(self, portrait: Portrait, options: PrepareOptions) -> FakeAvatar:
        """Note the portrait's brightness."""
        self.prepared.append(int(portrait[0, 0, 0]))
        self.threads.add(threading.current_thread().name)
        if not portrait.any():
            raise InvalidArgumentError("NO_FACE", "nothing to see", field="init.portrait")
        return super().prepare(portrait, options)


def grey(level: int) -> bytes:
    """Return a plain picture."""
    content = io.BytesIO()
    Image.fromarray(np.full((64, 64, 3), level, np.uint8)).save(content, "PNG")
    return content.getvalue()


def prepare(preparer: Preparer, portrait: bytes, options: PrepareOptions | None = None) -> Avatar:
    """Return the avatar of a session's portrait."""
    return preparer.prepare(portrait, options or PrepareOptions()).result(10)


@pytest.fixture
def counting() -> Counting:
    """The engine that is asked."""
    return Counting()


@pytest.fixture
def preparer(counting: Counting) -> Iterator[Preparer]:
    """A preparer that keeps two avatars."""
    with closing(Preparer(counting, 2 * 128 * 128 * 3)) as preparer:
        yield preparer


def test_the_same_portrait_is_prepared_once(preparer: Preparer, counting: Counting) -> None:
    """Equal bytes are the same avatar, and beside the caller's thread."""
    first, second = (prepare(preparer, grey(9)) for _ in range(2))
    assert first is second
    assert counting.prepared == [9]
    assert threading.current_thread().name not in counting.threads


@pytest.mark.parametrize(
    "options", [PrepareOptions(crop=False), PrepareOptions(crop_scale=1.5), PrepareOptions(paste_back=True)]
)
def test_other_options_are_another_avatar(preparer: Preparer, counting: Counting, options: PrepareOptions) -> None:
    """The cache key holds what the picture is prepared with."""
    first = prepare(preparer, grey(9))
    second = prepare(preparer, grey(9), options)
    assert first is not second
    assert counting.prepared == [9, 9]


def test_the_least_recently_used_avatar_leaves(preparer: Preparer, counting: Counting) -> None:
    """Of three portraits in a cache of two the one that was not asked for again is prepared anew."""
    for level in (1, 2, 1, 3, 1, 2):
        prepare(preparer, grey(level))
    assert counting.prepared == [1, 2, 3, 2]


def test_failures_are_told_and_not_kept(preparer: Preparer, counting: Counting) -> None:
    """A bad portrait raises each time, and the next one works."""
    for _ in range(2):
        with pytest.raises(InvalidArgumentError, match="nothing to see"):
            prepare(preparer, grey(0))
    with pytest.raises(InvalidArgumentError, match="no JPEG"):
        prepare(preparer, b"rubbish")
    prepare(preparer, grey(5))
    assert counting.prepared == [0, 0, 5]

"""The avatars that a worker keeps by name."""

from __future__ import annotations

from concurrent.futures import Future

import numpy as np
import pytest

from avatar_service.engine.base import Avatar, PrepareOptions
from avatar_service.engine.fake import FakeEngine
from avatar_service.errors import InternalError, InvalidArgumentError, ResourceExhaustedError
from avatar_service.pool.messages import AvatarKey, Failed, Kept
from avatar_service.pool.shelf import Shelf

KEY = AvatarKey("a")
AVATAR = FakeEngine().prepare(np.zeros((64, 64, 3), np.uint8), PrepareOptions())


def prepared(outcome: Avatar | Exception = AVATAR) -> Future[Avatar]:
    """Return what a preparation came to."""
    future: Future[Avatar] = Future()
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
    return future


def test_an_avatar_is_found_once_it_is_there() -> None:
    """Not before it is prepared, nor without a name; and what it is, is told."""
    shelf = Shelf("fake")
    shelf.reserve(KEY)
    assert shelf.find(KEY) is None
    assert shelf.put(KEY, prepared()) == Kept(KEY, (128, 128), (), 128 * 128 * 3)
    assert shelf.find(KEY) is AVATAR
    assert shelf.find(None) is None
    assert repr(shelf) == "<Shelf with 1 avatars>"


def test_an_avatar_asked_for_again_stays_meanwhile() -> None:
    """A new worker may be told of one twice."""
    shelf = Shelf("fake")
    for _ in range(2):
        shelf.reserve(KEY)
        shelf.put(KEY, prepared())
    shelf.reserve(KEY)
    assert shelf.find(KEY) is AVATAR


def test_what_was_dropped_is_not_kept() -> None:
    """Neither afterwards nor while it is being prepared; dropping what was never there is harmless."""
    shelf = Shelf("fake")
    shelf.drop(KEY)
    shelf.reserve(KEY)
    shelf.drop(KEY)
    assert isinstance(shelf.put(KEY, prepared()), Kept)
    assert shelf.find(KEY) is None
    assert repr(shelf) == "<Shelf with 0 avatars>"


@pytest.mark.parametrize(
    ("cause", "kind", "reason"),
    [
        (InvalidArgumentError("NO_FACE", "text", field="f"), InvalidArgumentError, "NO_FACE"),
        (MemoryError(), ResourceExhaustedError, "OUT_OF_MEMORY"),
        (OSError("secret"), InternalError, "ENGINE_FAILED"),
    ],
)
def test_what_could_not_be_prepared_says_why(cause: Exception, kind: type, reason: str) -> None:
    """An error of ours as it is, and of anything else no word."""
    shelf = Shelf("fake")
    shelf.reserve(KEY)
    failed = shelf.put(KEY, prepared(cause))
    assert isinstance(failed, Failed)
    assert (type(failed.error), failed.error.reason) == (kind, reason)
    assert "secret" not in failed.error.message
    assert repr(shelf) == "<Shelf with 0 avatars>"

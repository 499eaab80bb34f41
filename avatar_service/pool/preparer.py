"""Owns the making of avatars beside a worker: decoding, the engine's ``prepare``, and a cache by content.

One thread prepares, so the cache needs no lock, and an unseen portrait delays no frame of another session.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

from avatar_service.engine.base import Avatar, Engine, PrepareOptions
from avatar_service.picture import decode_picture

_Key: TypeAlias = tuple[bytes, PrepareOptions]


class Preparer:
    """Makes avatars, one at a time.

    Args:
        engine: its ``prepare`` is called in a thread of this object.
        budget_bytes: memory that avatars may hold; beyond it the least recently used one leaves first. Sessions
            that still show it keep it alive.
    """

    def __init__(self, engine: Engine, budget_bytes: int) -> None:
        self._engine = engine
        self._budget_bytes = budget_bytes
        self._avatars: OrderedDict[_Key, Avatar] = OrderedDict()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prepare")

    def prepare(self, portrait: bytes, options: PrepareOptions) -> Future[Avatar]:
        """Return the future avatar of a portrait; one per session, and a few to keep, may wait."""
        return self._thread.submit(self._avatar_of, portrait, options)

    def close(self) -> None:
        """Let the running preparation finish, and forget those that wait."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _avatar_of(self, portrait: bytes, options: PrepareOptions) -> Avatar:
        key = (hashlib.sha256(portrait).digest(), options)
        avatar = self._avatars.get(key)
        if avatar is None:
            avatar = self._avatars[key] = self._engine.prepare(decode_picture(portrait), options)
            while sum(kept.nbytes for kept in self._avatars.values()) > self._budget_bytes:
                self._avatars.popitem(last=False)
            return avatar
        self._avatars.move_to_end(key)
        return avatar

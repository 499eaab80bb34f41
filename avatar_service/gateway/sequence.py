"""Owns the numbers that a client may give its chunks, so that repeated and overlapping requests do no harm."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from typing import Final

from avatar_service.errors import AbortedError, OutOfRangeError

_PATIENCE_S: Final = 5.0


class ChunkSequence:
    """The numbers of one session's chunks, from 1; only the last one is remembered.

    Args:
        patience_s: how long a chunk waits for the ones before it.
    """

    def __init__(self, patience_s: float = _PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._last = 0
        self._digest = b""
        self._changed = asyncio.Condition()

    async def come(self, seq: int) -> None:
        """Wait for the turn of chunk ``seq``, as long as that is reasonable."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience_s), self._changed:
                await self._changed.wait_for(lambda: seq <= self._last + 1)

    def is_repeated(self, seq: int, content: bytes) -> bool:
        """Say whether chunk ``seq`` was taken before.

        Raises:
            OutOfRangeError: ``SEQUENCE_GAP`` or ``SEQUENCE_OLD``.
            AbortedError: ``SEQUENCE_CONFLICT`` if another chunk had that number.
        """
        if seq > self._last + 1:
            msg = f"chunk {seq} came, but chunk {self._last + 1} did not"
            raise OutOfRangeError("SEQUENCE_GAP", msg)
        if seq < self._last:
            msg = f"chunk {seq} came after chunk {self._last}"
            raise OutOfRangeError("SEQUENCE_OLD", msg)
        if seq == self._last and _digest(content) != self._digest:
            raise AbortedError("SEQUENCE_CONFLICT", f"another chunk was fed as number {seq} before")
        return seq == self._last

    async def taken(self, seq: int, content: bytes) -> None:
        """Note that chunk ``seq`` was taken."""
        async with self._changed:
            self._last, self._digest = seq, _digest(content)
            self._changed.notify_all()


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()

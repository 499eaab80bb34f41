"""Owns the speech of one session on its way to the service: joined, spooled, and waited for."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import numpy as np

from avatar_service.gateway.feed import Chunk, Joiner
from avatar_service.gateway.hls.tracks import SOUND_RATE_HZ
from avatar_service.gateway.spool import Spool

_SAMPLE_BYTES: Final = 2
_PIECE_BYTES: Final = 19_200
"""Speech that is sent at once: 200 ms."""


class SpeechQueue:
    """What was fed and is not sent yet, at 48 kHz.

    Args:
        spool: where it waits.

    Attributes:
        is_final: whether the last chunk was fed.
        longest: samples of the longest chunk so far.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._joiner = Joiner()
        self._fed = asyncio.Event()
        self.is_final = False
        self.longest = 0

    def __len__(self) -> int:
        """Samples that wait."""
        return len(self._spool) // _SAMPLE_BYTES

    @property
    def is_spent(self) -> bool:
        """Whether the last chunk was fed, and all was taken."""
        return self.is_final and not len(self)

    def check(self, chunk: Chunk, retry_after_s: float) -> None:
        """Check that there is room for ``chunk``.

        Raises:
            ResourceExhaustedError: ``SPOOL_FULL``.
        """
        size = -(-len(chunk.samples) * SOUND_RATE_HZ // chunk.rate_hz) * _SAMPLE_BYTES
        self._spool.check(size, retry_after_s)

    def put(self, chunk: Chunk, *, is_final: bool) -> None:
        """Append ``chunk``, and what resampling held back if it is the last one.

        Raises:
            OSError: if the disk is full.
        """
        speech = self._joiner.join(chunk)
        if is_final:
            speech = np.concatenate([speech, self._joiner.flush()])
        self.longest = max(self.longest, speech.size)
        self._spool.put(speech.tobytes())
        self.is_final = is_final
        self._fed.set()

    async def take(self, timeout_s: float) -> bytes:
        """Return the next 200 ms or less as 16-bit samples, once there are any; nothing at the end, or if none came."""
        if not len(self._spool) and not self.is_final:
            self._fed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._fed.wait()
        return self._spool.take(_PIECE_BYTES)

    def close(self) -> None:
        """Forget all of it."""
        self._spool.close()

"""Owns the speech that was fed and not yet sent on: first in, first out, on disk, bounded."""

from __future__ import annotations

import errno
import os
from typing import BinaryIO

from avatar_service.errors import ResourceExhaustedError


class Spool:
    """A queue of bytes.

    Args:
        file: empty, open for writing and reading; the spool's alone.
        max_bytes: that may wait.
    """

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self._start = 0
        self._end = 0

    def __len__(self) -> int:
        """Bytes that wait."""
        return self._end - self._start

    def check(self, size: int, retry_after_s: float) -> None:
        """Check that ``size`` bytes more may wait.

        Raises:
            ResourceExhaustedError: ``SPOOL_FULL``.
        """
        if len(self) + size > self._max_bytes:
            msg = "so much audio is waiting already that no more is taken; feed it at the pace at which it plays"
            raise ResourceExhaustedError("SPOOL_FULL", msg, retry_after_s=retry_after_s)

    def put(self, content: bytes) -> None:
        """Append ``content``.

        Raises:
            OSError: if the disk is full.
        """
        self._file.seek(self._end)
        if self._file.write(content) < len(content):  # a nearly full disk takes what fits, without an error
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._end += len(content)

    def take(self, size: int) -> bytes:
        """Return the first ``size`` bytes, or as many as there are, and forget them."""
        self._file.seek(self._start)
        content = self._file.read(min(size, len(self)))
        self._start += len(content)
        if self._start == self._end:
            self._file.truncate(0)
            self._start = self._end = 0
        return content

    def close(self) -> None:
        """Close the file."""
        self._file.close()

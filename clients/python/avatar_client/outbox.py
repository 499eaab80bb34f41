"""Owns the bounded queue between a thread that sends and gRPC's own writer thread. Knows no message type."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final, Generic, Self, TypeVar

_CAPACITY: Final = 8
"""Messages kept; at most 512 KiB of audio, so that an interrupt is not stuck behind minutes of speech."""

_Message = TypeVar("_Message")


class Outbox(Generic[_Message]):
    """An iterator that blocks for the next message, and ends once closed."""

    def __init__(self) -> None:
        self._messages: deque[_Message] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, message: _Message, timeout_s: float) -> bool:
        """Append ``message``, waiting for room.

        Returns:
            False if the outbox is closed: nothing will be sent any more.

        Raises:
            TimeoutError: if there was no room within ``timeout_s`` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._closed or len(self._messages) < _CAPACITY, timeout_s):
                raise TimeoutError
            if self._closed:
                return False
            self._messages.append(message)
            self._changed.notify_all()
            return True

    def close(self) -> None:
        """End the iteration at once; what is queued is dropped. Repeating it is harmless."""
        with self._changed:
            self._closed = True
            self._messages.clear()
            self._changed.notify_all()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> _Message:
        """Return the next message; waits for it as long as the call lives, which closes the outbox when it ends."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._messages)
            if not self._messages:
                raise StopIteration
            message = self._messages.popleft()
            self._changed.notify_all()
            return message

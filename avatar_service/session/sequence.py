"""Owns the numbering of a session's audio messages, so that a client may repeat one it is not sure about. Pure."""

from __future__ import annotations

import hashlib

from avatar_service.errors import AbortedError, OutOfRangeError


class Sequence:
    """Remembers the last numbered message: its number and a digest of it, nothing older."""

    def __init__(self) -> None:
        self._last = 0
        self._digest = b""

    def is_new(self, number: int, segment_id: str, content: bytes) -> bool:
        """Take a message that has a number; return ``False`` for the last one repeated.

        Raises:
            OutOfRangeError: ``SEQUENCE_GAP`` or ``SEQUENCE_OLD`` if it is neither the next nor the last number.
            AbortedError: ``SEQUENCE_CONFLICT`` if it has the last number and differs from that message.
        """
        if number > self._last + 1:
            msg = f"audio message {number} came behind {self._last}; send those between first, or open a new session"
            raise OutOfRangeError("SEQUENCE_GAP", msg)
        if number < max(self._last, 1):
            msg = f"audio message {number} came behind {self._last}; only the last one may be repeated"
            raise OutOfRangeError("SEQUENCE_OLD", msg)
        digest = hashlib.sha256(segment_id.encode() + b"\0" + content).digest()
        if number == self._last:
            if digest != self._digest:
                msg = f"audio message {number} was sent before with other audio; number each message once"
                raise AbortedError("SEQUENCE_CONFLICT", msg)
            return False
        self._last, self._digest = number, digest
        return True

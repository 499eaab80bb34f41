"""Owns the table of slots: who may be admitted, and which user of a slot a message is for. Pure."""

from __future__ import annotations

from avatar_service.pool.messages import SlotKey


class SlotTable:
    """A fixed number of slots, each with a generation that grows with every user.

    Args:
        capacity: number of slots, at least 1.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            msg = f"a capacity of {capacity} serves nobody"
            raise ValueError(msg)
        self._generations = [0] * capacity
        self._free = list(reversed(range(capacity)))

    def __repr__(self) -> str:
        return f"<SlotTable {self.taken} of {self.capacity} taken>"

    @property
    def capacity(self) -> int:
        """Number of slots."""
        return len(self._generations)

    @property
    def free(self) -> int:
        """Slots that nobody holds."""
        return len(self._free)

    @property
    def taken(self) -> int:
        """Slots that somebody holds."""
        return self.capacity - self.free

    def acquire(self) -> SlotKey | None:
        """Return the key of a slot that was free, or ``None`` if all are taken."""
        if not self._free:
            return None
        index = self._free.pop()
        return SlotKey(index, self._generations[index])

    def release(self, key: SlotKey) -> None:
        """Free the slot; a key of an earlier user, or a second release, changes nothing."""
        if self.is_current(key):
            self._generations[key.index] += 1
            self._free.append(key.index)

    def is_current(self, key: SlotKey) -> bool:
        """Say whether ``key`` is the present user's."""
        return self._generations[key.index] == key.generation and key.index not in self._free

"""Owns the table of slots: who may be admitted, and which user of a slot a message is for. Pure."""

from __future__ import annotations

from typing import Final

from avatar_service.pool.messages import SlotKey

_HALVES: Final = 2


class SlotTable:
    """Slots for a fixed load, each with a generation that grows with every user.

    A user counts one, or half if he is degradable. While there are more users than the capacity, which only the
    degradable can bring about, the table is crowded, and these are to be content with half.

    Args:
        capacity: users that are not degradable, at least 1; of those that are, twice as many find room.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            msg = f"a capacity of {capacity} serves nobody"
            raise ValueError(msg)
        self._generations = [0] * (_HALVES * capacity)
        self._free = list(reversed(range(_HALVES * capacity)))
        self._halves: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"<SlotTable {self.taken} of {self.capacity} taken>"

    @property
    def capacity(self) -> int:
        """Users that are not degradable."""
        return len(self._generations) // _HALVES

    @property
    def free(self) -> int:
        """Users that would be admitted now, none of them degradable."""
        return self._free_halves // _HALVES

    @property
    def taken(self) -> int:
        """Users that are there."""
        return len(self._halves)

    @property
    def spare(self) -> int:
        """Users that may still come before the table is crowded; below 0 if it is."""
        return self.capacity - self.taken

    @property
    def is_crowded(self) -> bool:
        """Whether the degradable are to be content with half."""
        return self.spare < 0

    def has_room(self, *, degradable: bool = False) -> bool:
        """Say whether another user would be admitted."""
        return self._free_halves >= _size(degradable=degradable)

    def acquire(self, *, degradable: bool = False) -> SlotKey | None:
        """Return the key of a slot that was free, or ``None`` if there is no room."""
        if not self.has_room(degradable=degradable):
            return None
        index = self._free.pop()
        self._halves[index] = _size(degradable=degradable)
        return SlotKey(index, self._generations[index])

    def release(self, key: SlotKey) -> None:
        """Free the slot; a key of an earlier user, or a second release, changes nothing."""
        if self.is_current(key):
            self._generations[key.index] += 1
            self._free.append(key.index)
            del self._halves[key.index]

    def is_current(self, key: SlotKey) -> bool:
        """Say whether ``key`` is the present user's."""
        return self._generations[key.index] == key.generation and key.index in self._halves

    @property
    def _free_halves(self) -> int:
        return len(self._generations) - sum(self._halves.values())


def _size(*, degradable: bool) -> int:
    """Return what a user counts, in halves."""
    return 1 if degradable else _HALVES

"""The table of slots."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar_service.pool.messages import SlotKey
from avatar_service.pool.slots import SlotTable


@given(capacity=st.integers(1, 6), moves=st.lists(st.one_of(st.none(), st.integers(0, 40)), max_size=60))
def test_no_two_users_ever_have_the_same_key(capacity: int, moves: list[int | None]) -> None:
    """Whoever comes and goes: keys are unique for ever, only holders' keys are current, and counts add up."""
    table = SlotTable(capacity)
    issued: list[SlotKey] = []
    held: set[SlotKey] = set()
    for move in moves:
        if move is None:
            key = table.acquire()
            assert (key is None) == (len(held) == capacity)
            if key is not None:
                assert key not in issued
                assert key.index not in {other.index for other in held}
                issued.append(key)
                held.add(key)
        elif issued:
            table.release(issued[move % len(issued)])
            held.discard(issued[move % len(issued)])
        assert {key for key in issued if table.is_current(key)} == held
        assert (table.taken, table.free, table.capacity) == (len(held), capacity - len(held), capacity)


def test_a_late_release_does_not_free_the_next_user_s_slot() -> None:
    """The slot's generation tells its users apart."""
    table = SlotTable(1)
    first = table.acquire()
    assert first is not None
    table.release(first)
    second = table.acquire()
    table.release(first)
    assert second is not None
    assert table.is_current(second)
    assert table.acquire() is None
    assert repr(table) == "<SlotTable 1 of 1 taken>"


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_table_without_slots_is_a_mistake(capacity: int) -> None:
    """A capacity below one is refused when the server starts, not when the first client comes."""
    with pytest.raises(ValueError, match="serves nobody"):
        SlotTable(capacity)

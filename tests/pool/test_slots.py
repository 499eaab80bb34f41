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


@given(
    capacity=st.integers(1, 5), moves=st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 40)), max_size=60)
)
def test_a_user_is_admitted_if_the_strict_and_half_the_degradable_fit(
    capacity: int, moves: list[tuple[bool, bool, int]]
) -> None:
    """Whoever comes and goes: that, and nothing else; it is crowded while there are more users than the capacity."""
    table = SlotTable(capacity)
    held: list[tuple[SlotKey, bool]] = []
    for comes, degradable, number in moves:
        if comes:
            load = sum(0.5 if other else 1.0 for _, other in held) + (0.5 if degradable else 1.0)
            assert table.has_room(degradable=degradable) == (load <= capacity)
            key = table.acquire(degradable=degradable)
            assert (key is not None) == (load <= capacity)
            if key is not None:
                assert key.index not in {other.index for other, _ in held}
                held.append((key, degradable))
        elif held:
            table.release(held.pop(number % len(held))[0])
        assert (table.taken, table.capacity, table.spare) == (len(held), capacity, capacity - len(held))
        assert table.is_crowded == (len(held) > capacity)
        strict = capacity - sum(0.5 if other else 1.0 for _, other in held)
        assert table.free == int(strict)
        assert not table.is_crowded or any(other for _, other in held)


def test_twice_as_many_degradable_users_find_room() -> None:
    """And no strict one beside them."""
    table = SlotTable(3)
    keys = [table.acquire(degradable=True) for _ in range(7)]
    assert keys[6] is None
    assert len({key.index for key in keys if key}) == 6
    assert (table.free, table.has_room(), table.is_crowded) == (0, False, True)


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

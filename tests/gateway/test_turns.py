"""Requests of one peer come in the order in which they arrived, session by session."""

from __future__ import annotations

import asyncio

import pytest

from avatar_service.errors import AbortedError, OutOfRangeError
from avatar_service.gateway.sequence import ChunkSequence
from avatar_service.gateway.turns import Turns


async def test_a_later_request_does_not_overtake() -> None:
    """Though its body is read first, it waits for the earlier one of its session to be done."""
    turns = Turns()
    order: list[int] = []
    gates = [asyncio.Event() for _ in range(3)]

    async def request(number: int) -> None:
        with turns.take("peer") as turn:
            await gates[number].wait()
            await turn.come("session")
            order.append(number)

    tasks = []
    for number in range(3):
        tasks.append(asyncio.create_task(request(number)))
        await asyncio.sleep(0)
    for number in (2, 1, 0):
        gates[number].set()
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2]


async def test_other_sessions_and_other_peers_are_not_waited_for() -> None:
    """An earlier request that is known to be another session's, or comes from elsewhere, holds nobody up."""
    turns = Turns()
    with turns.take("peer") as first, turns.take("elsewhere"), turns.take("peer") as last:
        await first.come("one")
        async with asyncio.timeout(1):
            await last.come("two")


async def test_a_request_that_gave_up_its_turn_holds_nobody_up() -> None:
    """Nor one that has ended."""
    turns = Turns()
    with turns.take("peer") as first, turns.take("peer") as second:
        first.give_up()
        first.give_up()
        async with asyncio.timeout(1):
            await second.come("session")


async def test_chunks_wait_for_the_ones_before_them() -> None:
    """Number 2 is dealt with after number 1, though it came first."""
    sequence = ChunkSequence()
    second = asyncio.create_task(sequence.come(2))
    await asyncio.sleep(0)
    await sequence.come(1)
    assert not sequence.is_repeated(1, b"a")
    assert not second.done()
    await sequence.taken(1, b"a")
    await second
    assert not sequence.is_repeated(2, b"b")


async def test_numbers_that_cannot_be() -> None:
    """A gap that is not filled in time, an old number, a number with other bytes."""
    sequence = ChunkSequence(patience_s=0.01)
    await sequence.come(2)
    with pytest.raises(OutOfRangeError, match="chunk 1 did not"):
        sequence.is_repeated(2, b"b")
    for number in (1, 2):
        await sequence.taken(number, b"x")
    assert sequence.is_repeated(2, b"x")
    with pytest.raises(AbortedError):
        sequence.is_repeated(2, b"y")
    with pytest.raises(OutOfRangeError, match="after chunk 2"):
        sequence.is_repeated(1, b"x")

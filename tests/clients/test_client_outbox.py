"""The outbox: bounded, and never a trap for either thread."""

from __future__ import annotations

import threading

import pytest
from avatar_client.outbox import Outbox


def test_messages_come_out_in_order() -> None:
    """What is put first is sent first."""
    outbox: Outbox[int] = Outbox()
    assert outbox.put(1, 1.0)
    assert outbox.put(2, 1.0)
    assert [next(outbox), next(outbox)] == [1, 2]


def test_full_outbox_refuses_after_the_deadline() -> None:
    """A sender that nobody serves is told so instead of waiting for ever."""
    outbox: Outbox[int] = Outbox()
    numbers = iter(range(100))
    with pytest.raises(TimeoutError):
        all(outbox.put(number, 0.01) for number in numbers)
    assert next(numbers) < 20


def test_closing_frees_a_waiting_sender_and_the_reader() -> None:
    """When the call ends, both threads go on at once."""
    outbox: Outbox[int] = Outbox()
    taken: list[int] = []
    reader = threading.Thread(target=lambda: taken.extend(outbox))
    reader.start()
    outbox.close()
    reader.join(5)
    assert not reader.is_alive()
    assert not outbox.put(1, 0.0)
    assert taken == []

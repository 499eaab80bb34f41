"""The numbering of audio messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar_service.errors import AbortedError, OutOfRangeError
from avatar_service.session.sequence import Sequence


@given(repeats=st.lists(st.integers(0, 3), max_size=8))
def test_each_message_is_new_once_however_often_it_comes(repeats: list[int]) -> None:
    """Repeating the last one changes nothing."""
    sequence = Sequence()
    for number, times in enumerate(repeats, start=1):
        assert sequence.is_new(number, "a", bytes([number]))
        assert not any(sequence.is_new(number, "a", bytes([number])) for _ in range(times))


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [((2,), "SEQUENCE_GAP"), ((1, 3), "SEQUENCE_GAP"), ((0,), "SEQUENCE_OLD"), ((1, 2, 1), "SEQUENCE_OLD")],
)
def test_other_numbers_are_out_of_range(numbers: tuple[int, ...], reason: str) -> None:
    """Gaps and older messages are refused, and the count stays."""
    *before, wrong = numbers
    sequence = Sequence()
    assert all(sequence.is_new(number, "a", b"x") for number in before)
    with pytest.raises(OutOfRangeError) as caught:
        sequence.is_new(wrong, "a", b"x")
    assert caught.value.reason == reason
    assert sequence.is_new(len(before) + 1, "a", b"x")


@pytest.mark.parametrize(("segment_id", "content"), [("a", b"other"), ("b", b"x"), ("", b"ax")])
def test_the_last_number_with_another_message_is_a_conflict(segment_id: str, content: bytes) -> None:
    """Other audio, or the same for another segment."""
    sequence = Sequence()
    sequence.is_new(1, "a", b"x")
    with pytest.raises(AbortedError) as caught:
        sequence.is_new(1, segment_id, content)
    assert caught.value.reason == "SEQUENCE_CONFLICT"

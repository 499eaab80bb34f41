"""Who is let in, and who is told why not."""

from __future__ import annotations

import pytest

from avatar_service.errors import ResourceExhaustedError, UnavailableError
from avatar_service.gateway.doors import Doors


def test_no_more_come_in_than_there_is_room_for() -> None:
    """The next one is told when to ask again."""
    doors = Doors(2)
    doors.enter()
    doors.enter()
    with pytest.raises(ResourceExhaustedError) as refusal:
        doors.enter()
    assert refusal.value.reason == "TOO_MANY_SESSIONS"
    assert refusal.value.retry_after_s


def test_who_leaves_makes_room() -> None:
    """For one, also after others were refused."""
    doors = Doors(1)
    doors.enter()
    with pytest.raises(ResourceExhaustedError):
        doors.enter()
    doors.leave()
    doors.enter()
    with pytest.raises(ResourceExhaustedError):
        doors.enter()


def test_closed_doors_let_nobody_in() -> None:
    """However much room there is."""
    doors = Doors(2)
    doors.close()
    with pytest.raises(UnavailableError) as refusal:
        doors.enter()
    assert refusal.value.reason == "DRAINING"

"""Who is who among sessions."""

from __future__ import annotations

import pytest

from avatar_service.errors import NotFoundError
from avatar_service.session.registry import Registry


def reason(registry: Registry[str], session_id: str, now: float) -> str:
    """Return why the session is not found."""
    with pytest.raises(NotFoundError) as caught:
        registry.find(session_id, now)
    return caught.value.reason


def test_a_running_session_is_found_by_its_id() -> None:
    """And by no other."""
    registry: Registry[str] = Registry()
    registry.add("id", "session")
    assert registry.find("id", 0.0) == "session"
    for other in ("", "i", "id ", "../id", "id\0", "\N{FULLWIDTH FULL STOP}" * 10_000):
        assert reason(registry, other, 0.0) == "SESSION_UNKNOWN"


def test_an_ended_session_is_known_for_an_hour() -> None:
    """Afterwards it is as if it had never been."""
    registry: Registry[str] = Registry()
    registry.add("id", "session")
    registry.remove("id", 10.0)
    assert reason(registry, "id", 3_609.0) == "SESSION_ENDED"
    assert reason(registry, "id", 3_611.0) == "SESSION_UNKNOWN"


def test_memory_of_ended_sessions_is_bounded() -> None:
    """By number and by age."""
    registry: Registry[str] = Registry()
    for number in range(10_005):
        registry.add(str(number), "session")
        registry.remove(str(number), 0.0)
    assert repr(registry) == "<Registry 0 running, 10000 ended>"
    assert reason(registry, "4", 1.0) == "SESSION_UNKNOWN"
    assert reason(registry, "5", 1.0) == "SESSION_ENDED"
    registry.add("last", "session")
    registry.remove("last", 4_000.0)
    assert repr(registry) == "<Registry 0 running, 1 ended>"

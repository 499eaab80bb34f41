"""The time that a session was at work."""

from __future__ import annotations

from avatar_service.session.stopwatch import Stopwatch


def test_only_work_is_counted() -> None:
    """Two spans with a wait between them; the second still runs."""
    watch = Stopwatch()
    assert watch.seconds(3.0) == 0.0
    watch.note(4.0, has_work=True)
    assert watch.is_running
    watch.note(6.0, has_work=False)
    assert not watch.is_running
    watch.note(9.0, has_work=True)
    assert watch.seconds(10.0) == 3.0


def test_repetition_changes_nothing() -> None:
    """Work that is noted again goes on; so does the absence of it."""
    watch = Stopwatch()
    watch.note(1.0, has_work=False)
    watch.note(1.0, has_work=True)
    watch.note(2.0, has_work=True)
    watch.note(3.0, has_work=False)
    watch.note(5.0, has_work=False)
    assert watch.seconds(9.0) == 2.0

"""What a client was told, and what it is told again."""

from __future__ import annotations

import numpy as np
import pytest

from avatar_service.codec.base import AccessUnit
from avatar_service.errors import InvalidArgumentError, OutOfRangeError
from avatar_service.pool.messages import Rendered, SlotKey
from avatar_service.pool.snapshot import AGAIN, Row
from avatar_service.session.events import (
    EncodedFrame,
    GoAway,
    Interrupted,
    Ready,
    SegmentStarted,
    State,
    StatusReport,
)
from avatar_service.session.history import MOST_KEPT, History, Retelling

KEY = SlotKey(0, 0)
READY = Ready("id", "fake", "1", 25, (), (), 0.04, 0.1)


def row(segment: int | None, index: int) -> Row:
    """Return motion that tells its frame."""
    return Row(segment, index, 0.0, np.array([index], np.float32))


def drawn(segment: int | None, index: int) -> Rendered:
    """Return a frame as the worker gives it."""
    return Rendered(KEY, segment, index, (AccessUnit(b"old", keyframe=False),))


def show(history: History, frame: Rendered) -> EncodedFrame:
    """Send a frame that was drawn."""
    event = EncodedFrame(3600 * frame.index, 3600, "a", frame.index, frame.units)
    history.say(event)
    return event


def test_frames_come_again_in_their_place_among_events() -> None:
    """Behind ready; with the units of the new encoder; nothing before it is there."""
    history = History(live=False)
    history.move([row(0, 0), row(0, 1), row(0, 2)])
    history.draw(first := drawn(0, 0))
    history.say(SegmentStarted("a", 0))
    history.draw(second := drawn(0, 1))
    show(history, first)
    show(history, second)
    history.say(Interrupted(("a",), 0, 0))
    said = history.since(2)
    assert [one.index for one in history.resume(said, lambda _: True)] == [1, 2]

    retelling = Retelling(said)
    assert retelling.next_event(0.0) is None
    assert not retelling.complete
    retelling.open(READY)
    assert retelling.next_event(0.0) == READY
    assert retelling.next_event(0.0) is None
    new = (AccessUnit(b"new", keyframe=True),)
    retelling.draw(Rendered(KEY, AGAIN, 1, new))
    assert retelling.next_event(0.0) == EncodedFrame(3600, 3600, "a", 1, new)
    assert retelling.next_event(0.0) == Interrupted(("a",), 0, 0)
    assert retelling.complete


def test_motion_of_a_dead_segment_is_not_drawn() -> None:
    """Neither what was drawn and not sent, nor what was not drawn."""
    history = History(live=False)
    history.move([row(0, 0), row(0, 1), row(1, 0)])
    history.draw(drawn(0, 0))
    assert [(one.segment, one.index) for one in history.resume([], lambda number: number == 1)] == [(1, 0)]


def test_what_is_no_event_and_no_frame_does_not_count() -> None:
    """The client does not count it either."""
    history = History(live=False)
    for said in (READY, GoAway(1.0), StatusReport(State.PROCESSING, 0, 0.0, 0.0, 0.0)):
        history.say(said)
    assert history.since(0) == []
    with pytest.raises(InvalidArgumentError) as refused:
        history.since(1)
    assert refused.value.reason == "OUT_OF_RANGE"


def test_what_lies_too_far_back_is_not_kept() -> None:
    """Memory is bounded, and whoever lacks more is told."""
    history = History(live=True)
    for number in range(MOST_KEPT + 5):
        history.say(SegmentStarted(str(number), number))
    assert len(history.since(5)) == MOST_KEPT
    with pytest.raises(OutOfRangeError) as refused:
        history.since(4)
    assert refused.value.reason == "RESUME_TOO_LATE"


def test_live_keeps_no_motion_of_what_was_sent() -> None:
    """Its time has passed; only events are told again."""
    history = History(live=True)
    history.move([row(None, 0), row(0, 0)])
    show(history, drawn(None, 0))
    history.draw(drawn(None, 0))
    history.say(SegmentStarted("a", 0))
    said = history.since(0)
    assert [one.segment for one in history.resume(said, lambda _: True)] == [0]
    retelling = Retelling(said)
    retelling.open(READY)
    assert [retelling.next_event(0.0) for _ in range(3)] == [READY, SegmentStarted("a", 0), None]
    assert retelling.complete

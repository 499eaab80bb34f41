"""Frames that wait to be sent: their pts, what is said before them, and what a gap costs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar_service.codec.base import AccessUnit
from avatar_service.pool.messages import Rendered, SlotKey
from avatar_service.pool.snapshot import FrameKind
from avatar_service.session.delivery import Delivery
from avatar_service.session.events import EncodedFrame, Idle, SegmentStarted, Underrun
from avatar_service.session.segment import Segment

KEY = SlotKey(0, 0)


def frame(tick: int, segment: Segment | None = None, index: int = 0, *, key: bool = False, shown: bool = True) -> Any:
    """Return a frame of a segment, or an idle one."""
    units = (AccessUnit(b"x", keyframe=key),) if shown else ()
    kind = FrameKind.IDLE if segment is None else FrameKind.SPEECH
    return Rendered(KEY, None if segment is None else segment.number, index, units, kind, tick)


def segment_of(number: int = 0, frames: int = 100) -> Segment:
    """Return an open segment."""
    return Segment(number, f"s{number}", 640, 1, 0, samples=frames * 640)


def drained(delivery: Delivery, unfinished: Segment | None = None) -> list[Any]:
    """Return all that is to be sent, without its bytes: pts and kind of a frame, or what is said."""
    sent = []
    while True:
        while delivery.pass_over():
            pass
        event = delivery.next(unfinished)
        if event is None:
            return sent
        sent.append((event.pts, event.kind) if isinstance(event, EncodedFrame) else event)


def test_a_tick_is_its_time() -> None:
    """In LIVE a frame that was left out is a gap in pts."""
    delivery = Delivery(25, live=True)
    for tick in (0, 1, 5):
        delivery.put(None, frame(tick))
    assert [pts for pts, _ in drained(delivery)] == [0, 3600, 18000]


def test_idling_is_told_when_speech_is_over() -> None:
    """Once, before the first idle frame; a session that begins with idling says nothing."""
    delivery, segment = Delivery(25, live=True), segment_of()
    for number, spoken in enumerate((None, segment, None, None)):
        delivery.put(spoken, frame(number, spoken))
    assert drained(delivery) == [
        (0, FrameKind.IDLE),
        SegmentStarted("s0", 3600),
        (3600, FrameKind.SPEECH),
        Idle(7200),
        (7200, FrameKind.IDLE),
        (10800, FrameKind.IDLE),
    ]


def test_starving_is_told_once_each_time() -> None:
    """While the segment that is shown is not over, an idle frame means that its audio is late."""
    delivery, segment = Delivery(25, live=True), segment_of()
    for number, spoken in enumerate((segment, None, None, segment, None)):
        delivery.put(spoken, frame(number, spoken, number))
    said = [event for event in drained(delivery, segment) if not isinstance(event, tuple)]
    assert said == [SegmentStarted("s0", 0), Underrun("s0", 3600), Underrun("s0", 14400)]


def test_a_segment_that_has_not_begun_does_not_starve() -> None:
    """Its first frames are being waited for, and nothing is late."""
    delivery, segment = Delivery(25, live=True), segment_of()
    delivery.put(None, frame(0))
    assert drained(delivery, segment) == [(0, FrameKind.IDLE)]


def test_what_was_left_out_counts_as_shown() -> None:
    """The segment goes on behind it, and nothing is sent for it."""
    delivery, segment = Delivery(25, live=True), segment_of()
    for index in range(4):
        delivery.put(segment, frame(index, segment, index, shown=index in {0, 3}, key=index == 3))
    assert [event for event in drained(delivery, segment) if isinstance(event, tuple)] == [
        (0, FrameKind.SPEECH),
        (10800, FrameKind.SPEECH),
    ]
    assert (segment.sent, segment.passed, segment.played) == (2, 4, 4 * 640)


def test_behind_a_cut_nothing_is_sent_but_a_keyframe() -> None:
    """What leans on a dropped frame is dropped too, wherever it was at that moment; speech among it passes."""
    delivery, dead, living = Delivery(25, live=True), segment_of(0), segment_of(1)
    delivery.put(dead, frame(0, dead, 0, key=True))
    delivery.put(None, frame(1))
    assert delivery.cut([0]) == 2
    assert not delivery.put(None, frame(2))
    assert not delivery.put(living, frame(3, living, 0))
    assert delivery.put(living, frame(4, living, 1, key=True))
    assert delivery.put(living, frame(5, living, 2))
    assert drained(delivery, living) == [
        SegmentStarted("s1", 14400),
        (14400, FrameKind.SPEECH),
        (18000, FrameKind.SPEECH),
    ]
    assert living.passed == 3


def test_a_dead_frame_on_its_way_is_a_gap_too() -> None:
    """It is refused, and what follows must be a keyframe; one that was left out anyway needs no acknowledgement."""
    delivery, dead = Delivery(25, live=True), segment_of(0)
    assert delivery.refuse(frame(0, dead, shown=False))
    assert delivery.put(None, frame(1))
    assert not delivery.refuse(frame(2, dead))
    assert not delivery.put(None, frame(3))
    assert delivery.put(None, frame(4, key=True))


@pytest.mark.parametrize("live", [True, False])
def test_a_keyframe_behind_the_cut_ends_the_gap(*, live: bool) -> None:
    """What was encoded from there on is sent; on audio every segment begins with one, so nothing else is dropped."""
    delivery, dead, living = Delivery(25, live=live), segment_of(0), segment_of(1)
    delivery.put(dead, frame(0, dead))
    delivery.put(living, frame(1, living, 0, key=True))
    delivery.put(living, frame(2, living, 1))
    assert delivery.cut([0]) == 1
    assert len(delivery) == 2


@given(
    frames=st.lists(st.tuples(st.sampled_from([None, 0, 1]), st.booleans(), st.booleans()), max_size=40),
    cut=st.integers(0, 40),
    delay=st.integers(0, 3),
)
def test_a_decoder_never_lacks_a_frame(frames: list[tuple[int | None, bool, bool]], cut: int, delay: int) -> None:
    """Wherever segment 0 is cut: each frame that is sent is a keyframe, or leans on the one sent before it.

    The worker hears of the cut some frames later. As with a real one, the frame behind a cut, and behind one that was
    left out, is a keyframe, and the first one is.
    """
    delivery, segments = Delivery(25, live=True), {0: segment_of(0), 1: segment_of(1)}
    leans_on: dict[int, int | None] = {}
    sent: list[int] = []
    last, owes = None, True
    for tick, (number, shown, key) in enumerate(frames):
        if tick == cut:
            delivery.cut([0])
        owes = owes or tick == cut + delay
        spoken = 1 if number == 0 and tick >= cut + delay else number
        segment = None if spoken is None else segments[spoken]
        made = frame(tick, segment, tick, key=key or owes, shown=shown)
        owes = not shown
        if shown:
            leans_on[tick], last = (None if made.units[0].keyframe else last), tick
        if spoken == 0 and tick >= cut:
            delivery.refuse(made)
        elif spoken is not None or shown:
            delivery.put(segment, made)
        if tick % 3 == 0:
            sent += [event[0] // 3600 for event in drained(delivery) if isinstance(event, tuple)]
    for before, tick in zip([None, *sent], sent, strict=False):
        assert leans_on[tick] in {None, before}

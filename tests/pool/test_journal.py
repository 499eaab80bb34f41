"""What a slot was told, and what another one has to be told again."""

from __future__ import annotations

from avatar_service.engine.base import Controls
from avatar_service.engine.fake import FakeEngine
from avatar_service.pcm import PCM_BYTES
from avatar_service.pool.journal import MOST_ENTRIES, Journal
from avatar_service.pool.messages import Acknowledge, AvatarKey, Close, Control, Cut, End, Feed, SlotKey, Switch
from avatar_service.pool.snapshot import SegmentMark, Snapshot

KEY, OTHER = SlotKey(0, 0), SlotKey(1, 5)
SPEC = FakeEngine().spec
"""Of a context of 640 samples."""


def feed(segment: int, frames: int) -> Feed:
    """Return frames of a segment's audio, each sample of which is its number."""
    return Feed(KEY, segment, bytes(range(frames % 256)) * 640 * PCM_BYTES, 0.0)


def alive(_: int) -> bool:
    """Say that all segments are wanted."""
    return True


def test_without_a_snapshot_everything_is_told_again() -> None:
    """In order, to the other slot; acknowledgements and the end of the slot are not its business."""
    journal = Journal(SPEC)
    told = [feed(0, 2), Control(KEY, Controls(head_motion=0.5)), End(KEY, 0, 0.0), Cut(KEY, frozenset({0}))]
    for command in (*told, Acknowledge(KEY, 3), Close(KEY)):
        journal.tell(command)
    assert journal.resumption([], alive, 9.0) is None
    assert [type(command) for command in journal.rest(OTHER)] == [Feed, Control, End, Cut]
    assert {command.key for command in journal.rest(OTHER)} == {OTHER}


def test_a_snapshot_replaces_what_it_knows_of() -> None:
    """Of audio there stays what the next hop looks at: its context and what lies behind it."""
    journal = Journal(SPEC)
    for command in (feed(0, 4), feed(0, 2), Control(KEY, keyframe=True), feed(0, 3), End(KEY, 0, 0.0)):
        journal.tell(command)
    journal.move(Snapshot(b"state", told=3, segments=(SegmentMark(0, 6 * 640, 5, ended=False),)))
    assert [type(command) for command in journal.rest(OTHER)] == [Feed, End]
    resumption = journal.resumption([], alive, 9.0)
    assert resumption is not None
    assert resumption.audio[0].start == 4 * 640
    assert resumption.audio[0].pcm == feed(0, 2).pcm
    assert journal.nbytes == 5 * 640 * PCM_BYTES + len(b"state")


def test_what_was_heard_is_forgotten() -> None:
    """Over hours the journal stays small."""
    journal = Journal(SPEC)
    for number in range(10_000):
        journal.tell(feed(number // 100, 1))
        made = number % 100
        mark = SegmentMark(number // 100, (made + 1) * 640, made, ended=False)
        journal.move(Snapshot(b"", told=number + 1, segments=(mark,)))
        assert journal.nbytes <= 3 * 640 * PCM_BYTES
    assert journal.rest(OTHER) == []


def test_segments_of_which_nothing_is_wanted_are_named() -> None:
    """Their cut may be on its way to the lost slot."""
    journal = Journal(SPEC)
    journal.tell(feed(0, 1))
    journal.tell(feed(1, 1))
    marks = SegmentMark(0, 640, 0, ended=True), SegmentMark(1, 640, 0, ended=False)
    journal.move(Snapshot(b"", told=2, segments=marks))
    resumption = journal.resumption([], lambda number: number == 1, 0.0)
    assert resumption is not None
    assert resumption.dead == {0}


def test_a_flood_without_a_snapshot_is_not_kept() -> None:
    """The session then cannot be resumed, and costs nothing more."""
    journal = Journal(SPEC)
    for _ in range(MOST_ENTRIES):
        journal.tell(Control(KEY, keyframe=True))
    assert not journal.is_lost
    for _ in range(10):
        journal.tell(Control(KEY, keyframe=True))
    assert journal.is_lost
    assert "0 kept" in repr(journal)


def test_it_knows_which_avatars_another_slot_may_have_to_show() -> None:
    """The one that the snapshot names, and those that were asked for since."""
    journal = Journal(SPEC)
    assert (journal.shown, journal.avatars) == (None, set())
    for name in ("a", "b"):
        journal.tell(Switch(KEY, AvatarKey(name)))
    assert (journal.shown, journal.avatars) == (None, {"a", "b"})
    journal.move(Snapshot(b"", told=1, segments=(), avatar_id="a"))
    assert (journal.shown, journal.avatars) == ("a", {"a", "b"})
    journal.move(Snapshot(b"", told=2, segments=(), avatar_id="b"))
    assert (journal.shown, journal.avatars) == ("b", {"b"})

"""Which session a token is for, and for how long."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from avatar_service.audio import AudioEncoding, AudioFormat
from avatar_service.engine.base import PrepareOptions
from avatar_service.engine.fake import FakeEngine
from avatar_service.errors import AbortedError, PermissionDeniedError
from avatar_service.pool.avatars import KeptAvatar
from avatar_service.pool.messages import Command, Moved, SlotKey, Work
from avatar_service.pool.pool import Lease
from avatar_service.pool.seat import Sink
from avatar_service.pool.snapshot import Snapshot
from avatar_service.session import records as bounds
from avatar_service.session.events import Control, Init
from avatar_service.session.record import LastingRecord
from avatar_service.session.records import MOST_KEPT, Records
from avatar_service.session.session import Session

SPEC = FakeEngine().spec


def record(**fields: Any) -> LastingRecord:
    """Return what is kept of a session."""
    init = Init(**{"portrait": b"", "audio": AudioFormat(AudioEncoding.LINEAR16, 16_000), "resumable": True, **fields})
    return LastingRecord(init, Session(SPEC, 0.0), SPEC)


def kept(avatar_id: str) -> KeptAvatar:
    """Return an avatar whose picture has 1000 bytes."""
    return KeptAvatar(avatar_id, "", bytes(1_000), PrepareOptions(), (64, 64), (), 0, datetime.now(UTC))


def test_a_session_holds_the_pictures_that_another_slot_may_have_to_show() -> None:
    """Those that were asked for, each once, until the slot says which it shows; and their bytes count."""
    session, told = record(), list[Command]()
    session.session.init(session.init)
    sinks: list[Sink] = []
    lease = Lease(SlotKey(0, 0), told.append, lambda _key, sink: sinks.append(sink), lambda _key: None, kept)
    heard = session.listener(lease)
    session.open(lease, Work(b""), lambda _result: None, 0.0)
    empty = session.nbytes
    for name in ("a", "b", "b"):
        heard.apply(Control(avatar_id=name), 0.0)
    assert session.nbytes == empty + 2_000
    shows = Snapshot(b"", told=len(told), segments=(), avatar_id="b")
    sinks[0](Moved(SlotKey(0, 0), (), shows))
    heard.apply(Control(avatar_id="c"), 0.0)
    assert session.nbytes == empty + 2_000
    session.resume(0, lambda: None)
    assert (session.init.avatar_id, len(session.init.portrait)) == ("b", 1_000)


def test_a_session_is_kept_for_its_time_and_no_longer() -> None:
    """Then its token is like one that never was."""
    records, session = Records(30.0), record()
    records.renew(session)
    records.keep(session, 100.0)
    assert records.find(session.token, 129.9) is session
    with pytest.raises(PermissionDeniedError) as refused:
        records.find(session.token, 130.0)
    assert refused.value.reason == "RESUME_TOKEN"
    assert len(records) == 0


def test_a_session_with_a_call_does_not_expire() -> None:
    """Its time begins when the call ends."""
    records, session = Records(30.0), record()
    records.renew(session)
    assert records.find(session.token, 10_000.0) is session
    records.keep(session, 10_000.0)
    records.renew(session, session.token)
    assert records.find(session.token, 20_000.0) is session
    assert len(records) == 0


def test_a_token_is_new_each_time_and_cannot_be_guessed() -> None:
    """24 random bytes."""
    records = Records(30.0)
    sessions = [record() for _ in range(100)]
    for session in sessions:
        records.renew(session)
    tokens = {session.token for session in sessions}
    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {32}


def test_the_former_token_ends_with_the_first_word_behind_the_new_one() -> None:
    """Then it was used, which is said as long as it is remembered."""
    records, session = Records(30.0), record()
    records.renew(session)
    old = session.token
    records.renew(session, old)
    assert records.find(old, 0.0) is records.find(session.token, 0.0)
    records.confirm(session)
    with pytest.raises(AbortedError) as refused:
        records.find(old, 0.0)
    assert refused.value.reason == "RESUME_TOKEN_USED"
    assert records.find(session.token, 0.0) is session


def test_a_token_works_however_many_answers_to_it_were_lost() -> None:
    """The client knows no other; those that it never got end with the next call."""
    records, session = Records(30.0), record()
    records.renew(session)
    known, lost = session.token, []
    for _ in range(4):
        assert records.find(known, 0.0) is session
        records.renew(session, known)
        lost.append(session.token)
    for token in lost[:-1]:
        with pytest.raises(AbortedError):
            records.find(token, 0.0)
    assert records.find(lost[-1], 0.0) is session


def test_a_dropped_session_leaves_no_token() -> None:
    """Neither the new nor the former one."""
    records, session = Records(30.0), record()
    records.renew(session)
    old = session.token
    records.renew(session, old)
    records.drop(session)
    for token in (old, session.token):
        with pytest.raises(PermissionDeniedError):
            records.find(token, 0.0)


def test_so_many_sessions_are_kept_and_the_oldest_goes_first() -> None:
    """Whoever breaks off calls cannot fill the memory."""
    records = Records(30.0)
    sessions = [record() for _ in range(MOST_KEPT + 2)]
    for session in sessions:
        records.renew(session)
        records.keep(session, 0.0)
    assert len(records) == MOST_KEPT
    for session in sessions[:2]:
        with pytest.raises(PermissionDeniedError):
            records.find(session.token, 0.0)
    assert records.find(sessions[2].token, 0.0) is sessions[2]


def test_what_is_kept_is_bounded_in_bytes() -> None:
    """Portraits are the largest of it."""
    records = Records(30.0)
    size = 10 * 1024 * 1024
    for _ in range(MOST_KEPT):
        session = record(portrait=bytes(size))
        records.renew(session)
        records.keep(session, 0.0)
    assert len(records) == bounds.MOST_BYTES // size

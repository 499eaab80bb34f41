"""Which session a token is for, and for how long."""

from __future__ import annotations

from typing import Any

import pytest

from avatar_service.audio import AudioEncoding, AudioFormat
from avatar_service.engine.fake import FakeEngine
from avatar_service.errors import AbortedError, PermissionDeniedError
from avatar_service.session import records as bounds
from avatar_service.session.events import Init
from avatar_service.session.record import LastingRecord
from avatar_service.session.records import MOST_KEPT, Records
from avatar_service.session.session import Session

SPEC = FakeEngine().spec


def record(**fields: Any) -> LastingRecord:
    """Return what is kept of a session."""
    init = Init(**{"portrait": b"", "audio": AudioFormat(AudioEncoding.LINEAR16, 16_000), "resumable": True, **fields})
    return LastingRecord(init, Session(SPEC, 0.0), SPEC)


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

"""Owns the passing of sessions from call to call: a new call takes over, one that ended leaves its session behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from avatar_service.errors import CancelledError, UnavailableError
from avatar_service.pool.pool import Lease, Pool
from avatar_service.session.events import Init, Resume
from avatar_service.session.record import LastingRecord, Owner, Record
from avatar_service.session.records import Records
from avatar_service.session.session import Session

_A_LITTLE_S: Final = 0.1


class Succession:
    """Who serves which session, of one server.

    Args:
        pool: where frames are made.
        keep_s: how long a resumable session is kept without a call.
    """

    def __init__(self, pool: Pool, keep_s: float) -> None:
        self._pool = pool
        self._records = Records(keep_s)

    def __repr__(self) -> str:
        return f"<Succession {self._records!r}>"

    def check_room(self) -> None:
        """Raise if no call could be served, whatever it says first: its words need not be looked at.

        Raises:
            AvatarError: as ``Pool.check_room``; nothing while a call could take over the slot of another.
        """
        if not self._records.has_running:
            self._pool.check_room()

    async def begin(self, first: Init | Resume, session: Session, owner: Owner) -> tuple[Record, Lease]:
        """Return the session that a call is about and a slot for it.

        Args:
            first: what the client says first.
            session: a new one, which is used unless the client goes on with another.
            owner: the call.

        Raises:
            AvatarError: as ``Records.find``, ``History.since`` and ``Pool.admit``; what was kept still is.
        """
        if isinstance(first, Init):
            lease = self._pool.admit(degradable=first.degradable)
            if not first.resumable:
                return Record(first, session), lease
            record, shown = LastingRecord(first, session, self._pool.spec), ""
        else:
            record, shown = await self._released(first), first.token
            lease = self._pool.admit(degradable=record.init.degradable)
            record.resume(first.received, partial(self._records.confirm, record))
        record.owner = owner
        self._records.renew(record, shown)
        return record, lease

    @contextmanager
    def leaving(self, record: Record) -> Iterator[None]:
        """Serve the session within this context; behind it the session is kept, or over."""
        may_go_on = True
        try:
            yield
        except BaseException as error:
            may_go_on = _may_go_on(error)
            raise
        finally:
            record.session.discard()
            if isinstance(record, LastingRecord):
                self._leave(record, may_go_on=may_go_on and record.session.announced)

    async def _released(self, resume: Resume) -> LastingRecord:
        """Return the session to go on with, once the call that may still serve it has let go of it."""
        while True:
            record = self._records.find(resume.token, time.monotonic())
            record.check(resume.received)
            if record.owner is None:
                return record
            await record.owner.give_up()

    def _leave(self, record: LastingRecord, *, may_go_on: bool) -> None:
        record.owner = None
        if not may_go_on:
            self._records.drop(record)
            return
        self._records.keep(record, time.monotonic())
        later = self._records.keep_s + _A_LITTLE_S
        asyncio.get_running_loop().call_later(later, lambda: self._records.forget(time.monotonic()))


def _may_go_on(error: BaseException) -> bool:
    """Say whether it was the connection, the client or the engine that was lost, and not the session that failed."""
    if isinstance(error, BaseExceptionGroup):
        return all(_may_go_on(inner) for inner in error.exceptions)
    return isinstance(error, CancelledError | UnavailableError | asyncio.CancelledError)

"""Owns the resumable sessions of a server: their tokens, and for how long each is kept. Pure: time is an argument.

A token is all the permission there is: 192 random bits, which a client gets with ``Ready`` and a resume makes
worthless. The one that it showed still works while it has said nothing since, for it may not have got the new one.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from typing import Final

from avatar_service.errors import AbortedError, PermissionDeniedError
from avatar_service.session.record import LastingRecord

_TOKEN_BYTES: Final = 24
MOST_KEPT: Final = 64
MOST_BYTES: Final = 128 * 1024 * 1024
"""What sessions without a call may hold together; beyond it those that lost theirs first are dropped."""
_MOST_USED: Final = 4096
"""Tokens that are remembered only to say that they were used."""


class Records:
    """The resumable sessions.

    Args:
        keep_s: how long one is kept without a call.
    """

    def __init__(self, keep_s: float) -> None:
        self.keep_s: Final = keep_s
        self._by_token: dict[str, LastingRecord] = {}
        self._kept: OrderedDict[LastingRecord, tuple[float, int]] = OrderedDict()
        self._used: OrderedDict[str, None] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Records, {len(self._kept)} kept>"

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def has_running(self) -> bool:
        """Whether any of them has a call."""
        return any(record not in self._kept for record in self._by_token.values())

    def renew(self, record: LastingRecord, shown: str = "") -> None:
        """Give the session a new token, for a call that begins.

        Args:
            record: of the session.
            shown: the token with which the call goes on, which works until ``confirm``; none for the first call.
        """
        self._kept.pop(record, None)
        for token in {record.token, record.former} - {shown}:
            self._use(token)
        record.token, record.former = secrets.token_urlsafe(_TOKEN_BYTES), shown
        self._by_token[record.token] = record

    def confirm(self, record: LastingRecord) -> None:
        """The client knows its new token."""
        self._use(record.former)
        record.former = ""

    def find(self, token: str, now: float) -> LastingRecord:
        """Return the session of a token.

        Raises:
            AbortedError: ``RESUME_TOKEN_USED`` if another call went on with it already.
            PermissionDeniedError: ``RESUME_TOKEN`` if there is none, or none any more: which, is nobody's business.
        """
        self.forget(now)
        record = self._by_token.get(token)
        if record is not None:
            return record
        if token in self._used:
            msg = "this token was used; the session went on in another call, whose ready gave a new one"
            raise AbortedError("RESUME_TOKEN_USED", msg)
        raise PermissionDeniedError("RESUME_TOKEN", "there is no session to resume with this token; open a new one")

    def keep(self, record: LastingRecord, now: float) -> None:
        """The session has no call any more; another may come for a while."""
        self._kept[record] = now + self.keep_s, record.nbytes
        held = sum(nbytes for _, nbytes in self._kept.values())
        while self._kept and (len(self._kept) > MOST_KEPT or held > MOST_BYTES):
            oldest, (_, nbytes) = next(iter(self._kept.items()))
            held -= nbytes
            self.drop(oldest)

    def drop(self, record: LastingRecord) -> None:
        """The session is over for good."""
        self._kept.pop(record, None)
        for token in (record.token, record.former):
            self._by_token.pop(token, None)

    def forget(self, now: float) -> None:
        """Drop the sessions for which no call came in time."""
        while self._kept:
            oldest, (until, _) = next(iter(self._kept.items()))
            if until > now:
                return
            self.drop(oldest)

    def _use(self, token: str) -> None:
        if self._by_token.pop(token, None) is not None:
            self._used[token] = None
            while len(self._used) > _MOST_USED:
                self._used.popitem(last=False)

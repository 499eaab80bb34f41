"""Owns what belongs to a session and not to one of its calls. Never waits.

An ordinary session has one call, and its record is dropped with it. That of a resumable one notes what both sides and
the slot were told, so that another call and another slot can go on where they were lost.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeAlias

from avatar_service.engine.base import EngineSpec
from avatar_service.errors import OutOfRangeError
from avatar_service.pool.avatars import KeptAvatar
from avatar_service.pool.journal import Journal
from avatar_service.pool.messages import Command, Moved, Rendered, Result, SkipReason, Switch, Work
from avatar_service.pool.pool import Lease
from avatar_service.pool.seat import Sink
from avatar_service.pool.snapshot import AGAIN
from avatar_service.session.events import ClientEvent, Degraded, Init, Ready, Recovered, ServerEvent, StatusReport
from avatar_service.session.history import History, Retelling, Said
from avatar_service.session.listener import Listener
from avatar_service.session.session import Session

Send: TypeAlias = Callable[[ServerEvent], Awaitable[None]]


class Owner(Protocol):
    """The call that a session is served by."""

    async def give_up(self) -> None:
        """Let go of the session at once; return when that is done."""


class Record:
    """A session of one call.

    Args:
        init: how it was opened.
        session: what of it is told to the client.

    Attributes:
        retelling: what this call tells before anything new.
    """

    def __init__(self, init: Init, session: Session) -> None:
        self.init = init
        self.session = session
        self.retelling = Retelling()
        self._halved = False

    def halve(self, *, halved: bool) -> None:
        """The slot leaves out every second tick, or no more; the client is told unless an earlier slot did the same."""
        if halved is not self._halved:
            self._halved = halved
            said = Degraded if halved else Recovered
            self.session.tell(said(SkipReason.HALF_RATE))

    def listener(self, lease: Lease) -> Listener:
        """Return what takes the client's words."""
        return Listener(self.session, self.init.audio, lease)

    def open(self, lease: Lease, work: Work, sink: Sink, now: float) -> None:  # noqa: ARG002 - a resumed one needs it
        """Open the slot."""
        lease.open(work, sink)

    def hearing(self, events: AsyncIterator[ClientEvent]) -> AsyncIterator[ClientEvent]:
        """Return the client's words as they are to be listened to."""
        return events

    def saying(self, send: Send) -> Send:
        """Return how the client is told what is new."""
        return send

    def ready(self, ready: Ready) -> Ready:
        """Return what is said of the session, complete."""
        return ready


class LastingRecord(Record):
    """A session that other calls may go on with.

    Args:
        init: how it was opened.
        session: what of it is told to the client.
        spec: of the engine.

    Attributes:
        token: what the client must show; rotated with each call.
        former: the one that it showed, for as long as it may not know the new one.
        owner: the call that serves it, if one does.
    """

    def __init__(self, init: Init, session: Session, spec: EngineSpec) -> None:
        super().__init__(init, session)
        self.token = ""
        self.former = ""
        self.owner: Owner | None = None
        self._journal = Journal(spec.under(init.parameters.preset))
        self._history = History(live=init.live)
        self._received = 0
        self._listener: Listener | None = None
        self._avatars: dict[str, KeptAvatar] = {}
        self._again: list[Said] = []
        self._on_word: Callable[[], None] = _nothing

    @property
    def nbytes(self) -> int:
        """Memory that it holds, in bytes, small things apart."""
        portraits = len(self.init.portrait) + sum(len(kept.portrait) for kept in self._avatars.values())
        return portraits + self._journal.nbytes + self._history.nbytes

    def check(self, received: int) -> None:
        """Check that what a client lacks is still known.

        Raises:
            AvatarError: as ``History.since``.
        """
        self._history.since(received)
        if self._journal.is_lost:
            msg = "the session was told more than is kept while its engine made nothing; open a new one"
            raise OutOfRangeError("RESUME_TOO_LATE", msg)

    def resume(self, received: int, on_word: Callable[[], None]) -> None:
        """Another call begins, with the avatar that was shown last.

        Args:
            received: frames and events that the client has.
            on_word: called with the first word of the client, which then knows the new token.
        """
        kept = self._avatars.get(self._journal.shown or "")
        if kept is not None:
            self.init = replace(self.init, avatar_id=kept.id, portrait=kept.portrait, options=kept.options)
        self._again = self._history.since(received)
        self.retelling = Retelling(self._again)
        self._on_word = on_word

    def listener(self, lease: Lease) -> Listener:
        """Return what takes the client's words: the same one in all calls."""
        lease = lease.noted(partial(self._note, lease.find))
        if self._listener is None:
            self._listener = super().listener(lease)
        else:
            self._listener.follow(lease)
        return self._listener

    def open(self, lease: Lease, work: Work, sink: Sink, now: float) -> None:
        """Open the slot, or go on in it with what the last one had not said."""
        rows = self._history.resume(self._again, self.session.is_unfinished)
        resumption = self._journal.resumption(rows, self.session.is_unfinished, now)
        lease.open(replace(work, resumable=True), lambda result: self._take(result, sink), resumption)
        lease.tell(self._journal.rest(lease.key))

    def _note(self, find: Callable[[str], KeptAvatar], command: Command) -> None:
        """Note what the slot is told; an avatar that it is to show may be deleted before another slot needs it."""
        self._journal.tell(command)
        if isinstance(command, Switch):
            known = {**self._avatars, command.avatar.avatar_id: find(command.avatar.avatar_id)}
            self._avatars = {name: known[name] for name in self._journal.avatars & known.keys()}

    def _take(self, result: Result, sink: Sink) -> None:
        """Note what the slot says; motion is nobody else's business."""
        match result:
            case Moved(_, rows, snapshot):
                self._history.move(rows)
                self._journal.move(snapshot)
                return
            case Rendered(segment=segment) if segment == AGAIN:
                self.retelling.draw(result)
            case Rendered():
                self._history.draw(result)
        sink(result)

    async def hearing(self, events: AsyncIterator[ClientEvent]) -> AsyncIterator[ClientEvent]:
        """Yield the client's words, counted: one that is yielded is listened to before anything else happens."""
        async for event in events:
            self._on_word()
            self._on_word = _nothing
            self._received += 1
            yield event

    def saying(self, send: Send) -> Send:
        """Return how the client is told what is new: noted first, for it may arrive though sending fails."""

        async def say(event: ServerEvent) -> None:
            self._history.say(event)
            await send(self._complete(event))

        return say

    def ready(self, ready: Ready) -> Ready:
        """Return what is said of the session, complete."""
        return replace(ready, resume_token=self.token, received=self._received)

    def _complete(self, event: ServerEvent) -> ServerEvent:
        return replace(event, received=self._received) if isinstance(event, StatusReport) else event


def _nothing() -> None:
    pass

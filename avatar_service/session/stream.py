"""Owns the async shell of a session: one task reads, one writes, one ticks. It decides nothing itself.

Reading stops while too much audio is buffered, so that flow control holds the client back; rendering stops while the
client does not read, because frames are acknowledged to the worker only once they are sent.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Final

from avatar_service import media
from avatar_service.config import Settings
from avatar_service.errors import (
    AbortedError,
    AvatarError,
    CancelledError,
    DeadlineExceededError,
)
from avatar_service.picture import check_size
from avatar_service.pool.messages import Degraded, Failed, Halved, Opened, Rendered, Result, Unswitched
from avatar_service.pool.pool import Lease, Pool, draining
from avatar_service.pool.snapshot import AGAIN
from avatar_service.session import events as said
from avatar_service.session.deadlines import Deadlines
from avatar_service.session.events import (
    ClientEvent,
    EncodedFrame,
    Init,
    Resume,
    ServerEvent,
    State,
    StatusReport,
)
from avatar_service.session.history import Retelling
from avatar_service.session.listener import Listener
from avatar_service.session.machine import Lifecycle
from avatar_service.session.opening import check_engine, checked, ready_of, warnings_of, with_portrait, work_of
from avatar_service.session.record import Record, Send
from avatar_service.session.session import Session
from avatar_service.session.succession import Succession

_TICK_S: Final = 0.25
_STATUS_EVERY_S: Final = 1.0
_LAST_WORD_S: Final = 1.0
_ID_BYTES: Final = 24
_LARGE_FRAME_BYTES: Final = 64 * 1024
"""Frames beyond this are acknowledged one by one, because few of them fill the worker's window."""
_MOST_AT_ONCE: Final = 8
"""Smaller frames are acknowledged by so many at the most, which is well below that window in bytes, too."""


class SessionStream:
    """One call, from its first message to its last.

    Args:
        pool: where frames are made.
        settings: the session's bounds.
        succession: passes resumable sessions from call to call.
    """

    def __init__(self, pool: Pool, settings: Settings, succession: Succession) -> None:
        self._pool = pool
        self._settings = settings
        self._succession = succession
        self.id: Final = secrets.token_urlsafe(_ID_BYTES)
        self._session = Session(pool.spec, time.monotonic())
        self._retelling = Retelling()
        self._deadlines = Deadlines(settings, time.monotonic())
        self._failure: AvatarError | None = None
        self._last_status: StatusReport | None = None
        self._unacknowledged = 0
        self._most_at_once = min(_MOST_AT_ONCE, settings.window_frames // 4)
        self._ticked = False
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._fence = asyncio.timeout(None)
        self._over = asyncio.Event()

    def __repr__(self) -> str:
        return f"<SessionStream {self.id[:8]} {self._session!r}>"

    def status(self) -> StatusReport:
        """Return how the session stands."""
        return self._session.status(time.monotonic())

    def end(self) -> None:
        """End the session from outside: its call fails with ``SESSION_ENDED`` as soon as its writer is free."""
        self._failure = self._failure or AbortedError("SESSION_ENDED", "the session was ended by EndSession")
        self._wake.set()

    def go_away(self, time_left_s: float) -> None:
        """Say that the server is about to end."""
        self._session.tell(said.GoAway(time_left_s))
        self._wake.set()

    def dismiss(self) -> None:
        """Have a call that asked for nothing yet fail with ``DRAINING``; others are left alone."""
        if self._session.lifecycle is Lifecycle.NEW:
            self._failure = draining()
            self._leave()

    async def run(self, events: AsyncIterator[ClientEvent], send: Send) -> None:
        """Serve the call until its last frame is sent.

        Args:
            events: what the client says; its end before ``EndOfAudio`` is an abort.
            send: returns once the transport has taken the event.

        Raises:
            AvatarError: whatever ends the session early; perhaps within an ``ExceptionGroup``.
        """
        try:
            async with self._fence:
                first = await self._first(events)
                record, lease = await self._succession.begin(first, self._session, self)
                with self._succession.leaving(record):
                    await self._serve(events, send, record, lease)
        except TimeoutError:
            if not self._fence.expired():
                raise
            raise self._failure or AbortedError("SESSION_RESUMED", "the session goes on in another call") from None
        finally:
            self._over.set()

    async def give_up(self) -> None:
        """Let another call have the session, at once: what still has this one is a client that is gone."""
        self._leave()
        await self._over.wait()

    def _leave(self) -> None:
        if not self._fence.expired():
            self._fence.reschedule(0.0)

    async def _serve(self, events: AsyncIterator[ClientEvent], send: Send, record: Record, lease: Lease) -> None:
        self._session, self._retelling = record.session, record.retelling
        try:
            listener, work = record.listener(lease), work_of(record.init, self._settings)
            record.open(lease, work, lambda result: self._take(result, lease, record), time.monotonic())
            async with asyncio.TaskGroup() as tasks:
                reading = self._read(record.hearing(events), listener, record.init)
                others = [tasks.create_task(reading), tasks.create_task(self._tick())]
                await self._write(send, lease, record.retelling)
                await self._write(record.saying(send), lease, record.session)
                await self._send(record.saying(send), self._session.status(time.monotonic()))
                for other in others:
                    other.cancel()
        except ExceptionGroup as group:
            if _can_be_told(group):
                await self._say_error(send)
            raise
        finally:
            lease.close()
            # A traceback holds the frames of these methods, and they hold it: cut the circle, or the pictures in it
            # stay until the garbage collector happens to come by.
            self._failure = None

    async def _first(self, events: AsyncIterator[ClientEvent]) -> Init | Resume:
        """Return the first message, checked as far as that costs nothing."""
        limit_s = self._settings.init_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                init = await anext(events, None)
        except TimeoutError:
            msg = f"no init came within {limit_s:g} s of opening the stream"
            raise DeadlineExceededError("INIT_TIMEOUT", msg) from None
        if init is None:
            raise CancelledError("NO_INIT", "the stream was closed before init")
        if isinstance(init, Resume):
            return init
        init = checked(init, self._session)
        check_engine(init.engine, self._pool.spec)
        init = with_portrait(init, self._pool.avatars.find)
        check_size(init.portrait)
        self._session.init(init)
        return init

    # Reading ---------------------------------------------------------------------------------------------------

    async def _read(self, events: AsyncIterator[ClientEvent], listener: Listener, init: Init) -> None:
        """Read to the end. A failure is left to the writer, which must not be cancelled within a write."""
        try:
            await self._listen(events, listener, self._settings.buffered_s(live=init.live))
        except AvatarError as error:
            self._failure = self._failure or error
            self._wake.set()

    async def _listen(self, events: AsyncIterator[ClientEvent], listener: Listener, most_s: float) -> None:
        # A hop as long as the bound must still come together with its look-ahead.
        most = max(round(most_s * media.SAMPLE_RATE_HZ), self._session.step_samples)
        async for event in events:
            if self._session.lifecycle is Lifecycle.CLOSED:
                return
            now = time.monotonic()
            self._deadlines.active(now)
            listener.apply(event, now)
            if self._session.has_news:
                self._wake.set()
            while self._session.is_full(most):
                self._room.clear()
                await self._room.wait()
        if self._session.lifecycle not in {Lifecycle.ENDING, Lifecycle.CLOSED}:
            msg = "the stream was closed without end_of_audio, so the session is aborted"
            raise CancelledError("NO_END_OF_AUDIO", msg)

    # Writing ---------------------------------------------------------------------------------------------------

    def _take(self, result: Result, lease: Lease, record: Record) -> None:
        """Take a result of the worker; called on the event loop."""
        match result:
            case Opened():
                ready = record.ready(ready_of(self.id, self._pool.spec, record.init, result))
                if record.retelling.announced:
                    self._session.ready(ready, warnings_of(result))
                else:
                    record.retelling.open(ready)
            case Rendered():
                if result.segment != AGAIN and not self._session.rendered(result):
                    lease.acknowledge(1)
            case Degraded(_, reason):
                self._session.tell(said.Degraded(reason))
            case Halved(_, halved):
                record.halve(halved=halved)
            case Unswitched(_, error):
                self._session.tell(said.Warned(error.reason, error.message))
            case Failed(_, error):
                self._failure = error
        self._wake.set()

    async def _write(self, send: Send, lease: Lease, source: Session | Retelling) -> None:
        while not source.complete:
            if self._failure is not None and not self._session.owes_ready:
                raise self._failure
            now = time.monotonic()
            event = self._at_tick(now) or source.next_event(now)
            if event is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._send(send, event)
            if isinstance(event, EncodedFrame):
                self._acknowledge(event, lease)

    def _acknowledge(self, frame: EncodedFrame, lease: Lease) -> None:
        """Note that a frame was sent; the worker is told every few frames, well before its window is used up."""
        self._deadlines.active(time.monotonic())
        self._unacknowledged += 1
        is_large = sum([len(unit.content) for unit in frame.units]) > _LARGE_FRAME_BYTES
        if is_large or self._unacknowledged >= self._most_at_once:
            lease.acknowledge(self._unacknowledged)
            self._unacknowledged = 0

    async def _tick(self) -> None:
        """Wake the writer now and then for what only time brings about."""
        while True:
            await asyncio.sleep(min(_TICK_S, self._settings.slow_reader_timeout_s))
            self._deadlines.check_reader(time.monotonic())
            self._ticked = True
            self._wake.set()

    def _at_tick(self, now: float) -> StatusReport | None:
        if not self._ticked:
            return None
        self._ticked = False
        self._deadlines.check(self._session, now)
        return self._due_status(now)

    async def _send(self, send: Send, event: ServerEvent) -> None:
        self._deadlines.sending(time.monotonic())
        await send(event)
        self._deadlines.sent()
        self._room.set()

    def _due_status(self, now: float) -> StatusReport | None:
        """Return a status if the state has changed or the last one is a second old; none before ``Ready``."""
        if not self._session.announced or not self._retelling.announced:
            return None
        status, last = self._session.status(now), self._last_status
        if last and last.state is status.state and status.uptime_s - last.uptime_s < _STATUS_EVERY_S:
            return None
        self._last_status = status
        return status

    async def _say_error(self, send: Send) -> None:
        """Send the state ERROR before the call's status, if the client still listens."""
        if self._session.announced and self._retelling.announced:
            status = replace(self._session.status(time.monotonic()), state=State.ERROR)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORD_S):
                    await send(status)


def _can_be_told(group: ExceptionGroup[Exception]) -> bool:
    """Say whether the failure is one of ours, and the client neither gone nor deaf."""
    return group.split(AvatarError)[1] is None and not group.subgroup((AbortedError, CancelledError))

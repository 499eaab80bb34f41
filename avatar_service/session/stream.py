"""Owns the async shell of a session: one task reads, one writes, one ticks. It decides nothing itself.

Reading stops while too much audio is buffered, so that flow control holds the client back; rendering stops while the
client does not read, because frames are acknowledged to the worker only once they are sent.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeAlias

from avatar_service import media
from avatar_service.config import Settings
from avatar_service.errors import (
    AbortedError,
    AvatarError,
    CancelledError,
    DeadlineExceededError,
)
from avatar_service.picture import check_size
from avatar_service.pool import messages
from avatar_service.pool.messages import Failed, Opened, Rendered, Result, Unswitched
from avatar_service.pool.pool import Lease, Pool
from avatar_service.session.deadlines import Deadlines
from avatar_service.session.events import (
    ClientEvent,
    Control,
    Degraded,
    EncodedFrame,
    EndOfAudio,
    EndOfSegment,
    Init,
    Interrupt,
    ServerEvent,
    Speech,
    State,
    StatusReport,
    Warned,
)
from avatar_service.session.listener import Listener
from avatar_service.session.machine import Event, Lifecycle
from avatar_service.session.opening import check_engine, ready_of, warnings_of, with_portrait, work_of
from avatar_service.session.session import Session

Send: TypeAlias = Callable[[ServerEvent], Awaitable[None]]

_TICK_S: Final = 0.25
_STATUS_EVERY_S: Final = 1.0
_LAST_WORD_S: Final = 1.0
_ID_BYTES: Final = 24
_LARGE_FRAME_BYTES: Final = 64 * 1024
"""Frames beyond this are acknowledged one by one, because few of them fill the worker's window."""
_MOST_AT_ONCE: Final = 8
"""Smaller frames are acknowledged by so many at the most, which is well below that window in bytes, too."""
_EVENTS: Final = {
    Speech: Event.SPEECH,
    EndOfSegment: Event.END_OF_SEGMENT,
    EndOfAudio: Event.END_OF_AUDIO,
    Interrupt: Event.INTERRUPT,
    Control: Event.CONTROL,
}


class SessionStream:
    """One call, from its first message to its last.

    Args:
        pool: where frames are made.
        settings: the session's bounds.
    """

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool = pool
        self._settings = settings
        self.id: Final = secrets.token_urlsafe(_ID_BYTES)
        self._session = Session(pool.spec, time.monotonic())
        self._deadlines = Deadlines(settings, time.monotonic())
        self._failure: AvatarError | None = None
        self._last_status: StatusReport | None = None
        self._unacknowledged = 0
        self._most_at_once = min(_MOST_AT_ONCE, settings.window_frames // 4)
        self._ticked = False
        self._wake = asyncio.Event()
        self._room = asyncio.Event()

    def __repr__(self) -> str:
        return f"<SessionStream {self.id[:8]} {self._session!r}>"

    def status(self) -> StatusReport:
        """Return how the session stands."""
        return self._session.status(time.monotonic())

    def end(self) -> None:
        """End the session from outside: its call fails with ``SESSION_ENDED`` as soon as its writer is free."""
        self._failure = self._failure or AbortedError("SESSION_ENDED", "the session was ended by EndSession")
        self._wake.set()

    async def run(self, events: AsyncIterator[ClientEvent], send: Send) -> None:
        """Serve the call until its last frame is sent.

        Args:
            events: what the client says; its end before ``EndOfAudio`` is an abort.
            send: returns once the transport has taken the event.

        Raises:
            AvatarError: whatever ends the session early; perhaps within an ``ExceptionGroup``.
        """
        init = await self._first(events)
        lease = self._pool.admit()
        listener = Listener(self._session, init.audio, lease)
        try:
            lease.open(work_of(init, self._settings), lambda result: self._take(result, lease, init))
            async with asyncio.TaskGroup() as tasks:
                others = [tasks.create_task(self._read(events, listener, init)), tasks.create_task(self._tick())]
                await self._write(send, lease)
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
            self._session.discard()

    async def _first(self, events: AsyncIterator[ClientEvent]) -> Init:
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
        if not isinstance(init, Init):
            self._session.check(_EVENTS[type(init)])
        assert isinstance(init, Init), "the tables allow nothing else in a new session"
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

    def _take(self, result: Result, lease: Lease, init: Init) -> None:
        """Take a result of the worker; called on the event loop."""
        match result:
            case Opened():
                ready = ready_of(self.id, self._pool.spec, self._session, init, result)
                self._session.ready(ready, warnings_of(result))
            case Rendered():
                if not self._session.rendered(result):
                    lease.acknowledge(1)
            case messages.Degraded(_, reason):
                self._session.tell(Degraded(reason))
            case Unswitched(_, error):
                self._session.tell(Warned(error.reason, error.message))
            case Failed(_, error):
                self._failure = error
        self._wake.set()

    async def _write(self, send: Send, lease: Lease) -> None:
        while not self._session.complete:
            if self._failure is not None and not self._session.owes_ready:
                raise self._failure
            now = time.monotonic()
            event = self._at_tick(now) or self._session.next_event(now)
            if event is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._send(send, event)
            if isinstance(event, EncodedFrame):
                self._acknowledge(event, lease)
        await self._send(send, self._session.status(time.monotonic()))

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
        if not self._session.announced:
            return None
        status, last = self._session.status(now), self._last_status
        if last and last.state is status.state and status.uptime_s - last.uptime_s < _STATUS_EVERY_S:
            return None
        self._last_status = status
        return status

    async def _say_error(self, send: Send) -> None:
        """Send the state ERROR before the call's status, if the client still listens."""
        if self._session.announced:
            status = replace(self._session.status(time.monotonic()), state=State.ERROR)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORD_S):
                    await send(status)


def _can_be_told(group: ExceptionGroup[Exception]) -> bool:
    """Say whether the failure is one of ours, and the client neither gone nor deaf."""
    return group.split(AvatarError)[1] is None and not group.subgroup((AbortedError, CancelledError))

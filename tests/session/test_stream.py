"""The async shell of a session, without gRPC: what the client says is a list, and what is sent is another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from avatar_service import errors
from avatar_service.audio import AudioEncoding, AudioFormat
from avatar_service.codec.base import Codec, VideoFormat
from avatar_service.config import Settings
from avatar_service.engine.base import Frame, Portrait, PrepareOptions, RenderStep
from avatar_service.engine.fake import FakeAvatar, FakeEngine
from avatar_service.errors import AvatarError
from avatar_service.pool.carrier import ThreadCarrier
from avatar_service.pool.pool import Pool
from avatar_service.session.events import (
    ClientEvent,
    EncodedFrame,
    EndOfAudio,
    Init,
    Interrupt,
    Ready,
    ServerEvent,
    Speech,
    State,
    StatusReport,
)
from avatar_service.session.stream import SessionStream
from avatar_service.session.succession import Succession

SETTINGS = Settings(engine="fake")
LINEAR = AudioFormat(AudioEncoding.LINEAR16, 16_000)


class Call:
    """A client: says what it is given, and keeps what it is sent.

    Attributes:
        sent: what the server said.
        told: set once something was sent.
        taken: events that the server has read.
        reading: while cleared, the client does not read.
        silent: keeps the stream open after the last event.
    """

    def __init__(self, events: Iterable[ClientEvent], *, silent: bool = False) -> None:
        self._events = events
        self.silent = silent
        self.sent: list[ServerEvent] = []
        self.taken = 0
        self.told = asyncio.Event()
        self.reading = asyncio.Event()
        self.reading.set()

    async def events(self) -> AsyncIterator[ClientEvent]:
        """Yield what the client says."""
        for event in self._events:
            self.taken += 1
            yield event
        if self.silent:
            await asyncio.Event().wait()

    async def send(self, event: ServerEvent) -> None:
        """Take an event, once the client reads."""
        await self.reading.wait()
        self.sent.append(event)
        self.told.set()

    def of(self, kind: type) -> list[Any]:
        """Return what was sent of one kind."""
        return [event for event in self.sent if isinstance(event, kind)]


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    """A pool of two slots with the fake engine."""
    pool = Pool([lambda: ThreadCarrier(FakeEngine)], 2)
    await pool.start()
    yield pool
    await pool.stop()


@pytest.fixture
def init(photo: bytes) -> Init:
    """The first event of most calls."""
    return Init(photo, LINEAR, video=(VideoFormat(codec=Codec.RAW_RGB),))


async def serve(pool: Pool, call: Call, settings: Settings = SETTINGS) -> AvatarError | None:
    """Serve a call to its end, and return the error of ours that it ended with."""
    stream = SessionStream(pool, settings, Succession(pool, 30.0))
    try:
        async with asyncio.timeout(20):
            await stream.run(call.events(), call.send)
    except AvatarError as error:
        return error
    except ExceptionGroup as group:
        (error,) = group.exceptions
        assert isinstance(error, AvatarError)
        return error
    finally:
        assert pool.free == 2
        assert not [task for task in asyncio.all_tasks() if "SessionStream" in repr(task.get_coro())]
    return None


def speech(seconds: float, message_bytes: int = 6_400) -> list[ClientEvent]:
    """Return silence in messages."""
    total = round(seconds * 32_000)
    return [Speech("a", bytes(min(message_bytes, total - start))) for start in range(0, total, message_bytes)]


async def test_a_call_ends_with_its_last_frame(pool: Pool, init: Init) -> None:
    """Ready, all frames, COMPLETE."""
    call = Call([init, *speech(2.0), EndOfAudio()])
    assert await serve(pool, call) is None
    assert isinstance(call.sent[0], Ready)
    assert len(call.of(EncodedFrame)) == 50
    last = call.sent[-1]
    assert isinstance(last, StatusReport)
    assert (last.state, last.frames) == (State.COMPLETE, 50)


async def test_what_is_said_after_the_end_is_not_waited_for(pool: Pool, init: Init) -> None:
    """A client that keeps the stream open after end of audio does not keep the session open."""
    assert await serve(pool, Call([init, *speech(0.1), EndOfAudio()], silent=True)) is None


@pytest.mark.parametrize(
    ("events", "kind", "reason"),
    [
        ([], errors.CancelledError, "NO_INIT"),
        ([EndOfAudio()], errors.FailedPreconditionError, "OUT_OF_ORDER"),
        (["init"], errors.CancelledError, "NO_END_OF_AUDIO"),
        (["init", "init"], errors.FailedPreconditionError, "OUT_OF_ORDER"),
        (["init", Speech("a", b"x")], errors.InvalidArgumentError, "PARTIAL_SAMPLE"),
    ],
)
async def test_what_the_client_does_wrong_ends_the_call(
    pool: Pool, init: Init, events: list[ClientEvent | str], kind: type[AvatarError], reason: str
) -> None:
    """The error says what, and the slot is free."""
    error = await serve(pool, Call([init if event == "init" else event for event in events]))  # type: ignore[misc]
    assert isinstance(error, kind)
    assert error.reason == reason


async def test_a_failure_is_announced(pool: Pool, init: Init) -> None:
    """Once there was a ready, the last thing sent before the call's status is the state ERROR."""
    call = Call([], silent=True)

    async def events() -> AsyncIterator[ClientEvent]:
        yield init
        await call.told.wait()
        yield init

    call.events = events  # type: ignore[method-assign]
    assert isinstance(await serve(pool, call), errors.FailedPreconditionError)
    last = call.sent[-1]
    assert isinstance(last, StatusReport)
    assert last.state is State.ERROR


# Deadlines -------------------------------------------------------------------------------------------------------


async def test_a_silent_stream_is_closed(pool: Pool) -> None:
    """Without an init there is no session."""
    error = await serve(pool, Call([], silent=True), replace(SETTINGS, init_timeout_s=0.05))
    assert isinstance(error, errors.DeadlineExceededError)
    assert error.reason == "INIT_TIMEOUT"


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.5, 0.55])
async def test_a_silent_session_is_closed(pool: Pool, init: Init, seconds: float) -> None:
    """A client that stops talking, within a frame or between two, is at fault and not the engine."""
    settings = replace(SETTINGS, idle_timeout_s=0.7)
    error = await serve(pool, Call([init, *speech(seconds)], silent=True), settings)
    assert isinstance(error, errors.DeadlineExceededError)
    assert error.reason == "IDLE_TIMEOUT"


class Blocked(FakeEngine):
    """Does nothing in one stage until it is told to go on."""

    def __init__(self, stage: str) -> None:
        super().__init__()
        self._stage = stage
        self.go_on = threading.Event()
        self.entered = threading.Event()

    def prepare(self, portrait: Portrait, options: PrepareOptions) -> FakeAvatar:
        """Wait, perhaps."""
        if self._stage == "prepare":
            self.go_on.wait(10)
        return super().prepare(portrait, options)

    def render(self, steps: Sequence[RenderStep]) -> list[Frame]:
        """Wait, perhaps."""
        if self._stage == "render":
            self.entered.set()
            self.go_on.wait(10)
        return super().render(steps)


@pytest.mark.parametrize(("stage", "reason"), [("prepare", "PREPARE_TIMEOUT"), ("render", "ENGINE_STALLED")])
async def test_an_engine_that_stands_still_is_at_fault(init: Init, stage: str, reason: str) -> None:
    """A session that waits for the engine in vain is told to try again."""
    engine = Blocked(stage)
    pool = Pool([lambda: ThreadCarrier(lambda: engine)], 2)
    await pool.start()
    settings = replace(SETTINGS, prepare_timeout_s=0.3, idle_timeout_s=0.3)
    error = await serve(pool, Call([init, *speech(1.0)], silent=True), settings)
    engine.go_on.set()
    await pool.stop()
    assert isinstance(error, errors.UnavailableError)
    assert error.reason == reason


async def test_a_frame_that_comes_too_late_gives_its_credit_back(init: Init) -> None:
    """A frame that was being drawn when its segment was cut is not sent, and does not count as unread for ever."""
    engine = Blocked("render")
    pool = Pool([lambda: ThreadCarrier(lambda: engine)], 2)
    await pool.start()
    call = Call([])

    async def events() -> AsyncIterator[ClientEvent]:
        yield init
        yield Speech("dead", bytes(32_000))
        assert await asyncio.to_thread(engine.entered.wait, 10)
        yield Interrupt("dead")
        engine.go_on.set()
        yield Speech("next", bytes(6_400))
        yield EndOfAudio()

    call.events = events  # type: ignore[method-assign]
    settings = replace(SETTINGS, window_frames=1, idle_timeout_s=2.0)
    stream = SessionStream(pool, settings, Succession(pool, 30.0))
    try:
        async with asyncio.timeout(10):
            await stream.run(call.events(), call.send)
    finally:
        await pool.stop()
    assert [frame.segment_id for frame in call.of(EncodedFrame)] == ["next"] * 5


# Bounds ----------------------------------------------------------------------------------------------------------


async def test_a_reader_that_stops_is_ended(pool: Pool, init: Init) -> None:
    """One message may wait so long and no longer; the error says why."""
    call = Call([init, *speech(1.0)], silent=True)
    call.reading.clear()
    error = await serve(pool, call, replace(SETTINGS, slow_reader_timeout_s=0.05))
    assert isinstance(error, errors.AbortedError)
    assert error.reason == "SLOW_CONSUMER"
    assert call.sent == []


async def test_reading_stops_at_the_bound(pool: Pool, init: Init) -> None:
    """Of a minute at once the server takes ten seconds and one message while nothing is shown, and then the rest."""
    call = Call([init, *speech(60.0, 64_000), EndOfAudio()])
    call.reading.clear()
    served = asyncio.create_task(serve(pool, call))
    last, same = -1, 0
    while same < 200:
        await asyncio.sleep(0)
        last, same = call.taken, same + 1 if call.taken == last else 0
    # Messages of 2 s: the sixth is the first beyond 10 s, and the seventh lies ready.
    assert call.taken <= 1 + 6 + 1
    call.reading.set()
    assert await served is None
    assert len(call.of(EncodedFrame)) == 1_500


async def test_a_hop_as_long_as_the_bound_does_not_stall(init: Init) -> None:
    """An engine may wait for ten seconds and its look-ahead, though only ten seconds are kept otherwise."""
    pool = Pool([lambda: ThreadCarrier(lambda: FakeEngine(hop_frames=250))], 2)
    await pool.start()
    call = Call([replace(init, chunk_duration_s=10.0), *speech(21.0, 1_600), EndOfAudio()])
    error = await serve(pool, call, replace(SETTINGS, idle_timeout_s=2.0))
    await pool.stop()
    assert error is None
    assert len(call.of(EncodedFrame)) == 525


async def test_status_comes_with_every_change(pool: Pool, init: Init) -> None:
    """From waiting over processing to complete, each said once or more, and never backwards in frames."""
    call = Call([init, *speech(1.0), EndOfAudio()])
    await serve(pool, call)
    reports = [report for report in call.of(StatusReport) if isinstance(report, StatusReport)]
    assert reports[-1].state is State.COMPLETE
    assert [report.frames for report in reports] == sorted(report.frames for report in reports)


async def test_a_session_shows_where_it_stands(pool: Pool) -> None:
    """The id in a log is short, and the state beside it."""
    assert "<Machine new, silent>" in repr(SessionStream(pool, SETTINGS, Succession(pool, 30.0)))

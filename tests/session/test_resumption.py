"""Sessions whose calls are lost, and the calls that go on with them: nothing lost, nothing twice, whatever was cut."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from avatar_service import errors
from avatar_service.audio import AudioEncoding, AudioFormat
from avatar_service.codec.base import Codec, VideoFormat
from avatar_service.config import Settings
from avatar_service.engine.base import Controls, Emotion, Engine, Parameters, PrepareOptions
from avatar_service.engine.fake import FakeAvatar, FakeEngine, FakeState
from avatar_service.pool.carrier import ThreadCarrier
from avatar_service.pool.messages import SkipReason
from avatar_service.pool.pool import Pool
from avatar_service.session.events import (
    ClientEvent,
    Control,
    Degraded,
    EncodedFrame,
    EndOfAudio,
    EndOfSegment,
    Init,
    Interrupt,
    Interrupted,
    Ready,
    Recovered,
    Resume,
    SegmentFinished,
    SegmentStarted,
    ServerEvent,
    Speech,
    StatusReport,
    Warned,
)
from avatar_service.session.stream import SessionStream
from avatar_service.session.succession import Succession

LINEAR = AudioFormat(AudioEncoding.LINEAR16, 16_000)
RAW = (VideoFormat(codec=Codec.RAW_RGB),)
SETTINGS = Settings(engine="fake")


class Server:
    """What serves calls, without a transport.

    Attributes:
        pool: of one worker on a thread.
    """

    def __init__(self, pool: Pool, changes: Settings = SETTINGS) -> None:
        self.pool = pool
        self._settings = changes
        self._succession = Succession(pool, changes.resume_within_s)

    def call(self) -> SessionStream:
        """Return a call that has not begun."""
        return SessionStream(self.pool, self._settings, self._succession)


class Unreadable(FakeState):
    """A state that no other slot can go on with."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Fail when it is read."""
        return int, ("nothing",)


class Forgetful(FakeEngine):
    """An engine that cannot go on in another slot."""

    def open(self, avatar: FakeAvatar, parameters: Parameters) -> FakeState:
        """Return a state that cannot be read again."""
        return Unreadable(super().open(avatar, parameters).digest)


@asynccontextmanager
async def serving(capacity: int = 2, create: Callable[[], Engine] = FakeEngine) -> AsyncIterator[Server]:
    """Serve an engine."""
    pool = Pool([lambda: ThreadCarrier(create)], capacity)
    await pool.start()
    try:
        yield Server(pool)
    finally:
        await pool.stop()


@dataclass(frozen=True)
class Cut:
    """Where a call is lost.

    Attributes:
        said: words of the client that get through in this call.
        sent: frames and events that the server sends in this call.
        lost: the last of those that never arrive.
    """

    said: int = 10**9
    sent: int = 10**9
    lost: int = 0


WHOLE = Cut()


@dataclass
class Client:
    """A client that keeps what it was told, and goes on where it was.

    Attributes:
        words: all it has to say behind init.
        got: frames and events, in order, each once if the server is right.
        readies: the first message of each call.
    """

    server: Server
    init: Init
    words: Sequence[ClientEvent]
    got: list[ServerEvent] = field(default_factory=list)
    readies: list[Ready] = field(default_factory=list)
    statuses: list[StatusReport] = field(default_factory=list)

    async def call(self, cut: Cut = WHOLE) -> None:
        """Hold one call until it ends or is lost; what the server then raises is not for this client any more."""
        link = _Link(self, cut)
        stream = self.server.call()
        with suppress(errors.CancelledError, ExceptionGroup):
            await stream.run(link.events(), link.send)

    def first(self) -> ClientEvent:
        """Return the first word of the next call."""
        return Resume(self.readies[-1].resume_token, len(self.got)) if self.readies else self.init


class _Link:
    """The connection of one call."""

    def __init__(self, client: Client, cut: Cut) -> None:
        self._client = client
        self._cut = cut
        self._sent = 0
        self._arrived = len(client.got)
        self._opened = asyncio.Event()

    async def events(self) -> AsyncIterator[ClientEvent]:
        yield self._client.first()
        await self._opened.wait()
        rest = self._client.words[self._client.readies[-1].received :]
        for number, word in enumerate(rest):
            if number == self._cut.said:
                return
            yield word
        if self._cut is not WHOLE:
            await asyncio.Event().wait()

    async def send(self, event: ServerEvent) -> None:
        await asyncio.sleep(0)
        match event:
            case Ready():
                assert not self._opened.is_set(), "ready comes once, and first"
                self._client.readies.append(event)
                self._opened.set()
            case StatusReport():
                assert self._opened.is_set()
                self._client.statuses.append(event)
            case _:
                assert self._opened.is_set()
                if self._sent == self._cut.sent:
                    raise errors.CancelledError("CLIENT_GONE", "the client left")
                self._sent += 1
                if self._sent <= self._cut.sent - self._cut.lost:
                    self._client.got.append(event)


def bare(event: ServerEvent) -> ServerEvent:
    """Return an event without what encoding adds."""
    return (
        replace(event, units=tuple(unit.content for unit in event.units)) if isinstance(event, EncodedFrame) else event
    )


def init_of(photo: bytes, **changes: Any) -> Init:
    """Return what opens a resumable session of raw frames."""
    return Init(**{"portrait": photo, "audio": LINEAR, "video": RAW, "resumable": True, **changes})


def noise(samples: int, seed: int = 0) -> bytes:
    """Return speech, or what passes for it."""
    return np.random.default_rng(seed).integers(-9000, 9000, samples).astype("<i2").tobytes()


def script(lengths: Sequence[int], piece: int, *, controls: bool = True) -> list[ClientEvent]:
    """Return segments of so many samples in messages of ``piece``, with a change amid each, and the end."""
    words: list[ClientEvent] = []
    for number, samples in enumerate(lengths):
        speech = noise(samples, number)
        for start in range(0, len(speech), 2 * piece):
            words.append(Speech(f"s{number}", speech[start : start + 2 * piece]))
            if controls and start == 0 and len(speech) > 2 * piece:
                words.append(Control(Controls(emotion=(Emotion.HAPPY, number / 8))))
        words.append(EndOfSegment(f"s{number}"))
    return [*words, EndOfAudio()]


async def whole(server: Server, init: Init, words: Sequence[ClientEvent]) -> list[ServerEvent]:
    """Return what a client gets whose call is never lost."""
    client = Client(server, init, words)
    await client.call()
    return [bare(event) for event in client.got]


CUTS = st.builds(Cut, said=st.integers(0, 12), sent=st.integers(0, 25), lost=st.integers(0, 12)) | st.builds(
    Cut, said=st.integers(0, 12)
)


@settings(max_examples=40)
@given(
    lengths=st.lists(st.integers(1, 9_000), min_size=1, max_size=3),
    piece=st.sampled_from([640, 1_000, 4_000]),
    cuts=st.lists(CUTS, max_size=4),
    hop=st.sampled_from([1, 4]),
)
async def test_a_session_cut_anywhere_gives_what_an_uncut_one_gives(
    photo: bytes, lengths: list[int], piece: int, cuts: list[Cut], hop: int
) -> None:
    """Bit for bit: each pts once and in order, each event once, however often and wherever its calls were lost."""
    words = script(lengths, piece)
    async with asyncio.timeout(60), serving(create=partial(FakeEngine, hop_frames=hop)) as server:
        expected = await whole(server, init_of(photo), words)
        client = Client(server, init_of(photo), words)
        for cut in [*cuts, WHOLE]:
            await client.call(cut)
        assert [bare(event) for event in client.got] == expected
        assert len({ready.resume_token for ready in client.readies}) == len(client.readies)
        assert server.pool.free == 2


async def test_what_was_interrupted_stays_interrupted(photo: bytes) -> None:
    """An interrupt in flight when the call was lost takes effect once, and no frame of the dead segment follows."""
    words = [Speech("a", noise(32_000)), Interrupt(""), Speech("b", noise(6_400)), EndOfAudio()]
    for sent in range(60):
        async with asyncio.timeout(30), serving() as server:
            client = Client(server, init_of(photo), words)
            await client.call(Cut(sent=sent, lost=sent // 2))
            await client.call()
        finished = [event for event in client.got if isinstance(event, SegmentFinished)]
        assert [(event.segment_id, event.interrupted) for event in finished] == [("a", True), ("b", False)]
        assert [type(event) for event in client.got].count(Interrupted) == 1
        frames = [event for event in client.got if isinstance(event, EncodedFrame)]
        assert [frame.pts for frame in frames] == [3600 * number for number in range(len(frames))]
        ends = client.got.index(finished[0])
        assert all(event.segment_id == "b" for event in client.got[ends:] if isinstance(event, EncodedFrame))
        assert finished[0].frames == sum(frame.segment_id == "a" for frame in frames)
        if not any(frame.segment_id == "a" for frame in frames) and sent > 5:
            break


async def test_the_first_unit_of_a_resumed_call_is_a_keyframe(photo: bytes) -> None:
    """A decoder may start with it, whatever was lost before."""
    words = script([16_000], 640)
    for lost in (0, 7):
        async with asyncio.timeout(30), serving() as server:
            client = Client(server, init_of(photo, video=(VideoFormat(keyframe_interval_s=60.0),)), words)
            await client.call(Cut(sent=14, lost=lost))
            before = len(client.got)
            await client.call()
        frames = [event for event in client.got[before:] if isinstance(event, EncodedFrame)]
        assert [unit.keyframe for frame in frames[:2] for unit in frame.units] == [True, False]
        assert len({frame.pts for event in client.got if isinstance(event, EncodedFrame) for frame in [event]}) == 25


async def test_the_slot_of_a_lost_call_is_free_at_once_and_a_full_pool_refuses(photo: bytes) -> None:
    """The same token works once there is room."""
    words = script([16_000], 640)
    async with asyncio.timeout(30), serving(capacity=1) as server:
        client = Client(server, init_of(photo), words)
        await client.call(Cut(sent=5))
        assert server.pool.free == 1
        lease = server.pool.admit()
        with pytest.raises(errors.ResourceExhaustedError) as refused:
            await client.call()
        assert refused.value.reason == "POOL_FULL"
        lease.close()
        await client.call()
        assert sum(isinstance(event, EncodedFrame) for event in client.got) == 25


async def test_only_the_newest_token_works(photo: bytes) -> None:
    """A used one is told from one that never was or is too old; that of another session goes on with that session."""
    words = script([16_000], 640)
    async with asyncio.timeout(30), serving() as server:
        client = Client(server, init_of(photo), words)
        await client.call(Cut(said=3))
        await client.call(Cut(said=3))
        used = replace(client.readies[0])
        client.readies.append(used)
        with pytest.raises(errors.AbortedError) as refused:
            await client.call()
        assert refused.value.reason == "RESUME_TOKEN_USED"
        for token in ("", "x", "\0" * 10_000, client.readies[1].resume_token[:-1]):
            client.readies[-1] = replace(used, resume_token=token)
            with pytest.raises(errors.PermissionDeniedError) as denied:
                await client.call()
            assert denied.value.reason == "RESUME_TOKEN"
        client.readies.pop()
        await client.call()
        assert server.pool.free == 2


async def test_an_old_token_works_until_the_client_has_shown_that_it_knows_the_new_one(photo: bytes) -> None:
    """A call may be lost before its ready arrives."""
    words = script([16_000], 640)
    async with asyncio.timeout(30), serving() as server:
        expected = await whole(server, init_of(photo), words)
        client = Client(server, init_of(photo), words)
        await client.call(Cut(sent=5))
        for _ in range(3):
            await client.call(Cut(said=0, sent=0))
            client.readies.pop()
        await client.call()
        assert [bare(event) for event in client.got] == expected


async def test_a_call_that_fails_before_its_ready_says_nothing_but_its_error(photo: bytes) -> None:
    """The session was announced in an earlier call; to this one's client a status without ready would mean nothing."""
    async with asyncio.timeout(30), serving(create=Forgetful) as server:
        client = Client(server, init_of(photo), script([16_000], 640))
        await client.call(Cut(sent=5))
        said: list[ServerEvent] = []

        async def send(event: ServerEvent) -> None:
            said.append(event)

        async def events() -> AsyncIterator[ClientEvent]:
            yield client.first()
            await asyncio.Event().wait()

        with pytest.raises(ExceptionGroup) as failed:
            await server.call().run(events(), send)
        assert failed.value.subgroup(errors.InternalError)
        assert said == []


async def test_a_client_that_claims_more_than_was_sent_is_refused(photo: bytes) -> None:
    """And one that lacks more than is kept; its token is not spent by that."""
    words = script([16_000], 640)
    async with asyncio.timeout(30), serving() as server:
        client = Client(server, init_of(photo), words)
        await client.call(Cut(sent=5))
        kept = list(client.got)
        client.got.extend(kept)
        with pytest.raises(errors.InvalidArgumentError) as refused:
            await client.call()
        assert refused.value.field == "init.resume.received_messages"
        client.got[:] = kept
        await client.call()
        assert sum(isinstance(event, EncodedFrame) for event in client.got) == 25


async def test_a_call_that_hangs_loses_its_session_to_the_one_that_goes_on(photo: bytes) -> None:
    """The client notices first; the old call ends ABORTED, though nobody reads it."""
    async with asyncio.timeout(30), serving(capacity=1) as server:
        client = Client(server, init_of(photo), [*script([16_000], 640)])
        expected = await whole(server, init_of(photo), client.words)
        frozen = server.call()
        hangs = asyncio.Event()

        async def send(event: ServerEvent) -> None:
            if isinstance(event, Ready):
                client.readies.append(event)
            elif not isinstance(event, StatusReport) and len(client.got) < 4:
                client.got.append(event)
            else:
                hangs.set()
                await asyncio.Event().wait()

        async def events() -> AsyncIterator[ClientEvent]:
            yield client.init
            for word in client.words:
                yield word
            await asyncio.Event().wait()

        running = asyncio.create_task(frozen.run(events(), send))
        await hangs.wait()
        await client.call()
        assert [bare(event) for event in client.got] == expected
        with pytest.raises(errors.AbortedError) as ended:
            await running
        assert ended.value.reason == "SESSION_RESUMED"


async def test_a_session_that_is_not_resumable_is_over_with_its_call(photo: bytes) -> None:
    """It gets no token, and nothing of it is kept."""
    async with asyncio.timeout(30), serving() as server:
        client = Client(server, init_of(photo, resumable=False), script([16_000], 640))
        await client.call(Cut(sent=5))
        assert client.readies[0].resume_token == ""
        with pytest.raises(errors.PermissionDeniedError):
            await client.call()


async def test_a_second_first_message_is_refused(photo: bytes) -> None:
    """Nobody goes on with a session amid another."""
    async with asyncio.timeout(30), serving() as server:
        link = _Link(Client(server, init_of(photo), [Resume("x", 0)]), WHOLE)
        with pytest.raises(ExceptionGroup) as failed:
            await server.call().run(link.events(), link.send)
        [error] = failed.value.exceptions
        assert isinstance(error, errors.FailedPreconditionError)


def picture(level: int) -> bytes:
    """Return a plain picture."""
    content = io.BytesIO()
    Image.new("L", (64, 64), level).save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_a_session_goes_on_with_the_avatar_that_it_was_switched_to(photo: bytes, *, is_deleted: bool) -> None:
    """Wherever its calls are lost, and though nobody keeps that avatar any more; without a warning."""
    words = script([9_600], 640)
    async with asyncio.timeout(60), serving() as server:
        kept = await server.pool.create_avatar(picture(200), PrepareOptions(), display_name="", within_s=10.0)
        own, other = [
            [event.units for event in await whole(server, init_of(face), words) if isinstance(event, EncodedFrame)]
            for face in (photo, picture(200))
        ]
        for said in range(2, 9):
            changing = [*words[:3], Control(avatar_id=kept.id), *words[3:]]
            client = Client(server, init_of(photo), changing)
            # What is deleted must have been seen: a switch that waits to be followed may find it gone. So that call is
            # lost by what it was sent; one whose words end may be over before its worker has followed any of them.
            await client.call(Cut(sent=said, lost=said // 3) if is_deleted else Cut(said=4, sent=said, lost=said // 3))
            if is_deleted and said == 8:
                server.pool.avatars.delete(kept.id)
            await client.call(Cut(said=3, sent=4))
            await client.call()
            shown = [bare(event).units for event in client.got if isinstance(event, EncodedFrame)]
            first = next(number for number, units in enumerate(shown) if units != own[number])
            assert shown == own[:first] + other[first:]
            assert not any(isinstance(event, Warned) for event in client.got)


HALF = SkipReason.HALF_RATE


def rates(client: Client) -> list[ServerEvent]:
    """Return what a client was told of its rate."""
    return [event for event in client.got if isinstance(event, Degraded | Recovered)]


@pytest.mark.parametrize("stays", [True, False])
async def test_a_halved_session_goes_on_as_its_next_slot_is(photo: bytes, stays: bool) -> None:
    """It is told only what is new to it: that all frames come again, or nothing where it is still too crowded."""
    words = [Speech("a", noise(32_000)), EndOfSegment("a"), EndOfAudio()]
    async with asyncio.timeout(30), serving(capacity=1) as server:
        neighbour = server.pool.admit(degradable=True)
        client = Client(server, init_of(photo, live=True, degradable=True), words[:2])
        await client.call(Cut(sent=12))
        assert rates(client) == [Degraded(HALF)]
        if not stays:
            neighbour.close()
        before = len(client.got)
        client.words = words
        await client.call()
    assert rates(client) == ([Degraded(HALF)] if stays else [Degraded(HALF), Recovered(HALF)])
    frames = [event for event in client.got[before:] if isinstance(event, EncodedFrame)]
    assert {late.pts - early.pts for early, late in pairwise(frames)} == {7200 if stays else 3600}
    frames = [event for event in client.got if isinstance(event, EncodedFrame)]
    assert all(late.pts > early.pts for early, late in pairwise(frames))
    assert [event.played for event in client.got if isinstance(event, SegmentFinished)] == [32_000]


async def test_live_goes_on_with_the_clock(photo: bytes) -> None:
    """Ticks pass while nobody is there; speech goes on where it stopped; events come once."""
    words = [Speech("a", noise(16_000)), EndOfSegment("a"), EndOfAudio()]
    async with asyncio.timeout(30), serving() as server:
        client = Client(server, init_of(photo, live=True), words[:2])
        await client.call(Cut(sent=12, lost=4))
        client.words = words
        await asyncio.sleep(0.3)
        await client.call()
    frames = [event for event in client.got if isinstance(event, EncodedFrame)]
    assert all(late.pts > early.pts for early, late in pairwise(frames))
    assert max(late.pts - early.pts for early, late in pairwise(frames)) >= 0.3 * 90_000
    assert all(frame.pts % 3600 == 0 for frame in frames)
    speech = [frame.index for frame in frames if frame.segment_id]
    assert len(speech) == len(set(speech))
    assert speech == sorted(speech)
    assert [type(event) for event in client.got].count(SegmentStarted) == 1
    assert [event.played for event in client.got if isinstance(event, SegmentFinished)] == [16_000]

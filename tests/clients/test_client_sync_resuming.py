"""The client for threads whose sessions outlive their connections and engines, as that for asyncio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import grpc
import pytest
from avatar.v1.avatar_service_pb2 import StreamAvatarRequest, StreamAvatarResponse
from avatar.v1.event_pb2 import EffectiveVideo, Limits, Ready
from avatar.v1.media_pb2 import Video
from avatar_client import AvatarRpcError
from avatar_client.errors import held_back, session_left
from avatar_client.requests import SessionRequest
from avatar_client.sync import AvatarClient
from avatar_client.sync.resuming import ResumingStream
from google.protobuf.duration_pb2 import Duration

from avatar_service.app import serving
from tests.clients.test_client_resuming import AUDIO, JPEG, PNG, PROCESS, Voice, kill_worker, wired

if TYPE_CHECKING:
    from tests.conftest import Serve

CODES = grpc.StatusCode
KEY = "any"
LOST = AvatarRpcError(CODES.UNAVAILABLE, "the connection broke")


def speak(
    target: str, photo: bytes, speech: bytes, *, piece: int, on: Callable[[int], None] = lambda _: None
) -> list[StreamAvatarResponse]:
    """Return the frames and events of two segments; ``on`` is told after how many of them it stands."""
    got: list[StreamAvatarResponse] = []
    with (
        AvatarClient(target) as client,
        ThreadPoolExecutor(1) as threads,
        client.stream(photo, audio=AUDIO, video=[PNG, JPEG], resume_s=30.0) as stream,
    ):

        def feed() -> None:
            for name in ("a", "b"):
                for start in range(0, len(speech), piece):
                    stream.send_audio(speech[start : start + piece], name)
                stream.end_segment(name)
            stream.end_audio()

        feeding = threads.submit(feed)
        for response in stream:
            if response.WhichOneof("message") in {"video", "event"}:
                got.append(response)
                on(len(got))
        feeding.result()
    return got


@pytest.mark.parametrize("cut", [1_500, 30_000, 90_000, 200_000, 350_000])
@pytest.mark.parametrize("piece", [1_280, 64_000])
async def test_a_connection_cut_anywhere_is_not_seen(
    serve: Serve, photo: bytes, voice: Voice, cut: int, piece: int
) -> None:
    """What comes is what comes over a whole one, bit for bit and each once."""
    speech = voice(16_000)
    async with asyncio.timeout(60), serve() as service, wired(service.target) as (wire, _):
        target = f"127.0.0.1:{wire.port}"
        expected = await asyncio.to_thread(speak, target, photo, speech, piece=piece)
        wire.cut_after = cut
        assert await asyncio.to_thread(speak, target, photo, speech, piece=piece) == expected
        await service.until_free(4)


@pytest.mark.parametrize("at", [1, 101])
async def test_a_killed_worker_is_not_seen(photo: bytes, voice: Voice, at: int) -> None:
    """Its sessions go on in another, as if nothing had happened."""
    speech = voice(16_000)

    def kill(count: int) -> None:
        if count == at:
            kill_worker()

    async with asyncio.timeout(60), serving(PROCESS) as port:
        target = f"127.0.0.1:{port}"
        expected = await asyncio.to_thread(speak, target, photo, speech, piece=4_000)
        assert await asyncio.to_thread(speak, target, photo, speech, piece=4_000, on=kill) == expected


# Calls by hand ----------------------------------------------------------------------------------------------------


class Call:
    """A call of a session, played by the test.

    Args:
        says: responses, and the error that ends the call; a function is called in between.
        received: messages that the server has taken when it begins.
        refusal: what entering raises.
        takes: messages that it takes before sending fails with ``ends``.
        ends: the error of sending.

    Attributes:
        request: what it was opened with.
        sent: messages that it was given.
    """

    def __init__(
        self,
        *says: Any,
        received: int = 0,
        refusal: AvatarRpcError | None = None,
        takes: int = 1000,
        ends: AvatarRpcError = LOST,
    ) -> None:
        limits = Limits(resume_window=Duration(seconds=30))
        self.ready = Ready(resume_token=KEY, video=[EffectiveVideo()], limits=limits, received_messages=received)
        self.request: SessionRequest
        self.sent: list[str] = []
        self._says = iter(says)
        self._refusal = refusal
        self._takes = takes
        self._ends = ends
        self._left = threading.Event()

    def __enter__(self) -> Self:
        if self._refusal is not None:
            raise self._refusal
        return self

    def __next__(self) -> StreamAvatarResponse:
        said = next(self._says, self._left)
        while callable(said):
            said()
            said = next(self._says, self._left)
        if isinstance(said, AvatarRpcError):
            raise said
        if isinstance(said, threading.Event):
            said.wait(10)
            raise session_left()
        assert isinstance(said, StreamAvatarResponse)
        return said

    def _send(self, message: StreamAvatarRequest) -> None:
        if len(self.sent) == self._takes:
            raise self._ends
        self.sent.append(message.end_of_segment.segment_id)

    def abort(self) -> None:
        """Let go of who waits."""
        self._left.set()


def frame(number: int) -> StreamAvatarResponse:
    """Return a frame that tells which one it is."""
    return StreamAvatarResponse(video=Video(pts=number))


def session(*calls: Call, resume_s: float = 30.0) -> ResumingStream:
    """Return a session whose calls are these, one after another."""
    waiting: Iterator[Call] = iter(calls)

    def connect(request: SessionRequest) -> Any:
        call = next(waiting)
        call.request = request
        return call

    return ResumingStream(connect, SessionRequest(b"", AUDIO), resume_s=resume_s, send_timeout_s=5.0)


def numbers(stream: ResumingStream, count: int) -> list[int]:
    """Return which frames come next."""
    return [next(stream).video.pts for _ in range(count)]


def test_what_the_lost_call_still_had_to_tell_comes_once() -> None:
    """It is read by a thread that does not know yet that another one, who sends, has gone on."""
    first = Call(frame(0), lambda: stream.end_segment("a"), frame(1), LOST, takes=0)
    second = Call(frame(1), frame(2))
    with session(first, second) as stream:
        assert numbers(stream, 3) == [0, 1, 2]
    assert second.request.resume is not None
    assert second.request.resume.received_messages == 1


def test_what_the_server_has_not_taken_is_sent_again_though_nobody_sends() -> None:
    """The reader noticed, and goes on reading."""
    resent = threading.Event()
    first = Call(frame(0), lambda: [stream.end_segment(name) for name in "abc"], LOST)
    second = Call(lambda: resent.wait(5), frame(1), received=1)
    second_send = second._send

    def send(message: StreamAvatarRequest) -> None:
        second_send(message)
        if second.sent == ["b", "c"]:
            resent.set()

    second._send = send  # type: ignore[method-assign]
    with session(first, second) as stream:
        assert numbers(stream, 2) == [0, 1]
        assert resent.is_set()


def test_a_server_that_is_full_or_away_is_asked_again_until_the_time_is_over() -> None:
    """Then whoever reads is told what the last try was."""
    full = AvatarRpcError(CODES.RESOURCE_EXHAUSTED, "full", reason="POOL_FULL", retry_after_s=0.01)
    with session(Call(LOST), Call(refusal=full), Call(refusal=LOST), Call(frame(7))) as stream:
        assert numbers(stream, 1) == [7]
    with session(Call(LOST), Call(refusal=full), Call(refusal=full), resume_s=0.015) as stream:
        with pytest.raises(AvatarRpcError) as failed:
            next(stream)
        assert failed.value.reason == "POOL_FULL"


def test_what_could_not_be_sent_in_time_is_not_sent_later() -> None:
    """Whoever sent it was told that it was not."""
    first = Call(frame(0), LOST, takes=1, ends=held_back(5.0))
    second = Call(frame(1), received=1)
    with session(first, second) as stream:
        stream.end_segment("a")
        with pytest.raises(AvatarRpcError) as failed:
            stream.end_segment("b")
        assert failed.value.reason == "SEND_TIMEOUT"
        assert numbers(stream, 2) == [0, 1]
        stream.end_segment("c")
    assert second.sent == ["c"]


def test_leaving_ends_the_waiting_for_another_call() -> None:
    """At once, from any thread."""
    away = AvatarRpcError(CODES.UNAVAILABLE, "away", retry_after_s=20.0)
    with session(Call(LOST), Call(refusal=away), Call(frame(0))) as stream:
        leaving = threading.Timer(0.05, stream.abort)
        leaving.start()
        with pytest.raises(AvatarRpcError) as left:
            next(stream)
        leaving.join()
    assert left.value.reason == "SESSION_LEFT"

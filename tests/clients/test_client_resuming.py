"""A client whose sessions outlive their connections and engines: what its user sees is one stream."""

from __future__ import annotations

import asyncio
import io
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

import grpc
import grpc.aio
import psutil
import pytest
from avatar.v1 import init_pb2
from avatar.v1.avatar_service_pb2 import StreamAvatarRequest
from avatar.v1.event_pb2 import Limits, Ready
from avatar.v1.media_pb2 import Video
from avatar_client import AvatarClient, AvatarRpcError, Control, StreamAvatarResponse
from avatar_client.aio.resuming import ResumingStream
from avatar_client.requests import SessionRequest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from avatar_service.app import serving
from avatar_service.config import Settings

if TYPE_CHECKING:
    from tests.conftest import Serve

AUDIO = init_pb2.AudioFormat(encoding=init_pb2.AUDIO_ENCODING_LINEAR16, sample_rate_hz=16_000)
PNG = init_pb2.VideoFormat(codec=init_pb2.VIDEO_CODEC_PNG)
JPEG = init_pb2.VideoFormat(codec=init_pb2.VIDEO_CODEC_JPEG, quality=70)
PROCESS = Settings(host="127.0.0.1", port=0, engine="fake", workers=1, capacity=2, drain_grace_s=0.5)
Voice = Callable[..., bytes]


class Wire:
    """A TCP connection to a server that can be cut.

    Attributes:
        port: where it listens.
        cut_after: bytes of the server's that pass before the connection is cut, once; ``None`` for never.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._cut = asyncio.Event()
        self.port = 0
        self.cut_after: int | None = None

    def go_to(self, target: str) -> None:
        """Cut the connection, and let the next one be to another server."""
        self._target = target
        self._cut.set()

    async def serve(self) -> asyncio.Server:
        """Listen."""
        server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._cut.clear()
        there, back = await asyncio.open_connection(*self._target.split(":"))
        cut = asyncio.create_task(self._cut.wait())
        up = asyncio.create_task(self._pass(reader, back, counts=False))
        down = asyncio.create_task(self._pass(there, writer, counts=True))
        await asyncio.wait({up, down, cut}, return_when=asyncio.FIRST_COMPLETED)
        for task in (up, down, cut):
            task.cancel()
        for side in (writer, back):
            side.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counts: bool) -> None:
        with suppress(OSError):
            while piece := await reader.read(4096):
                if counts and self.cut_after is not None:
                    if len(piece) > self.cut_after:
                        self.cut_after = None
                        return
                    self.cut_after -= len(piece)
                writer.write(piece)
                await writer.drain()


@asynccontextmanager
async def wired(target: str) -> AsyncIterator[tuple[Wire, AvatarClient]]:
    """Return a client behind a wire."""
    wire = Wire(target)
    server = await wire.serve()
    async with server, AvatarClient(f"127.0.0.1:{wire.port}") as client:
        yield wire, client


async def speak(
    client: AvatarClient, photo: bytes, speech: bytes, *, piece: int, on: Callable[[int], None] = lambda _: None
) -> list[StreamAvatarResponse]:
    """Return the frames and events of two segments; ``on`` is told after how many of them it stands."""
    got: list[StreamAvatarResponse] = []
    async with client.stream(photo, audio=AUDIO, video=[PNG, JPEG], resume_s=30.0) as stream:

        async def feed() -> None:
            for name in ("a", "b"):
                for start in range(0, len(speech), piece):
                    await stream.send_audio(speech[start : start + piece], name)
                await stream.end_segment(name)
            await stream.end_audio()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(feed())
            async for response in stream:
                if response.WhichOneof("message") in {"video", "event"}:
                    got.append(response)
                    on(len(got))
    return got


def kill_worker() -> None:
    """Kill the newest of our processes: the worker, or the one that replaced it."""
    max(psutil.Process().children(), key=psutil.Process.create_time).send_signal(signal.SIGKILL)


@settings(max_examples=15)
@given(cut=st.integers(1_000, 400_000), piece=st.sampled_from([1_280, 4_000, 64_000]))
async def test_a_connection_cut_anywhere_is_not_seen(
    serve: Serve, photo: bytes, voice: Voice, cut: int, piece: int
) -> None:
    """What comes is what comes over a whole one, bit for bit and each once."""
    speech = voice(16_000)
    async with asyncio.timeout(60), serve() as service, wired(service.target) as (wire, client):
        expected = await speak(client, photo, speech, piece=piece)
        wire.cut_after = cut
        assert await speak(client, photo, speech, piece=piece) == expected
        await service.until_free(4)


@pytest.mark.parametrize("at", [1, 20, 101])
async def test_a_killed_worker_is_not_seen(photo: bytes, voice: Voice, at: int) -> None:
    """Its sessions go on in another, as if nothing had happened."""
    speech = voice(16_000)

    def kill(count: int) -> None:
        if count == at:
            kill_worker()

    async with asyncio.timeout(60), serving(PROCESS) as port, AvatarClient(f"127.0.0.1:{port}") as client:
        expected = await speak(client, photo, speech, piece=4_000)
        assert await speak(client, photo, speech, piece=4_000, on=kill) == expected


def picture(level: int, side: int) -> bytes:
    """Return a plain square picture."""
    content = io.BytesIO()
    Image.new("L", (side, side), level).save(content, "PNG")
    return content.getvalue()


async def test_a_killed_worker_is_not_seen_behind_a_switch(photo: bytes, voice: Voice) -> None:
    """The picture goes on with the avatar that was switched to, though the new worker prepares others first."""
    speech = voice(32_000)
    async with asyncio.timeout(60), serving(PROCESS) as port, AvatarClient(f"127.0.0.1:{port}") as client:
        for level in (1, 2, 3):
            await client.create_avatar(picture(level, 3_500))
        other = await client.create_avatar(picture(200, 100))
        pictures: list[bytes] = []
        warnings: list[str] = []
        async with client.stream(photo, audio=AUDIO, video=[PNG], resume_s=30.0) as stream:
            await stream.send_audio(speech[: len(speech) // 2])
            async for response in stream:
                if response.event.HasField("warning"):
                    warnings.append(response.event.warning.reason)
                if not response.HasField("video"):
                    continue
                pictures.append(response.video.data)
                if len(pictures) == 5:
                    await stream.control(Control(avatar_id=other.avatar_id))
                    await stream.send_audio(speech[len(speech) // 2 :])
                if len(pictures) == 30:
                    kill_worker()
                if len(pictures) == 35:
                    await stream.end_audio()
        async with client.animate(b"", once(speech), audio=AUDIO, video=[PNG], avatar_id=other.avatar_id) as stream:
            expected = [response.video.data async for response in stream if response.HasField("video")]
    first = next(number for number, (one, its) in enumerate(zip(pictures, expected, strict=True)) if one == its)
    assert 5 <= first < 30
    assert pictures[first:] == expected[first:]
    assert warnings == []


async def once(speech: bytes) -> AsyncIterator[bytes]:
    """Yield it."""
    yield speech


async def test_a_session_that_was_ended_is_not_gone_on_with(serve: Serve, photo: bytes) -> None:
    """Its user is told why it ended."""
    async with (
        asyncio.timeout(60),
        serve() as service,
        AvatarClient(service.target) as client,
        client.stream(photo, audio=AUDIO, resume_s=30.0) as stream,
    ):
        await client.end_session(stream.ready.session_id)
        with pytest.raises(AvatarRpcError) as ended:
            async for _ in stream:
                pass
        assert (ended.value.code, ended.value.reason) == (grpc.StatusCode.ABORTED, "SESSION_ENDED")


async def test_a_server_that_knows_nothing_of_a_session_says_so(serve: Serve, photo: bytes) -> None:
    """A session is kept in its server's memory: another one refuses the token."""
    async with asyncio.timeout(60), serve() as there, serve() as elsewhere, wired(there.target) as (wire, client):
        async with client.stream(photo, audio=AUDIO, resume_s=30.0) as stream:
            wire.go_to(elsewhere.target)
            with pytest.raises(AvatarRpcError) as ended:
                async for _ in stream:
                    pass
        assert (ended.value.code, ended.value.reason) == (grpc.StatusCode.PERMISSION_DENIED, "RESUME_TOKEN")


class Call:
    """A call of the transport, played by the test.

    Args:
        says: responses behind ready, and the error that ends the call; a function is awaited in between.
        takes: messages that it takes before writing fails.
    """

    def __init__(self, *says: Any, takes: int = 1000) -> None:
        limits = Limits(resume_window=Duration(seconds=30))
        self._says = iter([StreamAvatarResponse(ready=Ready(resume_token=KEY, video=[{}], limits=limits)), *says])
        self._takes = takes
        self.taken: list[StreamAvatarRequest] = []

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamAvatarResponse:
        said = next(self._says)
        while callable(said):
            await said()
            said = next(self._says)
        if isinstance(said, Exception):
            raise said
        assert isinstance(said, StreamAvatarResponse)
        return said

    async def write(self, message: StreamAvatarRequest) -> None:
        """Take a message."""
        if len(self.taken) == self._takes:
            raise lost()
        self.taken.append(message)

    def cancel(self) -> None:
        """Do nothing."""


KEY = "any"


def lost() -> grpc.aio.AioRpcError:
    """Return how a connection breaks."""
    return grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "it broke")


def frame(number: int) -> StreamAvatarResponse:
    """Return a frame that tells which one it is."""
    return StreamAvatarResponse(video=Video(pts=number))


async def test_what_the_lost_call_still_had_to_tell_comes_once() -> None:
    """It is read by a task that does not know yet that another one, who sends, has gone on."""
    first = Call(frame(0), lambda: stream.end_segment("a"), frame(1), lost(), takes=1)
    second = Call(frame(1), frame(2))
    calls: Iterator[Any] = iter((first, second))
    stream = ResumingStream(lambda _: next(calls), SessionRequest(b"", AUDIO), ready_timeout_s=5.0, resume_s=30.0)
    async with asyncio.timeout(10), stream:
        assert [(await anext(stream)).video.pts for _ in range(3)] == [0, 1, 2]
    assert second.taken[0].init.resume.received_messages == 1

"""Owns what a bad input is: how it is sent, and what must be answered. The rows' numbers are those of the tests."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
import httpx
from avatar.v1 import avatar_service_pb2, init_pb2, media_pb2
from avatar.v1.avatar_service_pb2_grpc import AvatarServiceStub
from avatar_client.channel import channel_options
from avatar_client.errors import from_rpc_error
from PIL import Image

from avatar_service.assets import asset_path

Answer = tuple[str, str]
"""Of gRPC the code and the reason; of HTTP the status and the reason."""
LOST: Final[Answer] = ("LOST", "by the client")
"""gRPC for asyncio makes an INTERNAL of its own of a write at the moment in which the server ends the call
(github.com/grpc/grpc/issues/36066); what the server said is lost."""
Request = avatar_service_pb2.StreamAvatarRequest
LINEAR16: Final = init_pb2.AUDIO_ENCODING_LINEAR16
API: Final = "/api/audio-driven/chunked"


@dataclass(frozen=True, slots=True)
class Sender:
    """Connections to a service and its gateway.

    Attributes:
        channel: to the service.
        stub: on that channel.
        http: to the gateway; without an address where there is none.
        takes: ids of sessions of the gateway, one for each of those who send at once.
    """

    channel: grpc.aio.Channel
    stub: AvatarServiceStub
    http: httpx.AsyncClient
    takes: list[str] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def connected(cls, target: str, base: str, at_once: int) -> AsyncIterator[Sender]:
        """Connect; with a gateway, open a session for each of those who send at once."""
        # A connection that is kept may be closed by the server, idle as it is, just when it is used again.
        limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=0)
        async with (
            grpc.aio.insecure_channel(target, options=channel_options()) as channel,
            httpx.AsyncClient(base_url=base, timeout=120, limits=limits) as http,
        ):
            sender = cls(channel, AvatarServiceStub(channel), http)
            if base:
                image = {"image": ("portrait", good_png())}
                for _ in range(at_once):
                    sender.takes.append((await http.post(f"{API}/init", files=image)).json()["session_id"])
            yield sender

    async def tell(self, *requests: Request) -> Answer:
        """Send requests on a call of their own, leave it open, and return how the server ended it."""
        return await exchange(self.stub.StreamAvatar(), *requests)

    async def post(self, path: str, **request: Any) -> Answer:
        """Post to the gateway."""
        try:
            return problem(await self.http.post(path, **request))
        except httpx.TransportError as error:
            return "CLOSED", type(error).__name__


async def exchange(call: Any, *messages: Any) -> Answer:
    """Write messages while reading, and return how the call ended."""

    async def write() -> None:
        # A server that refused the stream takes no more requests; why, the reading side is told.
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            for message in messages:
                await call.write(message)

    writing = asyncio.create_task(write())
    try:
        async for _ in call:
            pass
    except grpc.aio.AioRpcError as error:
        return refusal(error)
    finally:
        writing.cancel()
    return "OK", ""


def refusal(error: grpc.aio.AioRpcError) -> Answer:
    """Return code and reason of a failed call."""
    if error.details() == "Internal error from Core":
        return LOST
    told = from_rpc_error(error)
    return told.code.name, told.reason


def problem(answer: httpx.Response) -> Answer:
    """Return status and reason."""
    is_problem = answer.headers.get("content-type", "") == "application/problem+json"
    return str(answer.status_code), answer.json()["reason"] if is_problem else ""


@dataclass(frozen=True, slots=True)
class Case:
    """One bad input.

    Attributes:
        row: of the table.
        name: what it is.
        send: sends it; given a number that differs between those who send at once.
        expected: answer.
    """

    row: int
    name: str
    send: Callable[[Sender, int], Awaitable[Answer]]
    expected: Answer


def told(row: int, name: str, requests: list[Request], code: str, reason: str) -> Case:
    """Return the case of some messages on a call."""
    return Case(row, name, lambda sender, _: sender.tell(*requests), (code, reason))


def init(**fields: Any) -> Request:
    """Open a session of 16 kHz speech with the good picture, unless said otherwise."""
    fields.setdefault("portrait", good_png())
    fields.setdefault("audio", init_pb2.AudioFormat(encoding=LINEAR16, sample_rate_hz=16_000))
    return Request(init=init_pb2.Init(**fields))


def audio(content: bytes, segment_id: str = "", seq: int | None = None) -> Request:
    """Speak."""
    return Request(audio=media_pb2.Audio(segment_id=segment_id, data=content, seq=seq))


def over() -> Request:
    """Say that no more audio comes."""
    return Request(end_of_audio=media_pb2.EndOfAudio())


def picture(size: tuple[int, int], kind: str = "PNG", mode: str = "RGB") -> bytes:
    """Return a picture of one colour as a file."""
    content = io.BytesIO()
    Image.new(mode, size).save(content, kind)
    return content.getvalue()


def good_png() -> bytes:
    """Return a small picture that the fake engine takes."""
    return picture((64, 64))


def faces() -> list[Case]:
    """Return the row on faces, which needs an engine that looks for them."""
    flat = picture((512, 512))
    canvas = Image.new("RGB", (512, 512), (128, 128, 128))
    canvas.paste(Image.open(asset_path("astronaut.png")).convert("RGB").resize((224, 224)), (144, 144))
    content = io.BytesIO()
    canvas.save(content, "PNG")
    return [
        told(10, "no face", [init(portrait=flat)], "INVALID_ARGUMENT", "NO_FACE"),
        told(10, "small face", [init(portrait=content.getvalue())], "INVALID_ARGUMENT", "SMALL_FACE"),
    ]

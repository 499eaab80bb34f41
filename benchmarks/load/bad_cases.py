"""Owns what a bad input is: how it is sent, by many at once, and what must be answered.

The rows' numbers are those of the tests.
"""

from __future__ import annotations

import asyncio
import io
import sys
from collections import Counter
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
LARGE_ROWS: Final = {5, 40}
LARGE_AT_ONCE: Final = 20
"""A hundred times ten megabytes at once would measure how slowly one client process sends them."""
WITHIN_S: Final = 120.0
Played = list[tuple[int, str, Answer, dict[Answer, int]]]
"""Of each case the row, its name, the answer that is expected, and how often which one came."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Connections to a service and its gateway.

    Attributes:
        channel: to the service.
        stub: on that channel.
        http: to the gateway; without an address where there is none.
        takes: ids of sessions of the gateway, one for each of those who send at once, and the last for all of them.
    """

    channel: grpc.aio.Channel
    stub: AvatarServiceStub
    http: httpx.AsyncClient
    takes: list[str] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def connected(cls, target: str, base: str, at_once: int) -> AsyncIterator[Sender]:
        """Connect to a service, and to a gateway where ``base`` names one."""
        # A connection that is kept may be closed by the server, idle as it is, just when it is used again.
        limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=0)
        async with (
            grpc.aio.insecure_channel(target, options=channel_options()) as channel,
            httpx.AsyncClient(base_url=base, timeout=WITHIN_S, limits=limits) as http,
        ):
            yield cls(channel, AvatarServiceStub(channel), http)

    @asynccontextmanager
    async def with_takes(self, count: int) -> AsyncIterator[None]:
        """Open so many sessions of the gateway while the context lasts; what was not deleted in it is then."""
        for _ in range(count):
            self.takes.append(await self.open_take())
        yield
        for take in self.takes:
            await self.http.delete(f"{API}/session/{take}")
        self.takes.clear()

    async def open_take(self) -> str:
        """Open a session of the gateway and return its id."""
        answer = await self.http.post(f"{API}/init", files={"image": ("portrait", good_png())})
        answer.raise_for_status()
        session_id: str = answer.json()["session_id"]
        return session_id

    async def tell(self, *requests: Request) -> Answer:
        """Send requests on a call of their own, leave it open, and return how the server ended it."""
        return await exchange(self.stub.StreamAvatar(), *requests)

    async def post(self, path: str, **request: Any) -> Answer:
        """Post to the gateway."""
        try:
            return problem(await self.http.post(path, **request))
        except httpx.TransportError as error:
            return "CLOSED", type(error).__name__


async def exchange(call: Any, *messages: Any, may_retry: bool = False) -> Answer:
    """Write messages while reading, and return how the call ended; ``may_retry`` as for ``refusal``."""

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
        return refusal(error, may_retry=may_retry)
    finally:
        writing.cancel()
    return "OK", ""


def refusal(error: grpc.aio.AioRpcError, *, may_retry: bool = False) -> Answer:
    """Return code and reason of a failed call; with ``may_retry`` the answer must say when to come again."""
    if error.details() == "Internal error from Core":
        return LOST
    told = from_rpc_error(error)
    return told.code.name, told.reason if told.retry_after_s or not may_retry else f"{told.reason} without RetryInfo"


def problem(answer: httpx.Response) -> Answer:
    """Return status and reason; 429 and 503 must say when to come again."""
    is_problem = answer.headers.get("content-type", "") == "application/problem+json"
    reason = answer.json()["reason"] if is_problem else ""
    is_told = answer.status_code not in {429, 503} or int(answer.headers.get("retry-after", 0)) > 0
    return str(answer.status_code), reason if is_told else f"{reason} without Retry-After"


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


async def play(sender: Sender, at_once: int, cases: list[Case]) -> Played:
    """Send each case so many times at once, one case after another; return what was answered how often."""
    played: Played = []
    for case in cases:
        answers: Counter[Answer] = Counter()
        most = LARGE_AT_ONCE if case.row in LARGE_ROWS else at_once
        for first in range(0, at_once, most):
            async with asyncio.timeout(WITHIN_S):
                numbers = range(first, min(first + most, at_once))
                answers.update(await asyncio.gather(*(case.send(sender, number) for number in numbers)))
        played.append((case.row, case.name, case.expected, dict(answers)))
        sys.stderr.write(f"row {case.row}, {case.name}: {dict(answers)}\n")
    return played


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

"""The border that every call passes, around a servicer that does what a test says."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import numpy as np
import pytest
from avatar.v1 import avatar_service_pb2, avatar_service_pb2_grpc
from avatar_client.channel import channel_options

from avatar_service.errors import AbortedError, InvalidArgumentError
from avatar_service.rpc.interceptors import ErrorInterceptor
from avatar_service.rpc.server import OPTIONS

if TYPE_CHECKING:
    from tests.conftest import Say

Handler = Callable[[Any, grpc.aio.ServicerContext], Awaitable[None]]


class Scripted(avatar_service_pb2_grpc.AvatarServiceServicer):
    """Does in both methods what the test says."""

    handler: Handler

    async def StreamAvatar(self, request_iterator: Any, context: Any) -> None:  # type: ignore[override]  # noqa: N802
        """Serve."""
        await self.handler(request_iterator, context)

    async def GetCapabilities(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Serve."""
        await self.handler(request, context)
        return avatar_service_pb2.GetCapabilitiesResponse()


@pytest.fixture
def scripted() -> Scripted:
    """The servicer whose handler a test sets."""
    return Scripted()


@pytest.fixture
async def stub(scripted: Scripted) -> AsyncIterator[avatar_service_pb2_grpc.AvatarServiceStub]:
    """A stub of the servicer behind the interceptor."""
    server = grpc.aio.server(interceptors=[ErrorInterceptor()], options=OPTIONS)
    avatar_service_pb2_grpc.add_AvatarServiceServicer_to_server(scripted, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=channel_options()) as channel:
        yield avatar_service_pb2_grpc.AvatarServiceStub(channel)
    await server.stop(None)


async def outcome(stub: Any, method: str) -> grpc.aio.AioRpcError:
    """Call a method and return its error; a call that hangs fails."""
    unary = method == "GetCapabilities"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(
            stub.GetCapabilities(avatar_service_pb2.GetCapabilitiesRequest()) if unary else stub.StreamAvatar().read(),
            timeout=5,
        )
    return caught.value


def raising(error: BaseException) -> Handler:
    """Return a handler that raises."""

    async def handler(_request: Any, _context: grpc.aio.ServicerContext) -> None:
        raise error

    return handler


@pytest.mark.parametrize("method", ["StreamAvatar", "GetCapabilities"])
@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (LookupError("/srv/secret"), "INTERNAL", "the server failed on this call; its log says why"),
        (AssertionError("secret"), "INTERNAL", "the server failed on this call; its log says why"),
        (AbortedError("R", "given up"), "ABORTED", "given up"),
        (ExceptionGroup("g", [ValueError("s"), AbortedError("R", "given up")]), "ABORTED", "given up"),
        (ExceptionGroup("g", [ValueError("secret")]), "INTERNAL", "the server failed on this call; its log says why"),
        (asyncio.CancelledError("secret"), "UNAVAILABLE", "the server gave this call up; try again"),
        (InvalidArgumentError("R", "zwölf · 12", field="f"), "INVALID_ARGUMENT", "zwölf · 12"),
    ],
    ids=["unknown", "assertion", "ours", "ours in a group", "unknown in a group", "cancelled", "not ASCII"],
)
async def test_whatever_a_handler_raises_becomes_a_status(
    stub: Any, scripted: Scripted, method: str, error: BaseException, code: str, text: str
) -> None:
    """Ours as it is, anything else without its text; never a hang."""
    scripted.handler = raising(error)
    status = await outcome(stub, method)
    assert (status.code(), status.details()) == (grpc.StatusCode[code], text)


async def test_awaiting_a_cancelled_task_does_not_hang(stub: Any, scripted: Scripted) -> None:
    """The cancellation of somebody else's task is not the caller's."""

    async def handler(_request: Any, _context: grpc.aio.ServicerContext) -> None:
        task = asyncio.create_task(asyncio.Event().wait())
        task.cancel()
        await task

    scripted.handler = handler
    assert (await outcome(stub, "StreamAvatar")).code() is grpc.StatusCode.UNAVAILABLE


async def test_a_failed_call_leaves_nothing_of_its_handler(stub: Any, scripted: Scripted) -> None:
    """What the handler held when it raised, a portrait of 10 MiB perhaps, is free again once the call is over."""
    held: list[weakref.ref[Any]] = []

    async def handler(_request: Any, _context: grpc.aio.ServicerContext) -> None:
        portrait = np.zeros(1)
        held.append(weakref.ref(portrait))
        raise AbortedError("R", "given up")

    scripted.handler = handler
    await asyncio.gather(*[outcome(stub, "StreamAvatar") for _ in range(8)])
    async with asyncio.timeout(10):
        while any(portrait() is not None for portrait in held):
            gc.collect()
            await asyncio.sleep(0.01)


# What the design rests on: facts about grpc.aio -------------------------------------------------------------------


async def test_fact_1_the_requests_end_normally_when_the_client_cancels(stub: Any, scripted: Scripted) -> None:
    """The iterator's end is no goodbye: it ends after a cancel as after a half-close."""
    seen: asyncio.Queue[str] = asyncio.Queue()

    async def handler(requests: Any, _context: grpc.aio.ServicerContext) -> None:
        try:
            async for _ in requests:
                seen.put_nowait("request")
            seen.put_nowait("end")
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.put_nowait("cancelled")
            raise

    scripted.handler = handler
    call = stub.StreamAvatar()
    await call.write(avatar_service_pb2.StreamAvatarRequest())
    async with asyncio.timeout(5):
        assert await seen.get() == "request"
        call.cancel()
        assert [await seen.get(), await seen.get()] == ["end", "cancelled"]


async def test_fact_2_with_small_windows_a_write_waits_for_the_reader(stub: Any, scripted: Scripted, say: Say) -> None:
    """A reader that does not read stops the writer within a few hundred kilobytes, both ways."""
    written = 0
    waits = asyncio.Event()

    async def handler(_requests: Any, context: grpc.aio.ServicerContext) -> None:
        nonlocal written
        message = avatar_service_pb2.StreamAvatarResponse()
        message.video.data = bytes(16 * 1024)
        for _ in range(1_000):
            try:
                async with asyncio.timeout(0.3):
                    await context.write(message)
            except TimeoutError:
                waits.set()
                return
            written += 16 * 1024

    scripted.handler = handler
    call = stub.StreamAvatar()
    async with asyncio.timeout(10):
        await call.write(say.over())
        await waits.wait()
    assert written < 1_000_000
    call.cancel()


async def test_fact_2_with_small_windows_a_client_waits_for_the_server(stub: Any, scripted: Scripted, say: Say) -> None:
    """A server that does not read holds the client back: flow control is the credit."""

    async def handler(_requests: Any, _context: grpc.aio.ServicerContext) -> None:
        await asyncio.Event().wait()

    scripted.handler = handler
    call = stub.StreamAvatar()
    written = 0
    with suppress(TimeoutError):
        for _ in range(1_000):
            await asyncio.wait_for(call.write(say.audio(bytes(16 * 1024))), timeout=0.3)
            written += 16 * 1024
    assert written < 1_000_000
    call.cancel()


async def test_fact_5_without_the_interceptor_an_error_leaks(scripted: Scripted) -> None:
    """A plain server tells the client the exception's class and text: the border is compulsory."""
    scripted.handler = raising(ExceptionGroup("g", [LookupError("secret")]))
    server = grpc.aio.server()
    avatar_service_pb2_grpc.add_AvatarServiceServicer_to_server(scripted, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        status = await outcome(avatar_service_pb2_grpc.AvatarServiceStub(channel), "StreamAvatar")
    await server.stop(None)
    assert status.code() is grpc.StatusCode.UNKNOWN
    assert "ExceptionGroup" in (status.details() or "")

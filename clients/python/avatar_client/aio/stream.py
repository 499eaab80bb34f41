"""Owns one session of the client for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

import grpc
import grpc.aio
from avatar.v1.avatar_service_pb2 import (
    StreamAvatarRequest,
    StreamAvatarResponse,
)

from avatar_client import requests
from avatar_client.channel import ROOM_WITHIN_S
from avatar_client.errors import (
    AvatarRpcError,
    ended_early,
    from_rpc_error,
    not_ready,
    session_left,
    session_over,
)
from avatar_client.requests import SessionRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from avatar.v1.control_pb2 import Control
    from avatar.v1.event_pb2 import Ready

    Call = grpc.aio.StreamStreamCall[StreamAvatarRequest, StreamAvatarResponse]


class AvatarStream:
    """One session: an async context manager that opens it, and an async iterator over what the server says.

    Entering waits until the session is ready. Sending and iterating may run in different tasks, and must where
    more than 10 s of audio are sent at once: the server then holds the sender back until frames are read. Leaving
    before the last response aborts the session.

    Attributes:
        ready: what the session will really do; set once entered.
    """

    ready: Ready

    def __init__(self, call: Call, request: SessionRequest, *, ready_timeout_s: float) -> None:
        self._call = call
        self._request = request
        self._ready_timeout_s = ready_timeout_s
        self._responses: AsyncIterator[StreamAvatarResponse] = aiter(call)

    async def __aenter__(self) -> Self:
        """Open the session and wait for ``ready``.

        Raises:
            AvatarRpcError: if the server refuses, cannot be reached or does not answer in time.
        """
        try:
            async with asyncio.timeout(self._ready_timeout_s):
                if self._request.is_large:
                    await self._await_room()
                await self.send(self._request.message())
                first = await anext(self)
        except TimeoutError:
            self._call.cancel()
            raise not_ready(self._ready_timeout_s) from None
        except StopAsyncIteration:
            raise ended_early() from None
        except BaseException:
            self._call.cancel()
            raise
        self.ready = first.ready
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Abort the session if it still runs."""
        self._call.cancel()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamAvatarResponse:
        """Return the next response; the iteration ends after the last frame.

        Raises:
            AvatarRpcError: if the session failed, or was left.
        """
        try:
            return await anext(self._responses)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None
        except asyncio.CancelledError:
            if _is_being_cancelled():
                raise
            raise session_left() from None

    async def send_audio(self, data: bytes, segment_id: str = "") -> None:
        """Send speech in messages of whole samples, at most 64 KiB each; waits while the server holds it back.

        Args:
            data: samples as the session's audio format says.
            segment_id: the utterance; empty means the open one, or a new one that the server names.

        Raises:
            AvatarRpcError: if the session is over.
        """
        for message in requests.audio_messages(data, segment_id, self._request.audio):
            await self.send(message)

    async def end_segment(self, segment_id: str = "") -> None:
        """Close a segment, by default the open one; its last frames follow.

        Raises:
            AvatarRpcError: if the session is over.
        """
        await self.send(requests.end_of_segment(segment_id))

    async def end_audio(self) -> None:
        """Say that no more audio comes, so that the session ends after its last frame.

        Raises:
            AvatarRpcError: if the session is over.
        """
        await self.send(requests.end_of_audio())

    async def interrupt(self, segment_id: str = "") -> None:
        """Stop speech at once, by default all of it; answered by one ``interrupted`` event.

        Raises:
            AvatarRpcError: if the session is over.
        """
        await self.send(requests.interrupt(segment_id))

    async def control(self, changes: Control) -> None:
        """Change how the avatar looks or how its video is sent; what the server does not know it answers by a warning.

        Raises:
            AvatarRpcError: if the session is over.
        """
        await self.send(requests.control(changes))

    async def send(self, message: StreamAvatarRequest) -> None:
        """Send any message.

        Raises:
            AvatarRpcError: if the session is over.
        """
        try:
            await self._call.write(message)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None
        except asyncio.InvalidStateError:  # the call ended before this write
            raise await self._ending() from None
        except asyncio.CancelledError:
            if _is_being_cancelled():
                raise
            raise session_left() from None

    async def _await_room(self) -> None:
        """Return when the server has room, or does not know that it is waited for.

        Raises:
            AvatarRpcError: if it has refused the call.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ROOM_WITHIN_S):
                await self._call.initial_metadata()
        if self._call.done():  # so that no request is made of a portrait that will not travel
            raise await self._ending()

    async def _ending(self) -> AvatarRpcError:
        """Return why nothing can be sent any more."""
        code = await self._call.code()
        if code is grpc.StatusCode.OK:
            return session_over()
        message = await self._call.details()
        error = grpc.aio.AioRpcError(
            code, await self._call.initial_metadata(), await self._call.trailing_metadata(), message
        )
        return from_rpc_error(error)


def _is_being_cancelled() -> bool:
    """Tell this task's own cancellation from that of a call that was left, which looks the same to a reader."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

"""Owns one session of the client for asyncio that outlives its calls."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from avatar_client.aio.stream import AvatarStream
from avatar_client.errors import AvatarRpcError
from avatar_client.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from avatar.v1.avatar_service_pb2 import StreamAvatarRequest, StreamAvatarResponse

    from avatar_client.aio.stream import Call
    from avatar_client.requests import SessionRequest


class ResumingStream(AvatarStream):
    """A session as ``AvatarStream``, whose call is replaced when it breaks off.

    What the server lacks is sent again, what was missed comes again, nothing comes twice. Sending and iterating go on
    meanwhile, but wait; they fail once the server has nothing to go on with any more.
    """

    def __init__(
        self,
        connect: Callable[[SessionRequest], Call],
        request: SessionRequest,
        *,
        ready_timeout_s: float,
        resume_s: float,
    ) -> None:
        self._connect = connect
        self._request = replace(request, resumable=True)
        self._ready_timeout_s = ready_timeout_s
        self._resume_s = resume_s
        self._progress = Progress()
        self._heard: deque[StreamAvatarResponse] = deque()
        self._turn = asyncio.Lock()
        self._joining = asyncio.Lock()
        self._resending: asyncio.Task[None] | None = None
        self._stream = self._next = AvatarStream(connect(self._request), self._request, ready_timeout_s=ready_timeout_s)

    async def __aenter__(self) -> Self:
        """Open the session and wait for ``ready``.

        Raises:
            AvatarRpcError: if the server refuses, cannot be reached or does not answer in time.
        """
        await self._begin(self._stream)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Abort the session if it still runs."""
        if self._resending is not None:
            self._resending.cancel()
            await asyncio.wait({self._resending})
        await self._stream.__aexit__(kind, error, trace)

    async def __anext__(self) -> StreamAvatarResponse:
        """Return the next response; the iteration ends after the last frame.

        Raises:
            AvatarRpcError: if the session failed, was left, or could not be gone on with.
        """
        while not self._heard:
            stream = self._stream
            try:
                response = await anext(stream)
            except AvatarRpcError as error:
                await self._go_on(stream, error)
            else:
                if stream is self._next:  # else it comes again in the call that goes on
                    self._heard.extend(self._progress.hear(response))
        return self._heard.popleft()

    async def send(self, message: StreamAvatarRequest) -> None:
        """Send any message; waits for another call if this one breaks off.

        Raises:
            AvatarRpcError: if the session is over, or could not be gone on with.
        """
        self._progress.say(message)
        await self._flush()

    async def _flush(self) -> None:
        """Send what this call was not given yet."""
        async with self._turn:
            while self._progress.sent < self._progress.said:
                stream = self._stream
                try:
                    await stream.send(self._progress.next())
                except AvatarRpcError as error:
                    await self._go_on(stream, error)
                else:
                    self._progress.sent += stream is self._stream

    async def _go_on(self, lost: AvatarStream, error: AvatarRpcError) -> None:
        """Have another call in the place of the one that is lost, whoever noticed; raise if there can be none."""
        async with self._joining:
            if self._stream is not lost:
                return
            if not self._progress.may_go_on(error):
                raise error
            await self._resume(error)
        # In a task, because the reader must not wait for what the server takes only while it reads.
        self._resending = asyncio.create_task(self._resend())

    async def _resume(self, error: AvatarRpcError) -> None:
        loop = asyncio.get_running_loop()
        tries = self._progress.tries(self._resume_s, self.ready, loop.time())
        while True:
            request = replace(self._request, resume=self._progress.resume)
            self._next = AvatarStream(self._connect(request), request, ready_timeout_s=self._ready_timeout_s)
            try:
                await self._begin(self._next)
            except AvatarRpcError as refusal:
                pause_s = tries.pause_s(refusal, loop.time())
                if pause_s is None:
                    raise refusal from error
                await asyncio.sleep(pause_s)
            else:
                return

    async def _begin(self, stream: AvatarStream) -> None:
        await stream.__aenter__()
        self._stream = stream
        self.ready = stream.ready
        self._progress.begin(stream.ready)

    async def _resend(self) -> None:
        with contextlib.suppress(AvatarRpcError):  # whoever sends or reads next is told
            await self._flush()

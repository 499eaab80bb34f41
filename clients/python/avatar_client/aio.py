"""Owns the asyncio client: one channel, any number of sessions. Never retries and never keeps frames."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

import grpc
import grpc.aio
from avatar.v1.avatar_service_pb2 import (
    EndSessionRequest,
    GetCapabilitiesRequest,
    GetCapabilitiesResponse,
    GetSessionRequest,
    StreamAvatarRequest,
    StreamAvatarResponse,
)
from avatar.v1.avatar_service_pb2_grpc import AvatarServiceStub
from avatar.v1.init_pb2 import SESSION_MODE_UNSPECIFIED, AudioFormat, GenerationParameters, SessionMode, VideoFormat

from avatar_client import requests
from avatar_client.channel import DEFAULT_CALL_TIMEOUT_S, DEFAULT_READY_TIMEOUT_S, channel_options
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
    from collections.abc import AsyncIterable, AsyncIterator, Sequence
    from types import TracebackType

    from avatar.v1.avatar_service_pb2_grpc import AvatarServiceAsyncStub
    from avatar.v1.event_pb2 import Ready, SessionStatus

    _Call = grpc.aio.StreamStreamCall[StreamAvatarRequest, StreamAvatarResponse]


class AvatarStream:
    """One session: an async context manager that opens it, and an async iterator over what the server says.

    Entering waits until the session is ready. Sending and iterating may run in different tasks, and must where
    more than 10 s of audio are sent at once: the server then holds the sender back until frames are read. Leaving
    before the last response aborts the session.

    Attributes:
        ready: what the session will really do; set once entered.
    """

    ready: Ready

    def __init__(self, call: _Call, request: SessionRequest, *, ready_timeout_s: float) -> None:
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
                await self._send(self._request.message())
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
            await self._send(message)

    async def end_segment(self, segment_id: str = "") -> None:
        """Close a segment, by default the open one; its last frames follow.

        Raises:
            AvatarRpcError: if the session is over.
        """
        await self._send(requests.end_of_segment(segment_id))

    async def end_audio(self) -> None:
        """Say that no more audio comes, so that the session ends after its last frame.

        Raises:
            AvatarRpcError: if the session is over.
        """
        await self._send(requests.end_of_audio())

    async def interrupt(self, segment_id: str = "") -> None:
        """Stop speech at once, by default all of it; answered by one ``interrupted`` event.

        Raises:
            AvatarRpcError: if the session is over.
        """
        await self._send(requests.interrupt(segment_id))

    async def _send(self, message: StreamAvatarRequest) -> None:
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


class AvatarClient:
    """A connection to one server; an async context manager. Sessions share it.

    Args:
        target: ``host:port``.
        credentials: of a TLS channel; ``None`` means plain text.
        ready_timeout_s: how long opening a session may take.
    """

    def __init__(
        self,
        target: str,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        ready_timeout_s: float = DEFAULT_READY_TIMEOUT_S,
    ) -> None:
        options = channel_options()
        self._channel = (
            grpc.aio.insecure_channel(target, options=options)
            if credentials is None
            else grpc.aio.secure_channel(target, credentials, options=options)
        )
        self._stub: AvatarServiceAsyncStub = AvatarServiceStub(self._channel)
        self._ready_timeout_s = ready_timeout_s

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the channel; sessions that still run are aborted."""
        await self._channel.close()

    async def capabilities(self, *, timeout_s: float = DEFAULT_CALL_TIMEOUT_S) -> GetCapabilitiesResponse:
        """Return what the server offers and how much of it is free.

        Raises:
            AvatarRpcError: if the server cannot be reached or does not answer in time.
        """
        try:
            return await self._stub.GetCapabilities(GetCapabilitiesRequest(), timeout=timeout_s)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None

    async def session_status(self, session_id: str, *, timeout_s: float = DEFAULT_CALL_TIMEOUT_S) -> SessionStatus:
        """Return how a session stands, this client's or another's; its id is in ``ready``.

        Raises:
            AvatarRpcError: ``NOT_FOUND`` if it is over or unknown.
        """
        try:
            return (await self._stub.GetSession(GetSessionRequest(session_id=session_id), timeout=timeout_s)).status
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None

    async def end_session(self, session_id: str, *, timeout_s: float = DEFAULT_CALL_TIMEOUT_S) -> None:
        """End a session from outside; its own call fails with ``ABORTED``, ``SESSION_ENDED``.

        Raises:
            AvatarRpcError: ``NOT_FOUND`` if it is over or unknown.
        """
        try:
            await self._stub.EndSession(EndSessionRequest(session_id=session_id), timeout=timeout_s)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None

    def stream(
        self,
        portrait: bytes,
        *,
        audio: AudioFormat,
        video: Sequence[VideoFormat] = (),
        engine: str = "",
        mode: SessionMode = SESSION_MODE_UNSPECIFIED,
        generation: GenerationParameters | None = None,
        timeout_s: float | None = None,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> AvatarStream:
        """Return a session to be entered with ``async with``.

        Args:
            portrait: JPEG, PNG or WebP file, at most 10 MiB.
            audio: how the speech is encoded; encoding and rate must be given.
            video: one or two formats; none means one H.264 in the engine's own size.
            engine: name as ``capabilities()`` lists it; empty means the server's default.
            mode: when frames are made; unspecified means on audio.
            generation: how the picture is animated; ``None`` means the defaults.
            timeout_s: how long the whole session may last; ``None`` leaves that to the server's own limits, which
                end a session that makes no progress.
            metadata: of the call, e.g. ``x-request-id`` for the server's log.
        """
        request = SessionRequest(portrait, audio, video, engine, mode, generation)
        call = self._stub.StreamAvatar(timeout=timeout_s, metadata=tuple(metadata))
        return AvatarStream(call, request, ready_timeout_s=self._ready_timeout_s)

    @contextlib.asynccontextmanager
    async def animate(
        self,
        portrait: bytes,
        chunks: AsyncIterable[bytes],
        *,
        audio: AudioFormat,
        video: Sequence[VideoFormat] = (),
        engine: str = "",
        generation: GenerationParameters | None = None,
    ) -> AsyncIterator[AvatarStream]:
        """Send ``chunks`` as one utterance while the responses are read.

        ``async with client.animate(...) as stream: async for response in stream: ...``; leaving stops both
        directions. Arguments are those of ``stream``.

        Raises:
            AvatarRpcError: if the session fails. Errors of ``chunks`` come through as they are.
        """
        session = self.stream(portrait, audio=audio, video=video, engine=engine, generation=generation)
        async with session as stream:
            try:
                async with asyncio.TaskGroup() as tasks:
                    feeding = tasks.create_task(_feed(stream, chunks))
                    yield stream
                    feeding.cancel()
            except BaseExceptionGroup as group:
                raise _first(group) from None


async def _feed(stream: AvatarStream, chunks: AsyncIterable[bytes]) -> None:
    async for chunk in chunks:
        try:
            await stream.send_audio(chunk)
        except AvatarRpcError:
            return  # the reader of the responses is told the same, with all that came before it
    with contextlib.suppress(AvatarRpcError):
        await stream.end_audio()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _is_being_cancelled() -> bool:
    """Tell this task's own cancellation from that of a call that was left, which looks the same to a reader."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

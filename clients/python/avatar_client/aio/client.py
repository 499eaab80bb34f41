"""Owns the asyncio client: one channel, any number of sessions. Never retries and never keeps frames."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

import grpc
import grpc.aio
from avatar.v1.avatar_pb2 import Avatar, CreateAvatarRequest, DeleteAvatarRequest, ListAvatarsRequest
from avatar.v1.avatar_service_pb2 import (
    EndSessionRequest,
    GetCapabilitiesRequest,
    GetCapabilitiesResponse,
    GetSessionRequest,
)
from avatar.v1.avatar_service_pb2_grpc import AvatarServiceStub
from avatar.v1.init_pb2 import (
    DEGRADATION_PREFERENCE_UNSPECIFIED,
    SESSION_MODE_UNSPECIFIED,
    AudioFormat,
    DegradationPreference,
    GenerationParameters,
    SessionMode,
    VideoFormat,
)

from avatar_client.aio.resuming import ResumingStream
from avatar_client.aio.stream import AvatarStream
from avatar_client.channel import AWAITS_ROOM, DEFAULT_CALL_TIMEOUT_S, DEFAULT_READY_TIMEOUT_S, channel_options
from avatar_client.errors import (
    AvatarRpcError,
    from_rpc_error,
)
from avatar_client.requests import SessionRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Sequence
    from types import TracebackType

    from avatar.v1.avatar_service_pb2_grpc import AvatarServiceAsyncStub
    from avatar.v1.event_pb2 import SessionStatus

    from avatar_client.aio.stream import Call


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

    async def create_avatar(
        self,
        portrait: bytes,
        *,
        engine: str = "",
        crop: bool = True,
        crop_scale: float = 1.0,
        paste_back: bool = False,
        display_name: str = "",
        timeout_s: float = DEFAULT_READY_TIMEOUT_S,
    ) -> Avatar:
        """Have the server prepare a portrait ahead; sessions then name it by its ``avatar_id``.

        Args:
            portrait: JPEG, PNG or WebP file, at most 10 MiB.
            engine: name as ``capabilities()`` lists it; empty means the server's default.
            crop: find the face and crop to it.
            crop_scale: size of the crop relative to the engine's own, 0.5 to 2.
            paste_back: show the whole picture with the animated face in its place.
            display_name: for people who look at the list; at most 128 characters.
            timeout_s: how long that may take.

        Raises:
            AvatarRpcError: if the portrait cannot be animated, or the server keeps as many as it may.
        """
        request = CreateAvatarRequest(
            portrait=portrait,
            engine=engine,
            crop=crop,
            crop_scale=crop_scale,
            paste_back=paste_back,
            display_name=display_name,
        )
        try:
            return (await self._stub.CreateAvatar(request, timeout=timeout_s)).avatar
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None

    async def avatars(self, *, timeout_s: float = DEFAULT_CALL_TIMEOUT_S) -> list[Avatar]:
        """Return the avatars that the server keeps, the oldest first.

        Raises:
            AvatarRpcError: if the server cannot be reached or does not answer in time.
        """
        try:
            return [*(await self._stub.ListAvatars(ListAvatarsRequest(), timeout=timeout_s)).avatars]
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None

    async def delete_avatar(self, avatar_id: str, *, timeout_s: float = DEFAULT_CALL_TIMEOUT_S) -> None:
        """Have the server forget an avatar; sessions that show it go on.

        Raises:
            AvatarRpcError: ``NOT_FOUND`` if it is not kept.
        """
        try:
            await self._stub.DeleteAvatar(DeleteAvatarRequest(avatar_id=avatar_id), timeout=timeout_s)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None

    def stream(  # noqa: PLR0913 - one argument per field of init
        self,
        portrait: bytes = b"",
        *,
        avatar_id: str = "",
        audio: AudioFormat,
        video: Sequence[VideoFormat] = (),
        engine: str = "",
        mode: SessionMode = SESSION_MODE_UNSPECIFIED,
        generation: GenerationParameters | None = None,
        timeout_s: float | None = None,
        metadata: Sequence[tuple[str, str]] = (),
        resume_s: float = 0.0,
        degradation_preference: DegradationPreference = DEGRADATION_PREFERENCE_UNSPECIFIED,
    ) -> AvatarStream:
        """Return a session to be entered with ``async with``.

        Args:
            portrait: JPEG, PNG or WebP file, at most 10 MiB.
            avatar_id: of ``create_avatar``, instead of a portrait.
            audio: how the speech is encoded; encoding and rate must be given.
            video: one or two formats; none means one H.264 in the engine's own size.
            engine: name as ``capabilities()`` lists it; empty means the server's default.
            mode: when frames are made; unspecified means on audio.
            generation: how the picture is animated; ``None`` means the defaults.
            timeout_s: how long the whole session may last; ``None`` leaves that to the server's own limits, which
                end a session that makes no progress.
            metadata: of the call, e.g. ``x-request-id`` for the server's log.
            resume_s: when the connection or the engine is lost, try for so long to open another call and go on as if
                nothing had happened; the server keeps the session for ``ready.limits.resume_window``. 0: never.
            degradation_preference: of a LIVE session: MAINTAIN_RESOLUTION admits it where a whole place is not free,
                and may leave out every second frame; unspecified means never.
        """
        request = SessionRequest(
            portrait,
            audio,
            video,
            engine,
            mode,
            generation,
            avatar_id,
            degradation_preference=degradation_preference,
        )

        def connect(request: SessionRequest) -> Call:
            marks = (AWAITS_ROOM,) if request.is_large else ()
            return self._stub.StreamAvatar(timeout=timeout_s, metadata=(*metadata, *marks))

        if resume_s:
            return ResumingStream(connect, request, ready_timeout_s=self._ready_timeout_s, resume_s=resume_s)
        return AvatarStream(connect(request), request, ready_timeout_s=self._ready_timeout_s)

    @contextlib.asynccontextmanager
    async def animate(
        self,
        portrait: bytes,
        chunks: AsyncIterable[bytes],
        *,
        audio: AudioFormat,
        video: Sequence[VideoFormat] = (),
        engine: str = "",
        avatar_id: str = "",
        generation: GenerationParameters | None = None,
    ) -> AsyncIterator[AvatarStream]:
        """Send ``chunks`` as one utterance while the responses are read.

        ``async with client.animate(...) as stream: async for response in stream: ...``; leaving stops both
        directions. Arguments are those of ``stream``.

        Raises:
            AvatarRpcError: if the session fails. Errors of ``chunks`` come through as they are.
        """
        session = self.stream(
            portrait, audio=audio, video=video, engine=engine, generation=generation, avatar_id=avatar_id
        )
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

"""Owns the client for plain threads, in the same shape as ``aio``. Never retries and never keeps frames."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Final, Self

import grpc
from avatar.v1.avatar_pb2 import Avatar, CreateAvatarRequest, DeleteAvatarRequest, ListAvatarsRequest
from avatar.v1.avatar_service_pb2 import (
    EndSessionRequest,
    GetCapabilitiesRequest,
    GetCapabilitiesResponse,
    GetSessionRequest,
    StreamAvatarResponse,
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

from avatar_client.channel import DEFAULT_CALL_TIMEOUT_S, DEFAULT_READY_TIMEOUT_S, channel_options
from avatar_client.errors import (
    AvatarRpcError,
    from_rpc_error,
)
from avatar_client.requests import SessionRequest
from avatar_client.sync.resuming import ResumingStream
from avatar_client.sync.stream import AvatarStream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from avatar.v1.event_pb2 import SessionStatus

    _Call = grpc._CallIterator[StreamAvatarResponse]  # noqa: SLF001 - the stubs' name for a call that is iterated

DEFAULT_SEND_TIMEOUT_S: Final = 60.0
"""How long the server may hold one message back."""

_JOIN_TIMEOUT_S: Final = 5.0


class AvatarClient:
    """A connection to one server; a context manager. Sessions share it, and so may threads.

    Args:
        target: ``host:port``.
        credentials: of a TLS channel; ``None`` means plain text.
        ready_timeout_s: how long opening a session may take.
        send_timeout_s: how long the server may hold one message back.
    """

    def __init__(
        self,
        target: str,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        ready_timeout_s: float = DEFAULT_READY_TIMEOUT_S,
        send_timeout_s: float = DEFAULT_SEND_TIMEOUT_S,
    ) -> None:
        options = channel_options()
        self._channel = (
            grpc.insecure_channel(target, options=options)
            if credentials is None
            else grpc.secure_channel(target, credentials, options=options)
        )
        self._stub = AvatarServiceStub(self._channel)
        self._ready_timeout_s = ready_timeout_s
        self._send_timeout_s = send_timeout_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the channel; sessions that still run are aborted."""
        self._channel.close()

    def capabilities(self, *, timeout_s: float = DEFAULT_CALL_TIMEOUT_S) -> GetCapabilitiesResponse:
        """Return what the server offers and how much of it is free.

        Raises:
            AvatarRpcError: if the server cannot be reached or does not answer in time.
        """
        try:
            return self._stub.GetCapabilities(GetCapabilitiesRequest(), timeout=timeout_s)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None

    def session_status(self, session_id: str, *, timeout_s: float = DEFAULT_CALL_TIMEOUT_S) -> SessionStatus:
        """Return how a session stands, this client's or another's; its id is in ``ready``.

        Raises:
            AvatarRpcError: ``NOT_FOUND`` if it is over or unknown.
        """
        try:
            return (self._stub.GetSession(GetSessionRequest(session_id=session_id), timeout=timeout_s)).status
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None

    def end_session(self, session_id: str, *, timeout_s: float = DEFAULT_CALL_TIMEOUT_S) -> None:
        """End a session from outside; its own call fails with ``ABORTED``, ``SESSION_ENDED``.

        Raises:
            AvatarRpcError: ``NOT_FOUND`` if it is over or unknown.
        """
        try:
            self._stub.EndSession(EndSessionRequest(session_id=session_id), timeout=timeout_s)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None

    def create_avatar(
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
            return (self._stub.CreateAvatar(request, timeout=timeout_s)).avatar
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None

    def avatars(self, *, timeout_s: float = DEFAULT_CALL_TIMEOUT_S) -> list[Avatar]:
        """Return the avatars that the server keeps, the oldest first.

        Raises:
            AvatarRpcError: if the server cannot be reached or does not answer in time.
        """
        try:
            return [*(self._stub.ListAvatars(ListAvatarsRequest(), timeout=timeout_s)).avatars]
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None

    def delete_avatar(self, avatar_id: str, *, timeout_s: float = DEFAULT_CALL_TIMEOUT_S) -> None:
        """Have the server forget an avatar; sessions that show it go on.

        Raises:
            AvatarRpcError: ``NOT_FOUND`` if it is not kept.
        """
        try:
            self._stub.DeleteAvatar(DeleteAvatarRequest(avatar_id=avatar_id), timeout=timeout_s)
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
        """Return a session to be entered with ``with``; arguments are those of ``aio.AvatarClient.stream``."""
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

        def connect(request: SessionRequest) -> AvatarStream:
            return AvatarStream(
                self._stub,
                request,
                ready_timeout_s=self._ready_timeout_s,
                send_timeout_s=self._send_timeout_s,
                timeout_s=timeout_s,
                metadata=metadata,
            )

        if resume_s:
            return ResumingStream(connect, request, resume_s=resume_s, send_timeout_s=self._send_timeout_s)
        return connect(request)

    @contextlib.contextmanager
    def animate(
        self,
        portrait: bytes,
        chunks: Iterable[bytes],
        *,
        audio: AudioFormat,
        video: Sequence[VideoFormat] = (),
        engine: str = "",
        avatar_id: str = "",
        generation: GenerationParameters | None = None,
    ) -> Iterator[AvatarStream]:
        """Send ``chunks`` as one utterance, from a thread of its own, while the responses are read.

        ``with client.animate(...) as stream: for response in stream: ...``; leaving stops both directions, though
        an iterator of chunks that blocks is only let go at its next chunk. Arguments are those of ``stream``.

        Raises:
            AvatarRpcError: if the session fails. Errors of ``chunks`` come through as they are.
        """
        failures: list[Exception] = []
        with self.stream(
            portrait, audio=audio, video=video, engine=engine, generation=generation, avatar_id=avatar_id
        ) as stream:
            feeder = threading.Thread(target=_feed, args=(stream, chunks, failures), daemon=True)
            feeder.start()
            try:
                yield stream
            except AvatarRpcError:
                if not failures:
                    raise
            finally:
                stream.abort()
                feeder.join(_JOIN_TIMEOUT_S)
            if failures:
                raise failures[0]


def _feed(stream: AvatarStream, chunks: Iterable[bytes], failures: list[Exception]) -> None:
    try:
        for chunk in chunks:
            stream.send_audio(chunk)
        stream.end_audio()
    except AvatarRpcError as error:
        # Where the call ended, the reader of the responses is told the same; where it did not, this is the news.
        if error.reason == "SEND_TIMEOUT":
            failures.append(error)
            stream.abort()
    except Exception as error:  # noqa: BLE001 - it is the caller's, and is raised again in the caller's thread
        failures.append(error)
        stream.abort()

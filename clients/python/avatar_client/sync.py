"""Owns the client for plain threads, in the same shape as ``aio``. Never retries and never keeps frames."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Final, Self

import grpc
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
    held_back,
    not_ready,
    session_left,
    session_over,
)
from avatar_client.outbox import Outbox
from avatar_client.requests import SessionRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from avatar.v1.event_pb2 import Ready, SessionStatus

    _Call = grpc._CallIterator[StreamAvatarResponse]  # noqa: SLF001 - the stubs' name for a call that is iterated

DEFAULT_SEND_TIMEOUT_S: Final = 60.0
"""How long the server may hold one message back."""

_JOIN_TIMEOUT_S: Final = 5.0


class AvatarStream:
    """One session: a context manager that opens it, and an iterator over what the server says.

    Entering waits until the session is ready. Iterate in one thread; send from another where more than 10 s of
    audio are sent at once: the server then holds the sender back until frames are read. Leaving early aborts.

    Attributes:
        ready: what the session will really do; set once entered.
    """

    ready: Ready

    def __init__(
        self,
        stub: AvatarServiceStub,
        request: SessionRequest,
        *,
        ready_timeout_s: float,
        send_timeout_s: float,
        timeout_s: float | None,
        metadata: Sequence[tuple[str, str]],
    ) -> None:
        self._metadata = tuple(metadata)
        self._stub = stub
        self._request = request
        self._ready_timeout_s = ready_timeout_s
        self._send_timeout_s = send_timeout_s
        self._timeout_s = timeout_s
        self._outbox: Outbox[StreamAvatarRequest] = Outbox()
        self._left = False
        self._call: _Call

    def __enter__(self) -> Self:
        """Open the session and wait for ``ready``.

        Raises:
            AvatarRpcError: if the server refuses, cannot be reached or does not answer in time.
        """
        self._outbox.put(self._request.message(), self._send_timeout_s)
        self._call = self._stub.StreamAvatar(self._outbox, timeout=self._timeout_s, metadata=self._metadata)
        if not self._call.add_callback(self._outbox.close):
            self._outbox.close()  # the call failed already
        expired = threading.Event()
        timer = threading.Timer(self._ready_timeout_s, self._expire, [expired])
        timer.start()
        try:
            self.ready = next(self).ready
        except StopIteration:
            raise ended_early() from None
        except AvatarRpcError:
            if expired.is_set():
                raise not_ready(self._ready_timeout_s) from None
            raise
        except BaseException:
            self._call.cancel()
            raise
        finally:
            timer.cancel()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Abort the session if it still runs."""
        self.abort()

    def abort(self) -> None:
        """Give the session up, from any thread. Repeating it is harmless."""
        self._left = True
        self._call.cancel()
        self._outbox.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> StreamAvatarResponse:
        """Return the next response; the iteration ends after the last frame.

        Raises:
            AvatarRpcError: if the session failed, or was left.
        """
        try:
            return next(self._call)
        except grpc.RpcError as error:
            raise (session_left() if self._left else from_rpc_error(error)) from None

    def send_audio(self, data: bytes, segment_id: str = "") -> None:
        """Send speech in messages of whole samples, at most 64 KiB each; waits while the server holds it back.

        Args:
            data: samples as the session's audio format says.
            segment_id: the utterance; empty means the open one, or a new one that the server names.

        Raises:
            AvatarRpcError: if the session is over, or a message was held back for too long.
        """
        for message in requests.audio_messages(data, segment_id, self._request.audio):
            self._send(message)

    def end_segment(self, segment_id: str = "") -> None:
        """Close a segment, by default the open one; its last frames follow.

        Raises:
            AvatarRpcError: as for ``send_audio``.
        """
        self._send(requests.end_of_segment(segment_id))

    def end_audio(self) -> None:
        """Say that no more audio comes, so that the session ends after its last frame.

        Raises:
            AvatarRpcError: as for ``send_audio``.
        """
        self._send(requests.end_of_audio())

    def interrupt(self, segment_id: str = "") -> None:
        """Stop speech at once, by default all of it; answered by one ``interrupted`` event.

        Raises:
            AvatarRpcError: as for ``send_audio``.
        """
        self._send(requests.interrupt(segment_id))

    def _expire(self, expired: threading.Event) -> None:
        expired.set()
        self._call.cancel()

    def _send(self, message: StreamAvatarRequest) -> None:
        try:
            if self._outbox.put(message, self._send_timeout_s):
                return
        except TimeoutError:
            raise held_back(self._send_timeout_s) from None
        if self._left:
            raise session_left()
        if self._call.code() is grpc.StatusCode.OK:
            raise session_over()
        raise from_rpc_error(self._call)


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
        """Return a session to be entered with ``with``; arguments are those of ``aio.AvatarClient.stream``."""
        return AvatarStream(
            self._stub,
            SessionRequest(portrait, audio, video, engine, mode, generation),
            ready_timeout_s=self._ready_timeout_s,
            send_timeout_s=self._send_timeout_s,
            timeout_s=timeout_s,
            metadata=metadata,
        )

    @contextlib.contextmanager
    def animate(
        self,
        portrait: bytes,
        chunks: Iterable[bytes],
        *,
        audio: AudioFormat,
        video: Sequence[VideoFormat] = (),
        engine: str = "",
        generation: GenerationParameters | None = None,
    ) -> Iterator[AvatarStream]:
        """Send ``chunks`` as one utterance, from a thread of its own, while the responses are read.

        ``with client.animate(...) as stream: for response in stream: ...``; leaving stops both directions, though
        an iterator of chunks that blocks is only let go at its next chunk. Arguments are those of ``stream``.

        Raises:
            AvatarRpcError: if the session fails. Errors of ``chunks`` come through as they are.
        """
        failures: list[Exception] = []
        with self.stream(portrait, audio=audio, video=video, engine=engine, generation=generation) as stream:
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

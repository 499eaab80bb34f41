"""Owns one session of the client for plain threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

import grpc
from avatar.v1.avatar_service_pb2 import (
    StreamAvatarRequest,
    StreamAvatarResponse,
)
from avatar.v1.avatar_service_pb2_grpc import AvatarServiceStub

from avatar_client import requests
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
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from avatar.v1.control_pb2 import Control
    from avatar.v1.event_pb2 import Ready

    _Call = grpc._CallIterator[StreamAvatarResponse]  # noqa: SLF001 - the stubs' name for a call that is iterated


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
        self._cancel: Callable[[], object] = _nothing

    def __enter__(self) -> Self:
        """Open the session and wait for ``ready``.

        Raises:
            AvatarRpcError: if the server refuses, cannot be reached or does not answer in time.
        """
        self._outbox.put(self._request.message(), self._send_timeout_s)
        self._call = self._stub.StreamAvatar(self._outbox, timeout=self._timeout_s, metadata=self._metadata)
        self._cancel = self._call.cancel
        if not self._call.add_callback(self._outbox.close):
            self._outbox.close()  # the call failed already
        if self._left:
            self._cancel()  # it was given up before there was a call
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
            self._cancel()
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
        self._cancel()
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

    def control(self, changes: Control) -> None:
        """Change how the avatar looks or how its video is sent; what the server does not know it answers by a warning.

        Raises:
            AvatarRpcError: as for ``send_audio``.
        """
        self._send(requests.control(changes))

    def _expire(self, expired: threading.Event) -> None:
        expired.set()
        self._cancel()

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


def _nothing() -> None:
    """Cancel a call that has not begun."""

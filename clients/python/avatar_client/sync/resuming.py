"""Owns one session of the client for plain threads that outlives its calls."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self

from avatar_client.errors import AvatarRpcError, held_back, session_left
from avatar_client.progress import Progress
from avatar_client.sync.stream import AvatarStream

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from avatar.v1.avatar_service_pb2 import StreamAvatarRequest, StreamAvatarResponse

    from avatar_client.requests import SessionRequest

_JOIN_TIMEOUT_S: Final = 5.0


class ResumingStream(AvatarStream):
    """A session as ``AvatarStream``, whose call is replaced when it breaks off.

    What the server lacks is sent again, what was missed comes again, nothing comes twice. Sending and iterating go on
    meanwhile, but wait; they fail once the server has nothing to go on with any more.
    """

    def __init__(
        self,
        connect: Callable[[SessionRequest], AvatarStream],
        request: SessionRequest,
        *,
        resume_s: float,
        send_timeout_s: float,
    ) -> None:
        self._connect = connect
        self._request = replace(request, resumable=True)
        self._resume_s = resume_s
        self._send_timeout_s = send_timeout_s
        self._progress = Progress()
        self._heard: deque[StreamAvatarResponse] = deque()
        self._counting = threading.Lock()
        self._turn = threading.Lock()
        self._joining = threading.Lock()
        self._gone = threading.Event()
        self._resending: threading.Thread | None = None
        self._stream = self._next = connect(self._request)

    def __enter__(self) -> Self:
        """Open the session and wait for ``ready``.

        Raises:
            AvatarRpcError: if the server refuses, cannot be reached or does not answer in time.
        """
        self._begin(self._stream)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Abort the session if it still runs."""
        self.abort()
        if self._resending is not None:
            self._resending.join(_JOIN_TIMEOUT_S)

    def abort(self) -> None:
        """Give the session up, from any thread. Repeating it is harmless."""
        self._gone.set()
        for stream in (self._stream, self._next):
            stream.abort()

    def __next__(self) -> StreamAvatarResponse:
        """Return the next response; the iteration ends after the last frame.

        Raises:
            AvatarRpcError: if the session failed, was left, or could not be gone on with.
        """
        while not self._heard:
            stream = self._stream
            try:
                response = next(stream)
            except AvatarRpcError as error:
                self._go_on(stream, error)
            else:
                with self._counting:
                    if stream is self._next:  # else it comes again in the call that goes on
                        self._heard.extend(self._progress.hear(response))
        return self._heard.popleft()

    def _send(self, message: StreamAvatarRequest) -> None:
        """Send any message; waits for another call if this one breaks off."""
        if not self._turn.acquire(timeout=self._send_timeout_s):
            raise held_back(self._send_timeout_s)
        try:
            with self._counting:
                self._progress.say(message)
            self._flush()
        except AvatarRpcError as error:
            if error.reason == "SEND_TIMEOUT":
                self._progress.take_back()  # the caller knows that it was not sent
            raise
        finally:
            self._turn.release()

    def _flush(self) -> None:
        """Send what this call was not given yet; the turn is ours."""
        while True:
            with self._counting:
                if self._progress.sent == self._progress.said:
                    return
                stream, message = self._stream, self._progress.next()
            try:
                stream._send(message)  # noqa: SLF001 - it is our own kind
            except AvatarRpcError as error:
                self._go_on(stream, error)
            else:
                with self._counting:
                    self._progress.sent += stream is self._stream

    def _go_on(self, lost: AvatarStream, error: AvatarRpcError) -> None:
        """Have another call in the place of the one that is lost, whoever noticed; raise if there can be none."""
        with self._joining:
            if self._stream is not lost:
                return
            if not self._progress.may_go_on(error):
                raise error
            self._resume(error)
            # In a thread, because the reader must not wait for what the server takes only while it reads.
            self._resending = threading.Thread(target=self._resend, daemon=True)
            self._resending.start()

    def _resume(self, error: AvatarRpcError) -> None:
        tries = self._progress.tries(self._resume_s, self.ready, time.monotonic())
        while True:
            with self._counting:
                self._next = self._connect(replace(self._request, resume=self._progress.resume))
            try:
                self._begin(self._next)
            except AvatarRpcError as refusal:
                pause_s = tries.pause_s(refusal, time.monotonic())
                if pause_s is None:
                    raise refusal from error
                self._gone.wait(pause_s)
            else:
                return

    def _begin(self, stream: AvatarStream) -> None:
        if self._gone.is_set():
            raise session_left()
        stream.__enter__()
        with self._counting:
            self._stream = stream
            self.ready = stream.ready
            self._progress.begin(stream.ready)

    def _resend(self) -> None:
        with self._turn, contextlib.suppress(AvatarRpcError):  # whoever sends or reads next is told
            self._flush()

"""Owns what a resumable session has said and heard, so that another call can go on. Never touches a channel."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import grpc
from avatar.v1.init_pb2 import Resume

if TYPE_CHECKING:
    from avatar.v1.avatar_service_pb2 import StreamAvatarRequest, StreamAvatarResponse
    from avatar.v1.event_pb2 import Ready

    from avatar_client.errors import AvatarRpcError

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 2.0
"""Between two tries to go on, unless the server says when; each is twice as long as the one before."""

_BROKEN: Final = (grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
"""What a transport calls a connection that broke; the service itself would give a reason."""
_PASSING: Final = (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED)


class Progress:
    """How far both sides of one session are.

    Attributes:
        said: messages that the session was to be told, behind the first.
        sent: those that this call was given.
    """

    def __init__(self) -> None:
        self.said = 0
        self.sent = 0
        self._unconfirmed: deque[StreamAvatarRequest] = deque()
        self._token = ""
        self._received = 0
        self._formats = 1
        self._parts: list[StreamAvatarResponse] = []

    @property
    def resume(self) -> Resume:
        """What the next call opens with."""
        return Resume(token=self._token, received_messages=self._received)

    def begin(self, ready: Ready) -> None:
        """A call is ready; what the session has not taken goes to it again."""
        self._token = ready.resume_token
        self._formats = len(ready.video)
        self._parts.clear()
        self._confirm(ready.received_messages)
        self.sent = ready.received_messages

    def say(self, message: StreamAvatarRequest) -> None:
        """The session is to be told this."""
        self._unconfirmed.append(message)
        self.said += 1

    def take_back(self) -> None:
        """The last message was given to no call, and is to be given to none."""
        self._unconfirmed.pop()
        self.said -= 1

    def next(self) -> StreamAvatarRequest:
        """Return the first message that this call was not given; there must be one."""
        return self._unconfirmed[self.sent - self.said]

    def hear(self, response: StreamAvatarResponse) -> list[StreamAvatarResponse]:
        """Return what may be handed on, now that this came: a frame of several formats when it is whole."""
        match response.WhichOneof("message"):
            case "video":
                self._parts.append(response)
                if len(self._parts) < self._formats:
                    return []
                parts, self._parts = self._parts, []
                self._received += 1
                return parts
            case "event":
                self._received += 1
            case "status":
                self._confirm(response.status.received_messages)
        return [response]

    def may_go_on(self, error: AvatarRpcError) -> bool:
        """Say whether another call can go on with a session whose call ended so."""
        if not self._token or error.reason == "DRAINING":
            return False
        return error.code is grpc.StatusCode.UNAVAILABLE or (not error.reason and error.code in _BROKEN)

    def tries(self, resume_s: float, ready: Ready, now: float) -> Tries:
        """Return when calls that are to go on are tried, now that one was lost; times are in seconds."""
        return Tries(self, now + min(resume_s, ready.limits.resume_window.ToTimedelta().total_seconds()))

    def may_try_again(self, error: AvatarRpcError) -> bool:
        """Say whether a call that was to go on and failed so may be tried again."""
        return self.may_go_on(error) or error.code in _PASSING

    def _confirm(self, taken: int) -> None:
        """The session has taken so many messages, which need not be kept."""
        while self.said - len(self._unconfirmed) < taken:
            self._unconfirmed.popleft()


class Tries:
    """When a call that is to go on is tried again.

    Args:
        progress: of the session.
        until: when the last one may begin.
    """

    def __init__(self, progress: Progress, until: float) -> None:
        self._progress = progress
        self._until = until
        self._pause_s = _FIRST_PAUSE_S

    def pause_s(self, refusal: AvatarRpcError, now: float) -> float | None:
        """Return how long to wait before the next try, the last one having failed so; ``None``: there is none."""
        pause_s = refusal.retry_after_s or self._pause_s
        if not self._progress.may_try_again(refusal) or now + pause_s > self._until:
            return None
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        return pause_s

"""How a client counts, and which failures it goes on behind."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from avatar.v1.avatar_service_pb2 import StreamAvatarRequest, StreamAvatarResponse
from avatar.v1.event_pb2 import EffectiveVideo, Event, Limits, Ready, SessionStatus
from avatar.v1.media_pb2 import Audio, Video
from avatar_client.errors import AvatarRpcError
from avatar_client.progress import Progress
from google.protobuf.duration_pb2 import Duration

CODES = grpc.StatusCode


def ready(token: str, **fields: Any) -> Ready:
    """Return a call's first response."""
    return Ready(resume_token=token, **fields)


def begun(formats: int = 1) -> Progress:
    """Return a session whose first call is ready."""
    progress = Progress()
    progress.begin(ready("token", video=[EffectiveVideo()] * formats))
    return progress


def audio(number: int) -> StreamAvatarRequest:
    """Return a message that tells which one it is."""
    return StreamAvatarRequest(audio=Audio(data=bytes([number])))


def video(pts: int, number: int) -> StreamAvatarResponse:
    """Return one format of a frame."""
    return StreamAvatarResponse(video=Video(pts=pts, format=number))


def test_a_frame_counts_once_it_came_in_every_format() -> None:
    """Until then nothing of it is handed on, for it will come again."""
    progress = begun(formats=2)
    assert progress.hear(video(0, 0)) == []
    assert progress.resume.received_messages == 0
    progress.begin(ready("next", video=[EffectiveVideo()] * 2))
    assert progress.hear(video(0, 0)) == []
    assert progress.hear(video(0, 1)) == [video(0, 0), video(0, 1)]
    assert (progress.resume.received_messages, progress.resume.token) == (1, "next")


def test_events_count_and_statuses_do_not() -> None:
    """As the server counts."""
    progress = begun()
    progress.hear(StreamAvatarResponse(event=Event()))
    progress.hear(StreamAvatarResponse(status=SessionStatus()))
    progress.hear(video(0, 0))
    assert progress.resume.received_messages == 2


def test_what_the_session_has_taken_is_not_kept_and_the_rest_is_sent_again() -> None:
    """Statuses confirm as they come; a new call's ready says from where on."""
    progress = begun()
    for number in range(6):
        progress.say(audio(number))
        assert progress.next() == audio(number)
        progress.sent += 1
    progress.hear(StreamAvatarResponse(status=SessionStatus(received_messages=2)))
    progress.begin(ready("next", received_messages=4))
    assert progress.sent == 4
    assert progress.next() == audio(4)


@pytest.mark.parametrize(
    ("code", "reason", "goes_on"),
    [
        (CODES.UNAVAILABLE, "", True),
        (CODES.UNAVAILABLE, "WORKER_LOST", True),
        (CODES.UNAVAILABLE, "DRAINING", False),
        (CODES.CANCELLED, "", True),
        (CODES.INTERNAL, "", True),
        (CODES.INTERNAL, "ENGINE_FAILED", False),
        (CODES.CANCELLED, "SESSION_LEFT", False),
        (CODES.ABORTED, "SESSION_ENDED", False),
        (CODES.DEADLINE_EXCEEDED, "IDLE_TIMEOUT", False),
        (CODES.INVALID_ARGUMENT, "SEGMENT_ID", False),
    ],
)
def test_only_a_loss_is_gone_on_behind(code: grpc.StatusCode, reason: str, *, goes_on: bool) -> None:
    """What the service decided stays decided; and without a token there is nothing to go on with."""
    error = AvatarRpcError(code, "text", reason=reason)
    assert begun().may_go_on(error) is goes_on
    assert Progress().may_go_on(error) is False


@pytest.mark.parametrize("code", [CODES.RESOURCE_EXHAUSTED, CODES.DEADLINE_EXCEEDED, CODES.UNAVAILABLE])
def test_a_full_or_slow_server_is_asked_again(code: grpc.StatusCode) -> None:
    """Within the time that the session is kept."""
    assert begun().may_try_again(AvatarRpcError(code, "text", reason="X"))
    assert not begun().may_try_again(AvatarRpcError(CODES.PERMISSION_DENIED, "text", reason="RESUME_TOKEN"))


def test_tries_are_further_and_further_apart_unless_the_server_says_when() -> None:
    """For as long as both sides want it."""
    kept = ready("token", limits=Limits(resume_window=Duration(seconds=30)))
    away = AvatarRpcError(CODES.UNAVAILABLE, "text")
    tries = begun().tries(100.0, kept, 1_000.0)
    assert [tries.pause_s(away, 1_000.0) for _ in range(7)] == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert tries.pause_s(AvatarRpcError(CODES.UNAVAILABLE, "text", retry_after_s=5.0), 1_025.0) == 5.0
    assert tries.pause_s(away, 1_028.5) is None
    assert begun().tries(3.0, kept, 1_000.0).pause_s(away, 1_003.0) is None


def test_a_refusal_is_the_last_try() -> None:
    """Asking again would change nothing."""
    tries = begun().tries(30.0, ready("token", limits=Limits(resume_window=Duration(seconds=30))), 0.0)
    assert tries.pause_s(AvatarRpcError(CODES.PERMISSION_DENIED, "text", reason="RESUME_TOKEN"), 0.0) is None


def test_what_was_taken_back_is_not_sent() -> None:
    """It had been given to no call."""
    progress = begun()
    for number in range(2):
        progress.say(audio(number))
    progress.take_back()
    assert progress.next() == audio(0)
    progress.sent += 1
    assert progress.sent == progress.said

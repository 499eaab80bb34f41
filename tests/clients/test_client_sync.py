"""The client for threads against the real service, and against a server that misbehaves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import grpc
import grpc.aio
import pytest
from avatar.v1.avatar_service_pb2 import StreamAvatarResponse
from avatar.v1.init_pb2 import VIDEO_CODEC_JPEG, AudioFormat, VideoFormat
from avatar_client import SESSION_MODE_LIVE, AvatarRpcError, Control
from avatar_client.sync import AvatarClient

FRAME = bytes(2 * 640)


async def test_animate_yields_a_frame_for_every_40_ms(target: str, portrait: bytes, audio: AudioFormat) -> None:
    """Ten frames of audio in odd pieces give ready and ten frames, the first of them a keyframe."""

    def run() -> list[tuple[int, bool]]:
        speech = FRAME * 10
        with (
            AvatarClient(target) as client,
            client.animate(portrait, [speech[:1002], speech[1002:]], audio=audio) as stream,
        ):
            assert stream.ready.fps == 25
            return [(each.video.frame_index, each.video.keyframe) for each in stream if each.HasField("video")]

    assert await asyncio.to_thread(run) == [(0, True), *((index, False) for index in range(1, 10))]


async def test_animate_is_not_stopped_by_flow_control(target: str, portrait: bytes, audio: AudioFormat) -> None:
    """A minute of audio at once, far more than the server buffers, comes back whole."""

    def run() -> int:
        video = [VideoFormat(codec=VIDEO_CODEC_JPEG, width=64)]
        with (
            AvatarClient(target) as client,
            client.animate(portrait, [FRAME * 25 * 60], audio=audio, video=video) as stream,
        ):
            return sum(response.HasField("video") for response in stream)

    assert await asyncio.to_thread(run) == 25 * 60


async def test_errors_of_the_source_come_through(target: str, portrait: bytes, audio: AudioFormat) -> None:
    """An exception of the chunks reaches the reading thread as it is."""

    def broken() -> Iterator[bytes]:
        yield FRAME
        raise LookupError

    def run() -> None:
        with AvatarClient(target) as client, client.animate(portrait, broken(), audio=audio) as stream:
            for _ in stream:
                pass

    with pytest.raises(LookupError):
        await asyncio.to_thread(run)


async def test_errors_of_the_source_are_told_to_one_who_does_not_read(
    target: str, portrait: bytes, audio: AudioFormat
) -> None:
    """An exception of the chunks is raised on leaving, at the latest."""
    raised = threading.Event()

    def broken() -> Iterator[bytes]:
        yield FRAME
        raised.set()
        raise LookupError

    def run() -> None:
        with AvatarClient(target) as client, client.animate(portrait, broken(), audio=audio):
            assert raised.wait(5)

    with pytest.raises(LookupError):
        await asyncio.to_thread(run)


async def test_leaving_early_stops_the_feeding_thread(target: str, portrait: bytes, audio: AudioFormat) -> None:
    """A caller that has seen enough may just leave; no thread stays behind."""

    def run() -> set[threading.Thread]:
        before = set(threading.enumerate())
        minute = [FRAME * 25 * 60]
        with AvatarClient(target) as client, client.animate(portrait, minute, audio=audio) as stream:
            next(stream)
        return {thread for thread in set(threading.enumerate()) - before if "_feed" in thread.name}

    assert await asyncio.to_thread(run) == set()


async def test_conversation_by_hand(target: str, portrait: bytes, audio: AudioFormat) -> None:
    """Each segment ends once, the one interrupted says so, and the interrupt is answered once."""

    def run() -> tuple[list[tuple[str, bool]], int]:
        with AvatarClient(target) as client, client.stream(portrait, audio=audio) as stream:
            stream.send_audio(FRAME * 3, segment_id="a")
            stream.end_segment("a")
            stream.send_audio(FRAME * 3, segment_id="b")
            stream.interrupt("b")
            stream.end_audio()
            events = [response.event for response in stream if response.HasField("event")]
        finished = [event.segment_finished for event in events if event.HasField("segment_finished")]
        answers = sum(event.HasField("interrupted") for event in events)
        return sorted((each.segment_id, each.interrupted) for each in finished), answers

    assert await asyncio.to_thread(run) == ([("a", False), ("b", True)], 1)


async def test_a_live_session_is_controlled(target: str, portrait: bytes, audio: AudioFormat) -> None:
    """Frames come without audio; a control is heard, and what is wrong with it is told."""

    def run() -> list[str]:
        with (
            AvatarClient(target) as client,
            client.stream(portrait, audio=audio, mode=SESSION_MODE_LIVE) as stream,
        ):
            assert next(stream).HasField("video")
            stream.control(Control(head_motion=9))
            stream.end_audio()
            return [each.event.warning.reason for each in stream if each.event.HasField("warning")]

    assert await asyncio.to_thread(run) == ["CONTROL_OUT_OF_RANGE"]


async def test_avatars_are_kept_shown_and_deleted(target: str, portrait: bytes, audio: AudioFormat) -> None:
    """From its creation to its end; what is not kept is NOT_FOUND."""

    def run() -> list[str]:
        reasons = []
        with AvatarClient(target) as client:
            kept = client.create_avatar(portrait, crop=False, display_name="Ada")
            assert client.avatars() == [kept]
            with client.animate(b"", [bytes(6400)], audio=audio, avatar_id=kept.avatar_id) as stream:
                assert any(response.HasField("video") for response in stream)
            client.delete_avatar(kept.avatar_id)
            assert client.avatars() == []
            for call in (lambda: client.delete_avatar(kept.avatar_id), lambda: client.create_avatar(b"no picture")):
                with pytest.raises(AvatarRpcError) as caught:
                    call()
                reasons.append(caught.value.reason)
        return reasons

    assert await asyncio.to_thread(run) == ["AVATAR_UNKNOWN", "PORTRAIT_FORMAT"]


async def test_unreachable_server_has_no_avatars() -> None:
    """Nobody listening is UNAVAILABLE for the list, too."""
    with AvatarClient("127.0.0.1:1") as client, pytest.raises(AvatarRpcError) as caught:
        client.avatars()
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE


async def test_refusal_tells_reason_and_field(target: str, audio: AudioFormat) -> None:
    """A picture that is none is refused on entering."""

    def run() -> None:
        with AvatarClient(target) as client, client.stream(b"no picture", audio=audio):
            pass

    with pytest.raises(AvatarRpcError) as caught:
        await asyncio.to_thread(run)
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.field == "init.portrait"


def test_unreachable_server_fails_at_once(audio: AudioFormat) -> None:
    """Nobody listening is UNAVAILABLE for both calls."""
    with AvatarClient("127.0.0.1:1") as client:
        with pytest.raises(AvatarRpcError) as caught, client.stream(b"", audio=audio):
            pass
        assert caught.value.code is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(AvatarRpcError):
            client.capabilities()


async def test_capabilities_list_engines_and_room(target: str) -> None:
    """An idle server has all its places free."""

    def run() -> list[str]:
        with AvatarClient(target) as client:
            return [engine.name for engine in client.capabilities().engines]

    assert await asyncio.to_thread(run) == ["fake"]


async def test_server_that_never_gets_ready_is_given_up(scripted, audio: AudioFormat) -> None:  # noqa: ANN001
    """Opening has a deadline."""

    async def silent(_context: grpc.aio.ServicerContext) -> None:
        await asyncio.Event().wait()

    def run() -> None:
        with AvatarClient(scripted.target, ready_timeout_s=0.2) as client, client.stream(b"", audio=audio):
            pass

    scripted.session = silent
    with pytest.raises(AvatarRpcError) as caught:
        await asyncio.to_thread(run)
    assert caught.value.reason == "READY_TIMEOUT"


async def test_server_that_ends_before_ready_is_an_error(scripted, audio: AudioFormat) -> None:  # noqa: ANN001
    """An OK without a word is no session."""

    async def empty(_context: grpc.aio.ServicerContext) -> None:
        pass

    def run() -> None:
        with AvatarClient(scripted.target) as client, client.stream(b"", audio=audio):
            pass

    scripted.session = empty
    with pytest.raises(AvatarRpcError, match="before it was ready"):
        await asyncio.to_thread(run)


async def test_sender_that_is_held_back_for_too_long_is_told(
    scripted,  # noqa: ANN001
    ready: StreamAvatarResponse,
    audio: AudioFormat,
) -> None:
    """A server that stops reading costs a sender its deadline, not for ever."""

    async def deaf(context: grpc.aio.ServicerContext) -> None:
        await context.read()
        await context.write(ready)
        await asyncio.Event().wait()

    def run() -> None:
        with AvatarClient(scripted.target, send_timeout_s=0.3) as client, client.stream(b"", audio=audio) as stream:
            stream.send_audio(bytes(4 * 1024 * 1024))

    scripted.session = deaf
    with pytest.raises(AvatarRpcError) as caught:
        await asyncio.to_thread(run)
    assert caught.value.reason == "SEND_TIMEOUT"


async def test_use_after_the_end_is_refused(
    scripted,  # noqa: ANN001
    ready: StreamAvatarResponse,
    audio: AudioFormat,
) -> None:
    """Sending to a session that ended well, and using one that was left, say which it is."""

    async def short(context: grpc.aio.ServicerContext) -> None:
        await context.read()
        await context.write(ready)

    def run() -> tuple[str, str]:
        with AvatarClient(scripted.target) as client:
            with client.stream(b"", audio=audio) as stream:
                assert list(stream) == []
                with pytest.raises(AvatarRpcError) as over:
                    stream.send_audio(FRAME)
            with pytest.raises(AvatarRpcError) as left:
                stream.end_audio()
        return over.value.reason, left.value.reason

    scripted.session = short
    assert await asyncio.to_thread(run) == ("SESSION_OVER", "SESSION_LEFT")

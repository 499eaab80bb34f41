"""The asyncio client against the real service, and against a server that misbehaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import avatar_client.aio.stream
import grpc
import grpc.aio
import pytest
from avatar.v1.avatar_service_pb2 import StreamAvatarResponse
from avatar.v1.init_pb2 import VIDEO_CODEC_JPEG, AudioFormat, VideoFormat
from avatar_client import SESSION_MODE_LIVE, AvatarClient, AvatarRpcError, AvatarStream, Control

FRAME = bytes(2 * 640)


async def _chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_animate_yields_a_frame_for_every_40_ms(target: str, portrait: bytes, audio: AudioFormat) -> None:
    """Ten frames of audio in odd pieces give ready and ten frames, the first of them a keyframe."""
    speech = FRAME * 10
    async with AvatarClient(target) as client:
        pieces = _chunks(speech[:1002], speech[1002:])
        async with client.animate(portrait, pieces, audio=audio) as stream:
            assert stream.ready.fps == 25
            frames = [response.video async for response in stream if response.HasField("video")]
    assert [frame.frame_index for frame in frames] == list(range(10))
    assert frames[0].keyframe


async def test_animate_is_not_stopped_by_flow_control(target: str, portrait: bytes, audio: AudioFormat) -> None:
    """A minute of audio at once, far more than the server buffers, comes back whole."""
    video = [VideoFormat(codec=VIDEO_CODEC_JPEG, width=64)]
    async with AvatarClient(target) as client, asyncio.timeout(60):
        assert await _watch(client.animate(portrait, _chunks(FRAME * 25 * 60), audio=audio, video=video)) == 25 * 60


async def test_errors_of_the_source_come_through(target: str, portrait: bytes, audio: AudioFormat) -> None:
    """An exception of the chunks reaches the caller as it is, and the session's place is free again."""

    async def broken() -> AsyncIterator[bytes]:
        yield FRAME
        raise LookupError

    async with AvatarClient(target) as client:
        with pytest.raises(LookupError):
            await _watch(client.animate(portrait, broken(), audio=audio))
        await _wait_until_free(client)


async def test_leaving_early_frees_the_session(target: str, portrait: bytes, audio: AudioFormat) -> None:
    """A caller that has seen enough may just leave."""
    async with AvatarClient(target) as client:
        async with client.animate(portrait, _chunks(FRAME * 25 * 60), audio=audio) as stream:
            async for response in stream:
                if response.HasField("video"):
                    break
        await _wait_until_free(client)


async def test_cancelling_the_reader_frees_the_session(target: str, portrait: bytes, audio: AudioFormat) -> None:
    """Cancelling the task that reads stays a cancellation and ends the call."""
    reading = asyncio.Event()

    async def read(client: AvatarClient) -> None:
        async with client.stream(portrait, audio=audio) as stream:
            reading.set()
            async for _ in stream:
                pass

    async with AvatarClient(target) as client:
        task = asyncio.create_task(read(client))
        await reading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await _wait_until_free(client)


async def test_conversation_by_hand(target: str, portrait: bytes, audio: AudioFormat) -> None:
    """Each segment ends once, the one interrupted says so, and the interrupt is answered once."""
    async with AvatarClient(target) as client, client.stream(portrait, audio=audio) as stream:
        await stream.send_audio(FRAME * 3, segment_id="a")
        await stream.end_segment("a")
        await stream.send_audio(FRAME * 3, segment_id="b")
        await stream.interrupt("b")
        await stream.end_audio()
        events = [response.event async for response in stream if response.HasField("event")]
    finished = [event.segment_finished for event in events if event.HasField("segment_finished")]
    assert sorted((each.segment_id, each.interrupted) for each in finished) == [("a", False), ("b", True)]
    assert sum(event.HasField("interrupted") for event in events) == 1


async def test_a_live_session_is_controlled(target: str, portrait: bytes, audio: AudioFormat) -> None:
    """Frames come without audio; a control is heard, and what is wrong with it is told."""
    async with (
        AvatarClient(target) as client,
        client.stream(portrait, audio=audio, mode=SESSION_MODE_LIVE) as stream,
        asyncio.timeout(10),
    ):
        assert (await anext(stream)).HasField("video")
        await stream.control(Control(head_motion=9))
        await stream.end_audio()
        reasons = [each.event.warning.reason async for each in stream if each.event.HasField("warning")]
    assert reasons == ["CONTROL_OUT_OF_RANGE"]


async def test_avatars_are_kept_shown_switched_to_and_deleted(target: str, portrait: bytes, audio: AudioFormat) -> None:
    """From its creation to its end; what is not kept is NOT_FOUND."""
    async with AvatarClient(target) as client:
        kept = await client.create_avatar(portrait, crop_scale=1.5, display_name="Ada")
        assert (kept.display_name, kept.width) == ("Ada", 128)
        assert await client.avatars() == [kept]
        async with client.stream(avatar_id=kept.avatar_id, audio=audio) as stream:
            await stream.control(Control(avatar_id=kept.avatar_id))
            await stream.control(Control(avatar_id="nobody"))
            await stream.end_audio()
            reasons = [each.event.warning.reason async for each in stream if each.event.HasField("warning")]
        assert reasons == ["AVATAR_UNKNOWN"]
        await client.delete_avatar(kept.avatar_id)
        assert await client.avatars() == []
        with pytest.raises(AvatarRpcError) as caught:
            await client.delete_avatar(kept.avatar_id)
        assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.NOT_FOUND, "AVATAR_UNKNOWN")
        with pytest.raises(AvatarRpcError) as caught:
            await client.create_avatar(b"no picture")
        assert (caught.value.reason, caught.value.field) == ("PORTRAIT_FORMAT", "portrait")


async def test_refusal_tells_reason_and_field(target: str, audio: AudioFormat) -> None:
    """A picture that is none is refused on entering."""
    async with AvatarClient(target) as client:
        with pytest.raises(AvatarRpcError) as caught:
            async with client.stream(b"no picture", audio=audio):
                pass
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.reason
    assert caught.value.field == "init.portrait"


async def test_full_server_says_when_to_come_back(target: str, portrait: bytes, audio: AudioFormat) -> None:
    """The second session of a server with one place is told a delay."""
    async with AvatarClient(target) as client, client.stream(portrait, audio=audio):
        with pytest.raises(AvatarRpcError) as caught:
            async with client.stream(portrait, audio=audio):
                pass
    assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.retry_after_s is not None


async def test_unreachable_server_fails_at_once(audio: AudioFormat) -> None:
    """Nobody listening is UNAVAILABLE, without a reason, for both calls."""
    async with AvatarClient("127.0.0.1:1") as client:
        with pytest.raises(AvatarRpcError) as caught:
            async with client.stream(b"", audio=audio):
                pass
        assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.UNAVAILABLE, "")
        with pytest.raises(AvatarRpcError):
            await client.capabilities()


async def test_capabilities_list_engines_and_room(target: str) -> None:
    """An idle server has all its places free."""
    async with AvatarClient(target) as client:
        capabilities = await client.capabilities()
    assert [engine.name for engine in capabilities.engines] == ["fake"]
    assert capabilities.free_sessions == capabilities.capacity_sessions == 1


async def test_server_that_never_gets_ready_is_given_up(scripted, audio: AudioFormat) -> None:  # noqa: ANN001
    """Opening has a deadline, and the server sees the call end."""
    ended = asyncio.Event()

    async def silent(_context: grpc.aio.ServicerContext) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    scripted.session = silent
    async with AvatarClient(scripted.target, ready_timeout_s=0.2) as client:
        with pytest.raises(AvatarRpcError) as caught:
            async with client.stream(b"", audio=audio):
                pass
        assert caught.value.reason == "READY_TIMEOUT"
        async with asyncio.timeout(5):
            await ended.wait()


async def test_server_that_ends_before_ready_is_an_error(scripted, audio: AudioFormat) -> None:  # noqa: ANN001
    """An OK without a word is no session."""

    async def empty(context: grpc.aio.ServicerContext) -> None:
        await context.read()  # a client that still writes may get an INTERNAL of its own for the status

    scripted.session = empty
    async with AvatarClient(scripted.target) as client:
        with pytest.raises(AvatarRpcError, match="before it was ready"):
            async with client.stream(b"", audio=audio):
                pass


async def test_a_large_portrait_does_not_travel_to_be_refused(scripted, audio: AudioFormat) -> None:  # noqa: ANN001
    """The client says that it waits, and sends nothing before it is answered; a small one is not worth a round trip."""
    waits, heard = [], []

    async def full(context: grpc.aio.ServicerContext) -> None:
        waits.append("avatar-awaits-room" in dict(context.invocation_metadata()))
        if waits[-1]:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
        heard.append(await context.read())
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")

    scripted.session = full
    async with AvatarClient(scripted.target) as client:
        for portrait in (bytes(100_000), bytes(1_000)):
            with pytest.raises(AvatarRpcError, match="full"):
                async with client.stream(portrait, audio=audio):
                    pass
    assert waits == [True, False]
    assert [len(request.init.portrait) for request in heard] == [1_000]


async def test_a_server_that_answers_late_gets_a_large_portrait_all_the_same(
    scripted,  # noqa: ANN001
    ready: StreamAvatarResponse,
    audio: AudioFormat,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server of another make may not know that it is waited for."""
    monkeypatch.setattr(avatar_client.aio.stream, "ROOM_WITHIN_S", 0.05)

    async def ordinary(context: grpc.aio.ServicerContext) -> None:
        assert len((await context.read()).init.portrait) == 100_000
        await context.write(ready)

    scripted.session = ordinary
    async with AvatarClient(scripted.target) as client, client.stream(bytes(100_000), audio=audio) as stream:
        assert stream.ready == ready.ready


async def test_sending_after_the_end_is_refused(
    scripted,  # noqa: ANN001
    ready: StreamAvatarResponse,
    audio: AudioFormat,
) -> None:
    """A session that ended well takes no more audio."""

    async def short(context: grpc.aio.ServicerContext) -> None:
        await context.read()
        await context.write(ready)

    scripted.session = short
    async with AvatarClient(scripted.target) as client, client.stream(b"", audio=audio) as stream:
        assert [response async for response in stream] == []
        with pytest.raises(AvatarRpcError) as caught:
            await stream.send_audio(FRAME)
    assert caught.value.reason == "SESSION_OVER"


async def test_sender_is_told_why_the_session_failed(
    scripted,  # noqa: ANN001
    ready: StreamAvatarResponse,
    audio: AudioFormat,
) -> None:
    """A task that only sends learns the session's own error."""

    async def failing(context: grpc.aio.ServicerContext) -> None:
        await context.read()
        await context.write(ready)
        await context.abort(grpc.StatusCode.ABORTED, "gave up")

    scripted.session = failing
    async with AvatarClient(scripted.target) as client, client.stream(b"", audio=audio) as stream:
        with pytest.raises(AvatarRpcError, match="gave up"):
            async for _ in stream:
                pass
        with pytest.raises(AvatarRpcError, match="gave up"):
            await stream.end_audio()


async def test_session_that_was_left_is_closed(target: str, portrait: bytes, audio: AudioFormat) -> None:
    """After the block neither direction works, and both say so."""
    async with AvatarClient(target) as client:
        async with client.stream(portrait, audio=audio) as stream:
            pass
        with pytest.raises(AvatarRpcError) as read:
            await anext(stream)
        with pytest.raises(AvatarRpcError) as sent:
            await stream.end_audio()
    assert (read.value.reason, sent.value.code) == ("SESSION_LEFT", grpc.StatusCode.CANCELLED)


async def _watch(session: AbstractAsyncContextManager[AvatarStream]) -> int:
    """Return how many frames came."""
    async with session as stream:
        return sum([response.HasField("video") async for response in stream])


async def _wait_until_free(client: AvatarClient) -> None:
    async with asyncio.timeout(5):
        while (await client.capabilities()).free_sessions == 0:
            pass

"""The server: what it offers, how it refuses, and how it drains."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from avatar.v1 import avatar_service_pb2, init_pb2
from avatar_client.channel import channel_options
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from avatar_service import __version__
from avatar_service.config import Settings
from avatar_service.engine.fake import FakeEngine
from avatar_service.pool.carrier import ThreadCarrier
from avatar_service.pool.pool import Pool
from avatar_service.rpc.server import Server
from tests.conftest import Heard

if TYPE_CHECKING:
    from tests.conftest import Say, Serve, Service

Voice = Callable[..., bytes]
SERVICE = "avatar.v1.AvatarService"
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


async def health(service: Service, name: str = SERVICE) -> int:
    """Return the health that the server reports."""
    stub = health_pb2_grpc.HealthStub(service.channel)
    response: health_pb2.HealthCheckResponse = await stub.Check(health_pb2.HealthCheckRequest(service=name))
    return response.status


async def test_reflection_lists_the_service(service: Service) -> None:
    """A person with grpcurl finds it, and with it the messages' comments-free descriptors."""
    stub = reflection_pb2_grpc.ServerReflectionStub(service.channel)
    call = stub.ServerReflectionInfo()
    await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    names = {found.name for found in (await call.read()).list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health"} <= names
    await call.write(reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE))
    assert (await call.read()).file_descriptor_response.file_descriptor_proto
    await call.done_writing()
    await call.read()


async def test_capabilities_say_what_init_may_name(service: Service) -> None:
    """Version, engine, codecs, encodings and limits."""
    said = await service.stub.GetCapabilities(avatar_service_pb2.GetCapabilitiesRequest())
    assert said.version == __version__
    assert [(engine.name, engine.fps, engine.device) for engine in said.engines] == [("fake", 25, "cpu")]
    assert set(said.video_codecs) == set(init_pb2.VideoCodec.values()) - {0}
    assert set(said.audio_encodings) == set(init_pb2.AudioEncoding.values()) - {0}
    assert said.limits.max_audio_message_bytes == 65_536
    assert said.limits.max_portrait_bytes == 10 * 1024 * 1024
    assert said.limits.max_buffered_audio.seconds == 10


async def test_ready_says_what_the_session_will_do(service: Service, say: Say) -> None:
    """The effective configuration, and an id that only the server could choose."""
    heard = [await service.talk(say.init(video=[]), say.over()) for _ in range(2)]
    ready = heard[0].responses[0].ready
    assert (ready.engine, ready.engine_version, ready.fps) == ("fake", "1", 25)
    assert ready.video[0].codec.startswith("avc1.42")
    assert (ready.hop.ToMilliseconds(), ready.look_ahead.ToMilliseconds()) == (40, 100)
    assert ready.limits.idle_timeout.seconds == 30
    assert len(ready.session_id) >= 32
    assert ready.session_id != heard[1].responses[0].ready.session_id


@pytest.mark.parametrize(
    ("preset", "look_ahead_ms"),
    [
        (init_pb2.PRESET_UNSPECIFIED, 100),
        (init_pb2.PRESET_LOWEST_LATENCY, 50),
        (init_pb2.PRESET_BALANCED, 100),
        (init_pb2.PRESET_BEST_QUALITY, 100),
    ],
)
async def test_ready_says_what_the_preset_means(
    service: Service, say: Say, preset: init_pb2.Preset, look_ahead_ms: int
) -> None:
    """The look-ahead is the session's own, and the frames that the audio allows come without waiting for more."""
    talk = service.open()
    generation = init_pb2.GenerationParameters(preset=preset)
    samples = 640 + 16 * look_ahead_ms
    await talk.tell(say.init(generation=generation), say.audio(bytes(2 * samples)))
    assert (await talk.until("ready")).ready.look_ahead.ToMilliseconds() == look_ahead_ms
    assert len(await talk.frames(1)) == 1
    await talk.tell(say.over())
    await talk.call.done_writing()
    assert len((await talk.rest()).videos) == -(-samples // 640)


async def test_capabilities_count_free_slots(service: Service, say: Say) -> None:
    """A session takes one slot from its admission to its end."""
    assert await service.free() == 8
    talk = service.open()
    await talk.tell(say.init())
    await talk.until("ready")
    assert await service.free() == 7
    await talk.tell(say.over())
    await talk.rest()
    await service.until_free(8)


async def test_a_full_pool_refuses_at_once(serve: Serve, say: Say) -> None:
    """RESOURCE_EXHAUSTED with the time to come again, before any portrait is looked at; the next one is admitted."""
    async with serve(capacity=1) as service, asyncio.timeout(20):
        talk = service.open()
        await talk.tell(say.init())
        await talk.until("ready")
        heard = await service.talk(say.init(portrait=b"not even a picture"), half_close=False)
        assert (heard.code, heard.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "POOL_FULL")
        assert heard.details["RetryInfo"].retry_delay.seconds == 2
        assert heard.responses == []
        await talk.tell(say.over())
        assert (await talk.rest()).code is grpc.StatusCode.OK
        await service.until_free(1)
        assert (await service.talk(say.init(), say.over())).code is grpc.StatusCode.OK


async def nonsense(service: Service) -> Heard:
    """Return how a call ends that begins with bytes that are no message."""
    call = service.channel.stream_stream(f"/{SERVICE}/StreamAvatar")()
    await call.write(b"\xff" * 1000)
    heard = Heard()
    try:
        await call.read()
    except grpc.aio.AioRpcError as error:
        heard.end(error)
    return heard


async def test_a_full_pool_refuses_before_a_word_is_parsed(serve: Serve, say: Say) -> None:
    """Nonsense is refused like all else; but a call that could take over another's slot is listened to."""
    async with serve(capacity=1) as service, asyncio.timeout(20):
        talk = service.open()
        await talk.tell(say.init())
        await talk.until("ready")
        heard = await nonsense(service)
        assert (heard.code, heard.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "POOL_FULL")
        await talk.tell(say.over())
        await talk.rest()
        await service.until_free(1)
        held = service.open()
        await held.tell(say.init(resumable=True))
        token = (await held.until("ready")).ready.resume_token
        assert (await service.talk(say.init(), half_close=False)).reason == "POOL_FULL"
        follower = service.open()
        await follower.tell(
            avatar_service_pb2.StreamAvatarRequest(init=init_pb2.Init(resume=init_pb2.Resume(token=token)))
        )
        await follower.until("ready")
        assert (await held.rest()).reason == "SESSION_RESUMED"
        assert (await nonsense(service)).reason == "MALFORMED"


@pytest.mark.parametrize("resumable", [False, True])
async def test_a_call_that_waits_for_room_is_answered_before_its_first_word(
    serve: Serve, say: Say, *, resumable: bool
) -> None:
    """By metadata if there is room, else by a refusal, whoever has the place; then its portrait need not travel."""
    waits = ("avatar-awaits-room", "1")
    async with serve(capacity=1) as service, asyncio.timeout(20):
        talk = service.open(waits)
        await talk.call.initial_metadata()
        await talk.tell(say.init(resumable=resumable))
        await talk.until("ready")
        heard = await service.open(waits).rest()
        assert (heard.code, heard.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "POOL_FULL")
        assert heard.details["RetryInfo"].retry_delay.seconds == 2
        await talk.tell(say.over())
        assert (await talk.rest()).code is grpc.StatusCode.OK


async def test_degradable_sessions_share_a_place(serve: Serve, say: Say, voice: Voice) -> None:
    """Told when it begins, which frames to expect, and when it is over; the sound is all there."""
    live = init_pb2.SESSION_MODE_LIVE
    modest = init_pb2.DEGRADATION_PREFERENCE_MAINTAIN_RESOLUTION
    async with serve(capacity=1) as service, asyncio.timeout(30):
        first, second = service.open(), service.open()
        await first.tell(say.init(mode=live, degradation_preference=modest), say.audio(voice(32_000)), say.end())
        await first.frames(5)
        await second.tell(say.init(mode=live, degradation_preference=modest))
        assert (await second.until("degraded")).event.degraded.reason == "HALF_RATE"
        assert (await first.until("degraded")).event.degraded.reason == "HALF_RATE"
        halved = await first.frames(10)
        assert {late.pts - early.pts for early, late in pairwise(halved)} == {7200}
        assert (await service.talk(say.init(), half_close=False)).reason == "POOL_FULL"
        second.call.cancel()
        assert (await first.until("recovered")).event.recovered.reason == "HALF_RATE"
        whole = await first.frames(10)
        assert {late.pts - early.pts for early, late in pairwise(whole)} == {3600}
        finished = (await first.until("segment_finished")).event.segment_finished
        assert finished.played.ToMilliseconds() == 2_000


# Draining --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def drainable(connect: Callable[..., Service]) -> AsyncIterator[tuple[Server, Service]]:
    """A server that a test may drain itself."""
    settings = Settings(host="127.0.0.1", port=0, engine="fake", capacity=4, drain_grace_s=1.0)
    pool = Pool([lambda: ThreadCarrier(FakeEngine)], settings.capacity)
    await pool.start()
    server = Server(pool, settings)
    target = f"127.0.0.1:{await server.start()}"
    async with grpc.aio.insecure_channel(target, options=channel_options()) as channel:
        yield server, connect(target, channel)
    await server.drain()
    await pool.stop()


async def test_health_follows_the_service(drainable: tuple[Server, Service]) -> None:
    """SERVING from the start, under both names."""
    _, service = drainable
    assert [await health(service, name) for name in ("", SERVICE)] == [SERVING, SERVING]


async def test_draining_finishes_what_runs_and_refuses_what_comes(
    drainable: tuple[Server, Service], say: Say, voice: Voice
) -> None:
    """The running session gets every frame; a new one is UNAVAILABLE and told when to come again."""
    server, service = drainable
    async with asyncio.timeout(20):
        talk = service.open()
        await talk.tell(say.init(), say.audio(voice(16_000)))
        await talk.frames(5)
        drained = asyncio.create_task(server.drain())
        while await health(service) != NOT_SERVING:
            pass
        assert await service.free() == 0
        heard = await service.talk(say.init(), half_close=False)
        assert (heard.code, heard.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
        assert 0 < heard.details["RetryInfo"].retry_delay.ToMilliseconds() <= 1_000
        assert not drained.done()
        await talk.tell(say.audio(voice(16_000)), say.over())
        heard = await talk.rest()
        assert heard.code is grpc.StatusCode.OK
        assert len(heard.videos) == 50
        await drained


async def test_draining_does_not_wait_for_ever(serve: Serve, connect: Callable[..., Service], say: Say) -> None:
    """A session that goes on after the grace is ended by the server, and its client is told to go elsewhere."""
    async with asyncio.timeout(10), AsyncExitStack() as stack:
        async with serve(drain_grace_s=0.1) as service:
            channel = grpc.aio.insecure_channel(service.target, options=channel_options())
            await stack.enter_async_context(channel)
            talk = connect(service.target, channel).open()
            await talk.tell(say.init())
            await talk.until("ready")
        assert (await talk.rest()).code is grpc.StatusCode.UNAVAILABLE


async def test_a_taken_port_is_told(serve: Serve) -> None:
    """A second server on the same port does not start, and says so."""
    async with serve() as service:
        port = int(service.target.rpartition(":")[2])
        with pytest.raises(OSError, match="port is taken"):
            async with serve(port=port):
                pass


# Clients that leave ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["at once", "after init", "after ready", "speaking", "watching", "ending"])
async def test_a_client_that_leaves_frees_its_slot(service: Service, say: Say, voice: Voice, point: str) -> None:
    """Wherever a call is cancelled, its slot is free again and the next session works."""
    async with asyncio.timeout(20):
        talk = service.open()
        steps = ["at once", "after init", "after ready", "speaking", "watching", "ending"]
        reached = steps.index(point)
        if reached >= 1:
            await talk.tell(say.init())
        if reached >= 2:
            await talk.until("ready")
        if reached >= 3:
            await talk.tell(*say.pieces(voice(64_000)))
        if reached >= 4:
            await talk.frames(3)
        if reached >= 5:
            await talk.tell(say.over())
        talk.call.cancel()
        await service.until_free(8)
        heard = await service.talk(say.init(), say.audio(voice(640)), say.over())
        assert len(heard.videos) == 1
        await service.until_free(8)


async def test_a_client_whose_connection_is_lost_frees_its_slot(serve: Serve, say: Say) -> None:
    """A channel that is closed takes its sessions with it."""
    async with serve(capacity=1) as service, asyncio.timeout(20):
        async with grpc.aio.insecure_channel(service.target, options=channel_options()) as other:
            talk = type(service)(service.target, other).open()
            await talk.tell(say.init())
            await talk.until("ready")
            assert await service.free() == 0
        await service.until_free(1)


async def test_many_short_sessions_leave_nothing_behind(service: Service, say: Say, voice: Voice) -> None:
    """After sixty sessions, eight at a time, every slot is free and no task is left."""
    before = len(asyncio.all_tasks())
    for _ in range(8):
        calls = (service.talk(say.init(), say.audio(voice(640)), say.over()) for _ in range(8))
        assert {heard.code for heard in await asyncio.gather(*calls)} == {grpc.StatusCode.OK}
    await service.until_free(8)
    assert len(asyncio.all_tasks()) <= before + 2


async def test_the_end_of_the_grace_has_a_reason(drainable: tuple[Server, Service], say: Say) -> None:
    """Who still runs then is told to connect again, like who comes during the drain."""
    server, service = drainable
    async with asyncio.timeout(20):
        talk = service.open()
        await talk.tell(say.init())
        await talk.until("ready")
        drained = asyncio.create_task(server.drain())
        heard = await talk.rest()
        assert (heard.code, heard.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
        assert "RetryInfo" in heard.details
        await drained


async def test_malformed_bytes_are_told_in_our_words(service: Service) -> None:
    """A unary call answers them as a stream does: by reason, and without the parser's own text."""
    call = service.channel.unary_unary(f"/{SERVICE}/GetCapabilities")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"\xff\xff")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "DecodeError" not in caught.value.details()


async def test_what_a_client_sent_comes_back_shortened(service: Service, say: Say) -> None:
    """A name of 20 000 characters does not burst the headers that carry the status."""
    heard = await service.talk(say.init(engine="x" * 20_000), half_close=False)
    assert (heard.code, heard.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ENGINE")
    for message in (say.end("y" * 20_000), say.interrupt("z" * 20_000)):
        heard = await service.talk(say.init(), say.audio(bytes(2)), message, half_close=False)
        assert (heard.code, heard.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "SEGMENT_ID")


async def test_a_draining_server_says_how_long_sessions_have(
    drainable: tuple[Server, Service], say: Say, voice: Voice
) -> None:
    """They are told at once, and what is said until then is still shown."""
    server, service = drainable
    async with asyncio.timeout(10):
        talk = service.open()
        await talk.tell(say.init())
        await talk.until("ready")
        drained = asyncio.create_task(server.drain())
        told = await talk.until("go_away")
        assert told.go_away.time_left.ToTimedelta().total_seconds() == 1.0
        await talk.tell(say.audio(voice(6_400)), say.over())
        heard = await talk.rest()
        assert (len(heard.videos), heard.code) == (10, grpc.StatusCode.OK)
        await drained


async def test_a_draining_server_refuses_who_has_asked_for_nothing_yet(drainable: tuple[Server, Service]) -> None:
    """A call that was opened and is silent learns why it ends, and when to come again."""
    server, service = drainable
    async with asyncio.timeout(10):
        talk = service.open(("avatar-awaits-room", "1"))
        await talk.call.initial_metadata()
        await server.drain()
        heard = await talk.rest()
        assert (heard.code, heard.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
        assert heard.details["RetryInfo"].retry_delay.seconds == 1


async def test_who_opens_a_call_while_the_server_drains_and_is_silent_is_refused_at_its_end(
    drainable: tuple[Server, Service], say: Say
) -> None:
    """Not by the transport, which could not say why."""
    server, service = drainable
    async with asyncio.timeout(10):
        talk = service.open()
        await talk.tell(say.init())
        await talk.until("ready")
        drained = asyncio.create_task(server.drain())
        await talk.until("go_away")
        silent = service.open()
        await service.free()  # a round trip on the same connection: the call is there
        await talk.tell(say.over())
        heard = await silent.rest()
        assert (heard.code, heard.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
        await drained

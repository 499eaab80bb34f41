"""Workers killed and stopped, memory that runs out, clients that leave: who is told what, and what is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import psutil
import pytest
from avatar_client.channel import channel_options
from grpc_health.v1 import health_pb2, health_pb2_grpc

from avatar_service.app import serving
from avatar_service.config import Settings
from avatar_service.engine.base import Frame, Portrait, PrepareOptions, RenderStep
from avatar_service.engine.fake import FakeAvatar, FakeEngine

if TYPE_CHECKING:
    from tests.conftest import Heard, Request, Say, Serve, Service, Talk

pytestmark = pytest.mark.alone

Voice = Callable[..., bytes]
Start = Callable[..., Any]
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
TOLD_WITHIN_S = 3.0
REPLACED_WITHIN_S = 15.0
FRAMES = 20
FAULTS = pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])


@pytest.fixture
def start(connect: Callable[..., Service]) -> Start:
    """Return what serves the fake engine in worker processes while its context lasts."""

    @asynccontextmanager
    async def serve(**changes: Any) -> AsyncIterator[Service]:
        settings = Settings(host="127.0.0.1", port=0, engine="fake", drain_grace_s=0.5, **changes)
        async with serving(settings) as port:
            target = f"127.0.0.1:{port}"
            async with grpc.aio.insecure_channel(target, options=channel_options()) as channel:
                yield connect(target, channel)

    return serve


def workers() -> list[psutil.Process]:
    """Return the workers' processes, the oldest first."""
    return sorted(psutil.Process().children(), key=psutil.Process.create_time)


async def opened(service: Service, *requests: Request) -> Talk:
    """Return a session that is ready."""
    talk = service.open()
    await talk.tell(*requests)
    await talk.until("ready")
    return talk


# A worker is lost ------------------------------------------------------------------------------------------------


@FAULTS
async def test_a_lost_worker_costs_its_own_sessions_only(
    start: Start, say: Say, voice: Voice, fault: signal.Signals
) -> None:
    """They end UNAVAILABLE in time; the others lose no frame and no bit; a full house is then admitted again."""
    speech = voice(FRAMES * 640)
    async with start(workers=2, capacity=4) as service, asyncio.timeout(40):
        undisturbed = await service.talk(say.init(), say.audio(speech), say.over())
        assert len(undisturbed.videos) == FRAMES
        talks = [await opened(service, say.init()) for _ in range(4)]
        for talk in talks:
            await talk.tell(say.audio(speech[: len(speech) // 2]))
            await talk.frames(5)
        os.kill(workers()[0].pid, fault)
        lost = asyncio.get_running_loop().time()
        ends = {asyncio.create_task(talk.rest()): talk for talk in talks}
        while sum(end.done() for end in ends) < 2:
            await asyncio.wait([end for end in ends if not end.done()], return_when=asyncio.FIRST_COMPLETED)
        assert asyncio.get_running_loop().time() - lost < TOLD_WITHIN_S
        survivors = [end for end in ends if not end.done()]
        victims = [end for end in ends if end.done()]
        for end in victims:
            heard: Heard = await end
            assert (heard.code, heard.reason) == (grpc.StatusCode.UNAVAILABLE, "WORKER_LOST")
            assert heard.details["RetryInfo"].retry_delay.ToMilliseconds() == 1_000
        assert len(survivors) == 2
        for end in survivors:
            await ends[end].tell(say.audio(speech[len(speech) // 2 :]), say.over())
            assert (await end).pictures() == undisturbed.pictures()
        await service.until_free(4)
        for talk in [await opened(service, say.init()) for _ in range(4)]:
            assert (await finished(say, talk, speech)).pictures() == undisturbed.pictures()


async def finished(say: Say, talk: Talk, speech: bytes) -> Heard:
    """Speak, end, and return all that was heard."""
    await talk.tell(say.audio(speech), say.over())
    return await talk.rest()


@FAULTS
async def test_health_says_when_no_worker_is_left(start: Start, say: Say, fault: signal.Signals) -> None:
    """NOT_SERVING in time and for as long as the next worker takes; new sessions are told so; then SERVING again."""
    async with start(workers=1, capacity=2) as service, asyncio.timeout(40):
        stub = health_pb2_grpc.HealthStub(service.channel)
        health = aiter(stub.Watch(health_pb2.HealthCheckRequest(service="avatar.v1.AvatarService")))
        assert (await anext(health)).status == SERVING
        (worker,) = workers()
        os.kill(worker.pid, fault)
        async with asyncio.timeout(TOLD_WITHIN_S):
            assert (await anext(health)).status == NOT_SERVING
        successor = await held_up(worker)
        try:
            assert await service.free() == 0
            heard = await service.talk(say.init(), half_close=False)
            assert (heard.code, heard.reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_READY")
            assert heard.details["RetryInfo"].retry_delay.seconds == 1
            check = health_pb2.HealthCheckRequest(service="")
            assert (await stub.Check(check)).status == NOT_SERVING
        finally:
            successor.resume()
        async with asyncio.timeout(REPLACED_WITHIN_S):
            assert (await anext(health)).status == SERVING
        assert (await service.talk(say.init(), say.over())).code is grpc.StatusCode.OK


async def held_up(worker: psutil.Process) -> psutil.Process:
    """Return the process that replaces ``worker``, stopped before it is warm."""
    async with asyncio.timeout(REPLACED_WITHIN_S):
        while True:
            for other in workers():
                if other.pid != worker.pid:
                    other.suspend()
                    return other
            await asyncio.sleep(0)


async def test_a_successor_that_dies_too_is_replaced(start: Start, say: Say) -> None:
    """As often as it takes."""
    async with start(workers=1, capacity=1) as service, asyncio.timeout(40):
        (worker,) = workers()
        for _ in range(2):
            worker.kill()
            worker = await held_up(worker)
        worker.resume()
        await service.until_free(1)
        assert (await service.talk(say.init(), say.over())).code is grpc.StatusCode.OK


async def test_no_worker_is_started_that_would_have_no_place(start: Start) -> None:
    """Two workers for one session would serve two."""
    async with asyncio.timeout(40), start(workers=2, capacity=1) as service:
        assert (len(workers()), await service.free()) == (1, 1)


async def test_a_server_can_stop_while_a_worker_is_being_replaced(start: Start) -> None:
    """Neither the lost worker nor its successor is left behind."""
    async with asyncio.timeout(40), start(workers=1, capacity=1):
        (worker,) = workers()
        worker.kill()
        await held_up(worker)
    assert workers() == []


# Memory runs out -------------------------------------------------------------------------------------------------


class Cramped(FakeEngine):
    """Has no memory for the first portrait, or for loud frames."""

    def __init__(self, stage: str) -> None:
        super().__init__()
        self._stage = stage
        self._prepared = 0

    def prepare(self, portrait: Portrait, options: PrepareOptions) -> FakeAvatar:
        """Fail once."""
        if portrait.shape[0] != self._size:
            self._prepared += 1
            if self._stage == "prepare" and self._prepared == 1:
                raise MemoryError
        return super().prepare(portrait, options)

    def render(self, steps: Sequence[RenderStep]) -> list[Frame]:
        """Fail for loud frames."""
        if self._stage == "render" and any(step.motion[0] > 0.1 for step in steps):
            raise MemoryError
        return super().render(steps)


@pytest.mark.parametrize("stage", ["prepare", "render"])
async def test_memory_that_runs_out_costs_one_session(serve: Serve, say: Say, voice: Voice, stage: str) -> None:
    """It is told to come again; whoever else is there has all frames, and whoever comes next."""
    quiet = bytes(FRAMES * 1280)
    async with serve(lambda: Cramped(stage), capacity=2) as service, asyncio.timeout(20):
        unlucky = service.talk(say.init(), say.audio(voice(6_400)), half_close=False)
        if stage == "prepare":
            heard = await unlucky
            other = await opened(service, say.init())
        else:
            other = await opened(service, say.init())
            heard = await unlucky
        assert (heard.code, heard.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OUT_OF_MEMORY")
        assert heard.details["RetryInfo"].retry_delay.seconds == 5
        assert "smaller portrait" in heard.text
        assert len((await finished(say, other, quiet)).videos) == FRAMES
        await service.until_free(2)
        assert len((await service.talk(say.init(), say.audio(quiet), say.over())).videos) == FRAMES


# Clients leave ---------------------------------------------------------------------------------------------------


async def leave_after(service: Service, say: Say, speech: bytes, point: str) -> Talk:
    """Return a session that has come as far as ``point``."""
    talk = service.open()
    if point == "opening":
        return talk
    await talk.tell(say.init())
    if point == "init":
        return talk
    await talk.until("ready")
    if point == "ready":
        return talk
    await talk.tell(say.audio(speech))
    if point == "audio":
        return talk
    await talk.frames(3)
    if point == "end of segment":
        await talk.tell(say.end())
    elif point == "interrupt":
        await talk.tell(say.interrupt())
    elif point == "end of audio":
        await talk.tell(say.over())
    return talk


POINTS = ["opening", "init", "ready", "audio", "frames", "end of segment", "interrupt", "end of audio"]


async def test_leaving_frees_the_slot_at_every_point(start: Start, say: Say, voice: Voice) -> None:
    """Within a moment, by a cancelled call or by a closed channel."""
    speech = voice(50 * 640)
    async with start(workers=2, capacity=2) as service, asyncio.timeout(40):
        for point in POINTS:
            talk = await leave_after(service, say, speech, point)
            talk.call.cancel()
            async with asyncio.timeout(1):
                await service.until_free(2)
        for point in POINTS:
            async with grpc.aio.insecure_channel(service.target, options=channel_options()) as channel:
                await leave_after(type(service)(service.target, channel), say, speech, point)
            async with asyncio.timeout(1):
                await service.until_free(2)
        heard = await service.talk(say.init(), say.audio(speech), say.over())
        assert len(heard.videos) == 50


def held() -> dict[str, int]:
    """Return what this process and its workers hold."""
    this, others = psutil.Process(), workers()
    return {
        "files": this.num_fds(),
        "threads": threading.active_count(),
        "tasks": len(asyncio.all_tasks()),
        "workers": len(others),
        "workers' files": sum(worker.num_fds() for worker in others),
        "workers' threads": sum(worker.num_threads() for worker in others),
    }


async def churn(service: Service, say: Say, speech: bytes, sessions: int) -> None:
    """Run sessions by twos: every third fails, every third is left, the rest end well."""

    async def session(number: int) -> None:
        if number % 3 == 0:
            heard = await service.talk(say.init(), say.audio(speech), say.over())
            assert len(heard.videos) == 10
        elif number % 3 == 1:
            heard = await service.talk(say.init(portrait=b"not a picture"), half_close=False)
            assert heard.code is grpc.StatusCode.INVALID_ARGUMENT
        else:
            talk = await leave_after(service, say, speech, POINTS[number % len(POINTS)])
            talk.call.cancel()

    for first in range(0, sessions, 2):
        async with asyncio.TaskGroup() as tasks:
            for number in (first, first + 1):
                tasks.create_task(session(number))
        await service.until_free(4)


async def test_sessions_leave_nothing_behind(start: Start, say: Say, voice: Voice) -> None:
    """Sixty of them, however they end: files, threads, tasks and workers are what they were after the first few."""
    speech = voice(10 * 640)
    async with start(workers=2, capacity=4) as service, asyncio.timeout(40):
        await churn(service, say, speech, 12)
        before = held()
        await churn(service, say, speech, 60)
        async with asyncio.timeout(5):
            while any(count > before[name] for name, count in held().items()):
                await service.free()
        assert held()["workers"] == before["workers"] == 2


async def test_lost_workers_leave_nothing_behind(start: Start, say: Say) -> None:
    """Five workers later: no file, thread, task or process more."""
    async with start(workers=1, capacity=1) as service, asyncio.timeout(60):
        before = None
        for _ in range(5):
            workers()[0].kill()
            while await service.free():
                pass
            await service.until_free(1)
            assert (await service.talk(say.init(), say.over())).code is grpc.StatusCode.OK
            before = before or held()
        async with asyncio.timeout(5):
            while any(count > before[name] for name, count in held().items()):
                await service.free()

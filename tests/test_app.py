"""The whole, put together and taken apart."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from avatar_client.channel import channel_options

from avatar_service.app import serving
from avatar_service.config import Settings
from avatar_service.engine.base import Engine
from avatar_service.engine.fake import FakeEngine

if TYPE_CHECKING:
    from tests.conftest import Faulty, Say, Serve


class Cold(FakeEngine):
    """Cannot warm up."""

    def warmup(self) -> None:
        """Fail."""
        msg = "no model here"
        raise RuntimeError(msg)


async def test_serving_leaves_nothing_behind(serve: Serve, say: Say) -> None:
    """After the context neither threads nor the port are left."""
    before = set(threading.enumerate())
    async with serve() as service:
        assert (await service.talk(say.init(), say.audio(bytes(1_280)), say.over())).code is grpc.StatusCode.OK
        target = service.target
    left = [thread.name for thread in set(threading.enumerate()) - before]
    assert not [name for name in left if name.startswith(("worker", "prepare"))]
    with pytest.raises(OSError, match=r".+"):
        await asyncio.open_connection(*target.split(":"))


async def test_an_engine_that_cannot_start_starts_no_server() -> None:
    """The error is the engine's own, and comes before anybody can connect."""
    with pytest.raises(RuntimeError, match="no model here"):
        async with serving(Settings(host="127.0.0.1", port=0), Cold):
            pytest.fail("it serves")


async def test_the_settings_name_the_engine_and_its_options(say: Say) -> None:
    """Without a maker the registry's engine is made, with the options given."""
    settings = Settings(host="127.0.0.1", port=0, engine="fake", engine_options={"size": "256"})
    async with serving(settings) as port, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.stream_stream("/avatar.v1.AvatarService/StreamAvatar")()
        await call.write(say.init().SerializeToString())
        response = await call.read()
        assert b"fake" in response
        call.cancel()


class Dying(FakeEngine):
    """Ends its worker with the first motion."""

    def motion(self, steps: object) -> list[object]:  # type: ignore[override]
        """Break the contract."""
        del steps
        return []


async def test_after_the_worker_is_lost_everybody_is_told(serve: Serve, say: Say) -> None:
    """The running session is UNAVAILABLE, the next one finds another worker, and stopping works."""
    create: type[Engine] = Dying  # type: ignore[assignment]
    async with serve(create, capacity=4) as service, asyncio.timeout(20):
        heard = await service.talk(say.init(), say.audio(bytes(6_400)), half_close=False)
        assert (heard.code, heard.reason) == (grpc.StatusCode.UNAVAILABLE, "WORKER_LOST")
        assert "RetryInfo" in heard.details
        await service.until_free(4)
        heard = await service.talk(say.init(), say.over())
        assert heard.code is grpc.StatusCode.OK


async def test_failures_do_not_use_up_the_server(serve: Serve, say: Say, faulty: type[Faulty]) -> None:
    """After twenty lost sessions a good one has a slot and all its frames."""
    async with serve(lambda: faulty("motion"), capacity=2) as service, asyncio.timeout(30):
        for _ in range(20):
            heard = await service.talk(say.init(seed=13), say.audio(bytes(6_400)), half_close=False)
            assert heard.code is grpc.StatusCode.INTERNAL
            await service.until_free(2)
        heard = await service.talk(say.init(seed=1), say.audio(bytes(6_400)), say.over())
        assert len(heard.videos) == 5


async def test_a_signal_drains_and_ends_the_process(say: Say) -> None:
    """SIGTERM lets the running session finish, and the process then ends with 0."""
    code = (
        "import logging; logging.basicConfig(level=20);"
        "from avatar_service.app import serve; from avatar_service.config import Settings;"
        "serve(Settings(host='127.0.0.1', port=0, engine='fake', drain_grace_s=10))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)  # noqa: ASYNC220
    try:
        assert process.stderr is not None
        started = await asyncio.to_thread(process.stderr.readline)
        target = f"127.0.0.1:{int(started.rpartition(':')[2])}"
        async with asyncio.timeout(20), grpc.aio.insecure_channel(target, options=channel_options()) as channel:
            call = channel.stream_stream("/avatar.v1.AvatarService/StreamAvatar")()
            await call.write(say.init().SerializeToString())
            assert await call.read()
            process.send_signal(signal.SIGTERM)
            assert "draining" in await asyncio.to_thread(process.stderr.readline)
            await call.write(say.audio(bytes(6_400)).SerializeToString())
            await call.write(say.over().SerializeToString())
            while await call.read() is not grpc.aio.EOF:
                pass
            assert await call.code() is grpc.StatusCode.OK
            assert await asyncio.to_thread(process.wait, 10) == 0
    finally:
        process.kill()
        process.communicate()

"""Owns the rows of bad inputs about a server's own state: full, leaving, without an engine, its gateway killed.

Each has a server of its own, which is brought there from outside: by sessions that hold all slots, or by signals. The
good sessions are on that server too, but for the one without an engine: it can serve nobody, so theirs is another.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import grpc
import psutil
from avatar_client import AvatarClient
from faults import until_health
from grpc_health.v1 import health_pb2, health_pb2_grpc
from short_sessions import until_free

from avatar_service.commands.load import LoadedServer, loaded_server
from load.bad_cases import API, Answer, Case, Played, Sender, exchange, good_png, init, play, problem
from load.bad_takes import feed
from load.beside import GOOD, Good
from load.plan import elsewhere, gateway

HELD_S: Final = 20.0
"""Less than the grace of a server that drains, and longer than four hundred refusals take."""
FAKE: Final = ("--engine", "fake", "--capacity")
POLL_S: Final = 0.05
WITHIN_S: Final = 30.0
FED_S: Final = 2


async def bad_servers(good: Good, at_once: int) -> Played:
    """Return what was answered by all of them."""
    return [
        *await _full_and_draining(good, at_once),
        *await _without_engine(good, at_once),
        *await _without_gateway(good, at_once),
    ]


async def _full_and_draining(good: Good, at_once: int) -> Played:
    """The good sessions hold all slots, and then still have them while the server drains."""
    async with loaded_server(*FAKE, str(GOOD)) as server, gateway(server.target) as (base, _):
        async with good.holding(server.target, HELD_S):
            full = ("RESOURCE_EXHAUSTED", "POOL_FULL"), ("429", "POOL_FULL")
            played = await elsewhere(_ask, server.target, base, at_once, 35, *full)
            async with grpc.aio.insecure_channel(server.target) as channel:
                request = health_pb2.HealthCheckRequest(service="")
                health = aiter(health_pb2_grpc.HealthStub(channel).Watch(request))
                await until_health(health, serving=True)
                server.front.send_signal(signal.SIGTERM)
                await until_health(health, serving=False)
            draining = ("UNAVAILABLE", "DRAINING"), ("503", "DRAINING")
            played += await elsewhere(_ask, server.target, base, at_once, 36, *draining)
        async with asyncio.timeout(WITHIN_S):  # all sessions are over, so it ends by itself
            while psutil.pid_exists(server.front.pid):
                await asyncio.sleep(POLL_S)
    return played


async def _without_engine(good: Good, at_once: int) -> Played:
    async with (
        loaded_server(*FAKE, str(GOOD)) as other,
        loaded_server(*FAKE, "1", "--workers", "1") as server,
        gateway(server.target) as (base, _),
        good.speaking(other.target),
    ):
        [worker] = server.workers
        worker.kill()
        successor = await _held_up(server, worker)
        try:
            cold = ("UNAVAILABLE", "NOT_READY"), ("503", "NOT_READY")
            played = await elsewhere(_ask, server.target, base, at_once, 37, *cold)
        finally:
            successor.resume()
        async with AvatarClient(server.target) as client:
            await until_free(client, 1)
    return played


async def _held_up(server: LoadedServer, worker: psutil.Process) -> psutil.Process:
    """Return the process that replaces ``worker``, stopped before it is warm.

    But not before it runs a program of its own: until then the front, which made it, stands still with it (vfork).
    """
    async with asyncio.timeout(WITHIN_S):
        while not (young := [child for child in server.workers if child.pid != worker.pid and _is_worker(child)]):
            await asyncio.sleep(0)
    young[0].suspend()
    return young[0]


def _is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return "avatar_service.pool.process" in process.cmdline()
    return False


async def _without_gateway(good: Good, at_once: int) -> Played:
    """A gateway is killed while takes are made; the next one knows none of them, and keeps nothing of them."""
    with tempfile.TemporaryDirectory() as folder:
        async with loaded_server(*FAKE, str(at_once + GOOD)) as server, good.speaking(server.target):
            async with gateway(server.target, "--folder", folder) as (base, process):
                takes = await elsewhere(_open_takes, server.target, base, at_once)
                process.kill()
                await process.wait()
            async with AvatarClient(server.target) as client:
                await until_free(client, at_once)
            async with gateway(server.target, "--folder", folder) as (base, _):
                played = await elsewhere(_ask_for, server.target, base, takes)
                left = len(list(Path(folder).iterdir()))  # noqa: ASYNC240 - it is in memory
    return [*played, (54, "folders of both gateways", ("1", "left"), {(str(left), "left"): 1})]


def _ask(target: str, base: str, at_once: int, row: int, of_service: Answer, of_gateway: Answer) -> Played:
    """Ask for a session so many times at once, of the service and then of its gateway."""

    async def at_service(sender: Sender, _: int) -> Answer:
        return await exchange(sender.stub.StreamAvatar(), init(), may_retry=True)

    async def at_gateway(sender: Sender, _: int) -> Answer:
        return await sender.post(f"{API}/init", files={"image": ("portrait", good_png())})

    cases = [Case(row, "new session", at_service, of_service), Case(row, "HTTP: new session", at_gateway, of_gateway)]
    return asyncio.run(_play(target, base, at_once, cases))


async def _play(target: str, base: str, at_once: int, cases: list[Case]) -> Played:
    async with Sender.connected(target, base, at_once) as sender:
        return await play(sender, at_once, cases)


def _open_takes(target: str, base: str, count: int) -> list[str]:
    """Open so many takes and begin to feed them; return their ids."""

    async def open_takes() -> list[str]:
        async with Sender.connected(target, base, count) as sender:
            takes = [await sender.open_take() for _ in range(count)]
            fed = await asyncio.gather(*(feed(sender, take, FED_S, is_final=False) for take in takes))
        assert set(fed) == {("200", "")}, fed
        return takes

    return asyncio.run(open_takes())


def _ask_for(target: str, base: str, takes: list[str]) -> Played:
    """Ask a gateway for takes that it does not know."""

    async def send(sender: Sender, number: int, path: str) -> Answer:
        return problem(await sender.http.get(path.format(takes[number])))

    paths = (f"{API}/status/{{}}", "/hls/{}/playlist.m3u8", "/api/hls/{}/download")
    unknown = ("404", "SESSION_UNKNOWN")
    cases = [Case(54, f"HTTP: GET {path}", partial(send, path=path), unknown) for path in paths]
    return asyncio.run(_play(target, base, len(takes), cases))

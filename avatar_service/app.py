"""Owns the composition: the only place where parts are built and joined."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

import uvloop

from avatar_service.config import Settings
from avatar_service.engine.base import Engine
from avatar_service.engine.registry import create_engine
from avatar_service.pool.carrier import Carrier, ThreadCarrier
from avatar_service.pool.pool import Pool
from avatar_service.pool.process import ProcessCarrier
from avatar_service.rpc.server import Server

_log = logging.getLogger(__name__)

_RESTART_S: Final = 2.0


@asynccontextmanager
async def serving(settings: Settings, create: Callable[[], Engine] | None = None) -> AsyncIterator[int]:
    """Serve while the context lasts, then drain; yield the port.

    Args:
        settings: of the server.
        create: makes the engine, which then runs on a thread; by default the one that ``settings`` names.

    Raises:
        OSError: if the address cannot be listened on.
    """
    pool = Pool(_carriers(settings, create), settings.capacity)
    try:
        await pool.start()
        server = Server(pool, settings)
        port = await server.start()
        try:
            yield port
        finally:
            await server.drain()
    finally:
        await pool.stop()


def _carriers(settings: Settings, create: Callable[[], Engine] | None) -> list[Callable[[], Carrier]]:
    """Return what makes the carriers of each worker; they measure themselves only where no capacity is set."""
    head_room = None if settings.capacity else settings.head_room
    if settings.workers and create is None:
        process = partial(ProcessCarrier, settings.engine, settings.engine_options, head_room)
        return [process] * settings.workers
    create = create or partial(create_engine, settings.engine, settings.engine_options)
    return [partial(ThreadCarrier, create, head_room)]


def serve(settings: Settings, gateway_port: int | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then drain. A second signal ends the process at once.

    Args:
        settings: of the server.
        gateway_port: where a gateway process is to serve HTTP; ``None`` for no gateway.

    Raises:
        OSError: if the address cannot be listened on.
    """
    uvloop.run(_serve(settings, gateway_port))


async def _serve(settings: Settings, gateway_port: int | None) -> None:
    loop = asyncio.get_running_loop()
    asked_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_end.set)
    async with serving(settings) as port, _gateway(settings.host, port, gateway_port):
        _log.info("serving engine %s on %s:%d", settings.engine, settings.host, port)
        await asked_to_end.wait()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        _log.info("draining: running sessions have %g s to finish", settings.drain_grace_s)


@asynccontextmanager
async def _gateway(host: str, port: int, gateway_port: int | None) -> AsyncIterator[None]:
    """Keep a gateway running beside the server while the context lasts."""
    if gateway_port is None:
        yield
        return
    target = f"127.0.0.1:{port}" if host in {"0.0.0.0", "::"} else f"{host}:{port}"  # noqa: S104 - compared, not bound
    command = (sys.executable, "-m", "avatar_service", "gateway", "--server", target, "--host", host)
    keeping = asyncio.create_task(_keep_running((*command, "--port", str(gateway_port), "--until-stdin-ends")))
    try:
        yield
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


async def _keep_running(command: Sequence[str]) -> None:
    """Run ``command``, again whenever it ends; its stdin stays open until then, so it cannot outlive this process."""
    while True:
        # A session of its own, because Ctrl-C reaches a whole one, and the gateway's sessions are to be drained first.
        process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, start_new_session=True)
        try:
            _log.error("the gateway ended with code %d; it is started again", await process.wait())
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
        await asyncio.sleep(_RESTART_S)

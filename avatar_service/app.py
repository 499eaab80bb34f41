"""Owns the composition: the only place where parts are built and joined."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import uvloop

from avatar_service.config import Settings
from avatar_service.engine.base import Engine
from avatar_service.engine.registry import create_engine
from avatar_service.pool.carrier import Carrier, ThreadCarrier
from avatar_service.pool.pool import Pool
from avatar_service.pool.process import ProcessCarrier
from avatar_service.rpc.server import Server

_log = logging.getLogger(__name__)


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


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain. A second signal ends the process at once."""
    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    asked_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_end.set)
    async with serving(settings) as port:
        _log.info("serving engine %s on %s:%d", settings.engine, settings.host, port)
        await asked_to_end.wait()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        _log.info("draining: running sessions have %g s to finish", settings.drain_grace_s)

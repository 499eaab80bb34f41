"""Owns the composition: the only place where parts are built and joined."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from avatar_service.config import Settings
from avatar_service.engine.base import Engine
from avatar_service.engine.registry import create_engine
from avatar_service.pool.carrier import ThreadCarrier
from avatar_service.pool.pool import Pool
from avatar_service.rpc.server import Server

_log = logging.getLogger(__name__)


@asynccontextmanager
async def serving(settings: Settings, create: Callable[[], Engine] | None = None) -> AsyncIterator[int]:
    """Serve while the context lasts, then drain; yield the port.

    Args:
        settings: of the server.
        create: makes the engine; by default the one that ``settings`` names.

    Raises:
        OSError: if the address cannot be listened on.
    """
    pool = Pool(ThreadCarrier(create or _creator(settings)), settings.capacity)
    await pool.start()
    try:
        server = Server(pool, settings)
        port = await server.start()
        try:
            yield port
        finally:
            await server.drain()
    finally:
        await pool.stop()


def _creator(settings: Settings) -> Callable[[], Engine]:
    return lambda: create_engine(settings.engine, settings.engine_options)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain. A second signal ends the process at once."""
    asyncio.run(_serve(settings))


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

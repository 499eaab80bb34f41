"""Owns the composition: the only place where parts are built and joined."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
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
_GATEWAY_ENDS_WITHIN_S: Final = 10.0
"""What the gateway gets beyond its grace before it is killed."""


@asynccontextmanager
async def serving(settings: Settings, create: Callable[[], Engine] | None = None) -> AsyncIterator[int]:
    """Serve while the context lasts, then drain; yield the port.

    Args:
        settings: of the server.
        create: makes the engine, which then runs on a thread; by default the one that ``settings`` names.

    Raises:
        OSError: if the address cannot be listened on.
    """
    pool = Pool(_carriers(settings, create), settings.capacity, settings.max_avatars, settings.max_avatar_bytes)
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
        # A worker that had no place would serve nobody.
        return [process] * min(settings.workers, settings.capacity or settings.workers)
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
    async with AsyncExitStack() as stack:
        gateway = GatewayChild(settings, gateway_port)
        stack.push_async_callback(gateway.close)
        port = await stack.enter_async_context(serving(settings))
        gateway.start(port)
        _log.info("serving engine %s on %s:%d", settings.engine, settings.host, port)
        await asked_to_end.wait()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        _log.info("draining: running sessions have %g s to finish", settings.drain_grace_s)
        gateway.drain()


class GatewayChild:
    """The gateway's process beside the server: started again if it dies, and never longer alive than this one.

    Args:
        settings: of the server.
        port: where it serves HTTP; ``None`` for no gateway.
    """

    def __init__(self, settings: Settings, port: int | None) -> None:
        self._settings = settings
        self._port = port
        self._is_draining = False
        self._child: Process | None = None
        self._keeping: asyncio.Task[None] | None = None

    def start(self, server_port: int) -> None:
        """Start it, as a client of the server at this port."""
        if self._port is not None:
            host = self._settings.host
            reached = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound
            self._keeping = asyncio.create_task(self._keep_running(f"{reached}:{server_port}"))

    def drain(self) -> None:
        """Have it end once its takes have played. Repeating it is harmless; a second signal would not be."""
        is_first, self._is_draining = not self._is_draining, True
        if is_first and self._child is not None:
            with suppress(ProcessLookupError):
                self._child.terminate()

    async def close(self) -> None:
        """Return once it has ended; it is killed if that takes too long."""
        self.drain()
        if self._keeping is None:
            return
        _, late = await asyncio.wait([self._keeping], timeout=self._settings.drain_grace_s + _GATEWAY_ENDS_WITHIN_S)
        if late and self._child is not None:
            self._child.kill()
            await asyncio.wait([self._keeping])

    async def _keep_running(self, server: str) -> None:
        """Run it again whenever it ends; its stdin stays open until then, so it cannot outlive this process."""
        grace = str(self._settings.drain_grace_s)
        options = ("--server", server, "--port", str(self._port), "--drain-grace", grace, "--until-stdin-ends")
        environment = {"AVATAR_GATEWAY_HOST": self._settings.host, **os.environ}
        while not self._is_draining:
            # A session of its own, because Ctrl-C reaches a whole one, and its takes are to be played first.
            self._child = await create_subprocess_exec(
                *(sys.executable, "-m", "avatar_service", "gateway", *options),
                stdin=PIPE,
                start_new_session=True,
                env=environment,
            )
            if self._is_draining:
                self._child.terminate()
            code = await self._child.wait()
            self._child = None
            if not self._is_draining:
                _log.error("the gateway on port %s ended with code %d; it is started again", self._port, code)
                await asyncio.sleep(_RESTART_S)

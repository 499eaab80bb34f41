"""Owns the HTTP server: uvicorn around the application, until a signal."""

from __future__ import annotations

import math
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Final

import uvicorn

from avatar_service.config import GatewaySettings
from avatar_service.gateway.app import create_app
from avatar_service.gateway.doors import Doors

_LAST_PARTS_S: Final = 3.0
"""How long after the last part was published players are given to fetch it."""


def run(settings: GatewaySettings, *, until_stdin_ends: bool = False) -> None:
    """Serve HTTP until SIGTERM or SIGINT.

    Args:
        settings: of the gateway.
        until_stdin_ends: end also when stdin does, which is when the process that holds its other end is gone.
    """
    server = http_server(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        # Once it has shut down, uvicorn raises again what ended it: to its own handler, not to the one that kills.
        signal.signal(number, server.handle_exit)
    if until_stdin_ends:
        threading.Thread(target=_end_with_stdin, args=[server], daemon=True).start()
    server.run()


class DrainingServer(uvicorn.Server):
    """Lets what was fed play to its end before it shuts down; a second signal ends it at once.

    Args:
        config: of uvicorn.
        doors: of the gateway, which are closed first.
        are_playing: whether anything that was fed is still to be made or published. A conversation has no end that
            could be waited for.
        end_streams: ends what goes on by itself, so that who watches it is not cut off in the midst of a part.
        grace_s: how long that may take.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        doors: Doors,
        are_playing: Callable[[], bool],
        end_streams: Callable[[], Awaitable[None]],
        grace_s: float,
    ) -> None:
        super().__init__(config)
        self._doors = doors
        self._are_playing = are_playing
        self._end_streams = end_streams
        self._grace_s = grace_s
        self._end_s = math.inf
        self._played_s = -math.inf

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if self.started and self._end_s == math.inf:
            self._doors.close()
            self._end_s = time.monotonic() + self._grace_s
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Say whether to shut down; asked ten times a second."""
        now = time.monotonic()
        if self._end_s < math.inf:
            self._played_s = now if self._are_playing() else self._played_s
            self.should_exit |= now >= min(self._end_s, self._played_s + _LAST_PARTS_S)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then all else."""
        await self._end_streams()
        await super().shutdown(sockets)


def http_server(settings: GatewaySettings) -> uvicorn.Server:
    """Return the server, not started."""
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=2,
        server_header=False,
    )
    state = app.state

    async def end_streams() -> None:
        await state.sessions.end_streams()  # which there are only once it runs

    return DrainingServer(
        config,
        state.doors,
        lambda: state.sessions.are_playing,
        end_streams,
        settings.drain_grace_s,
    )


def _end_with_stdin(server: uvicorn.Server) -> None:
    """Wait for the end of stdin, below its buffer: a thread inside that when the interpreter ends would kill it."""
    while sys.stdin.buffer.raw.read(1):  # type: ignore[union-attr]
        pass
    server.should_exit = True

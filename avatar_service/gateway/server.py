"""Owns the HTTP server: uvicorn around the application, until a signal."""

from __future__ import annotations

import signal
import sys
import threading

import uvicorn

from avatar_service.config import GatewaySettings
from avatar_service.gateway.app import create_app


def run(settings: GatewaySettings, *, until_stdin_ends: bool = False) -> None:
    """Serve HTTP until SIGTERM or SIGINT.

    Args:
        settings: of the gateway.
        until_stdin_ends: end also when stdin does, which is when the process that holds its other end is gone.
    """
    server = http_server(settings)
    if until_stdin_ends:
        threading.Thread(target=_end_with_stdin, args=[server], daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Once it has shut down, uvicorn raises again what ended it: to its own handler, not to the one that kills.
        signal.signal(number, server.handle_exit)
    server.run()


def http_server(settings: GatewaySettings) -> uvicorn.Server:
    """Return the server, not started."""
    return uvicorn.Server(
        uvicorn.Config(
            create_app(settings),
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=2,
            server_header=False,
        )
    )


def _end_with_stdin(server: uvicorn.Server) -> None:
    """Wait for the end of stdin, below its buffer: a thread inside that when the interpreter ends would kill it."""
    while sys.stdin.buffer.raw.read(1):  # type: ignore[union-attr]
        pass
    server.should_exit = True

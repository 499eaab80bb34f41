"""Owns the gRPC server: its options, its services, and how it drains."""

from __future__ import annotations

import asyncio
from typing import Final

import grpc
from avatar.v1 import avatar_service_pb2
from avatar.v1.avatar_service_pb2_grpc import add_AvatarServiceServicer_to_server
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from avatar_service.config import Settings
from avatar_service.picture import MAX_BYTES
from avatar_service.pool.pool import Pool
from avatar_service.rpc.interceptors import ErrorInterceptor
from avatar_service.rpc.servicer import Servicer

_SERVICE: Final = avatar_service_pb2.DESCRIPTOR.services_by_name["AvatarService"].full_name
_ROOM_FOR_A_TEXT_BYTES: Final = 6 * 1024 * 1024
"""A portrait somewhat too large is still read, so that it is our text that says so, and not the transport's."""
_CLOSING_S: Final = 1.0

OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_BYTES + _ROOM_FOR_A_TEXT_BYTES),
    # By default 4-6 MiB lie in flow-control windows each way, 12 s of video; so a slow reader is felt within frames.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 65536),
    # A frozen peer is found within 12 s.
    ("grpc.keepalive_time_ms", 5000),
    ("grpc.keepalive_timeout_ms", 5000),
    ("grpc.http2.ping_timeout_ms", 5000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5000),
    ("grpc.so_reuseport", 0),
)


class Server:
    """The service on a port, with reflection and health beside it.

    Args:
        pool: started.
        settings: where to listen, and the bounds of the sessions.
    """

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool = pool
        self._settings = settings
        self._health = health.aio.HealthServicer()
        self._following: asyncio.Task[None]
        self._grpc = grpc.aio.server(interceptors=[ErrorInterceptor()], options=OPTIONS)
        self._servicer = Servicer(pool, settings)
        add_AvatarServiceServicer_to_server(self._servicer, self._grpc)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        reflection.enable_server_reflection((_SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), self._grpc)

    async def start(self) -> int:
        """Listen and report SERVING; return the port.

        Raises:
            OSError: if the address cannot be listened on.
        """
        address = f"{self._settings.host}:{self._settings.port}"
        try:
            port = self._grpc.add_insecure_port(address)
        except RuntimeError:
            msg = f"cannot listen on {address}: the port is taken, or the address is not one of this machine"
            raise OSError(msg) from None
        await self._grpc.start()
        await self._report()
        self._following = asyncio.create_task(self._follow())
        return port

    async def drain(self) -> None:
        """Refuse new sessions, let the running ones know and finish within the grace, then close."""
        self._servicer.go_away(self._settings.drain_grace_s)
        await self._pool.drain(self._settings.drain_grace_s)
        self._servicer.dismiss()
        await self._grpc.stop(_CLOSING_S)
        self._following.cancel()

    async def _follow(self) -> None:
        """Keep health true: NOT_SERVING while draining, and while no worker is there."""
        while True:
            await self._pool.changed()
            await self._report()

    async def _report(self) -> None:
        known = health_pb2.HealthCheckResponse
        for name in ("", _SERVICE):
            await self._health.set(name, known.SERVING if self._pool.serving else known.NOT_SERVING)

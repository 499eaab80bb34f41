"""Servers for the clients' tests: the real one with the fake engine, and one that follows a script."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import grpc
import grpc.aio
import pytest
from avatar.v1 import avatar_service_pb2_grpc
from avatar.v1.avatar_service_pb2 import GetCapabilitiesRequest, GetCapabilitiesResponse, StreamAvatarResponse
from avatar.v1.event_pb2 import EffectiveVideo, Ready
from avatar.v1.init_pb2 import AUDIO_ENCODING_LINEAR16, AudioFormat
from avatar_client.channel import TRANSPORT_OPTIONS

from avatar_service.app import serving
from avatar_service.assets import asset_path
from avatar_service.config import Settings

Session = Callable[[grpc.aio.ServicerContext], Awaitable[None]]


@dataclass
class ScriptedServer:
    """A server whose session is what the test says.

    Attributes:
        target: ``host:port``.
        session: what one call does, set by the test; reads and writes through the context.
    """

    target: str = ""
    session: Session | None = None


class _Servicer(avatar_service_pb2_grpc.AvatarServiceServicer):
    def __init__(self, server: ScriptedServer) -> None:
        self._server = server

    async def StreamAvatar(self, _requests, context):  # noqa: ANN001, ANN202, N802
        assert self._server.session is not None
        await self._server.session(context)

    async def GetCapabilities(  # noqa: N802
        self, _request: GetCapabilitiesRequest, context: grpc.aio.ServicerContext
    ) -> GetCapabilitiesResponse:
        await context.abort(grpc.StatusCode.INTERNAL, "scripted")


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedServer]:
    """A server on a free port that runs the test's own session."""
    handle = ScriptedServer()
    server = grpc.aio.server(options=[*TRANSPORT_OPTIONS])
    avatar_service_pb2_grpc.add_AvatarServiceServicer_to_server(_Servicer(handle), server)
    handle.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield handle
    await server.stop(None)


@pytest.fixture
async def target() -> AsyncIterator[str]:
    """The address of the real service with the fake engine and room for one session."""
    async with serving(Settings(host="127.0.0.1", port=0, engine="fake", capacity=1)) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture
def portrait() -> bytes:
    """A picture with a face."""
    return asset_path("astronaut.png").read_bytes()


@pytest.fixture
def audio() -> AudioFormat:
    """16 kHz, so that one frame is 640 samples."""
    return AudioFormat(encoding=AUDIO_ENCODING_LINEAR16, sample_rate_hz=16000)


@pytest.fixture
def ready() -> StreamAvatarResponse:
    """The first response of a session."""
    return StreamAvatarResponse(ready=Ready(session_id="s", fps=25, video=[EffectiveVideo(width=64, height=64)]))

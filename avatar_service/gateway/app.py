"""Owns the composition of the gateway: the application, its parts and its server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import grpc.aio
from avatar_client import AvatarClient
from avatar_client.channel import channel_options
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from grpc_health.v1.health_pb2_grpc import HealthStub

from avatar_service import __version__
from avatar_service.assets import FOLDER, asset_path
from avatar_service.config import GatewaySettings
from avatar_service.gateway import avatars, chunked, health, problem, saying, watch, webrtc, whole
from avatar_service.gateway.border import Border
from avatar_service.gateway.doors import Doors
from avatar_service.gateway.feed import MAX_CHUNK_BYTES
from avatar_service.gateway.form import MAX_FORM_BYTES, MAX_PORTRAIT_BYTES
from avatar_service.gateway.live.peers import Peers
from avatar_service.gateway.live.sessions import LiveSessions
from avatar_service.gateway.sessions import Sessions
from avatar_service.gateway.store import Store
from avatar_service.gateway.synthesis import Synthesiser
from avatar_service.gateway.turns import InTurn

_PAGE: Final = Path(__file__).parent / "page"
_FEED: Final = "/api/audio-driven/chunked/feed"
_MAX_BODY_BYTES: Final = {
    "/api/audio-driven/chunked/init": MAX_PORTRAIT_BYTES + 2 * MAX_FORM_BYTES,
    "/api/avatars": MAX_PORTRAIT_BYTES + 2 * MAX_FORM_BYTES,
    "/api/live": MAX_PORTRAIT_BYTES + 2 * MAX_FORM_BYTES,
    _FEED: MAX_CHUNK_BYTES + MAX_FORM_BYTES,
    "/api/audio-driven": MAX_PORTRAIT_BYTES + whole.MAX_AUDIO_BYTES + MAX_FORM_BYTES,
}
_SWEEP_S: Final = 5.0
_LIVE_SWEEP_S: Final = 1.0


def create_app(settings: GatewaySettings) -> FastAPI:
    """Return the application; its lifespan opens and closes what it holds.

    Raises:
        ValueError: if a setting cannot be read.
    """
    app = FastAPIOffline(
        title="avatar-service",
        version=__version__,
        summary="A portrait and a live stream of speech in, a talking video out.",
        lifespan=_lifespan,
        redirect_slashes=False,
        responses=problem.RESPONSES,
    )
    app.state.settings, app.state.doors, app.state.peers = settings, Doors(settings.max_sessions), Peers(settings)
    app.state.synthesiser = Synthesiser(settings.synthesiser)
    problem.install(app)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "HEAD", "POST", "DELETE"],
            allow_headers=["Content-Type", "Range", "X-Request-Id"],
            expose_headers=["Content-Range", "ETag", "Link", "Location", "X-Request-Id"],
        )
    app.include_router(avatars.router)
    app.include_router(chunked.router)
    app.include_router(whole.router)
    app.include_router(watch.router)
    app.include_router(webrtc.router)
    app.include_router(saying.router)
    app.include_router(health.router)
    app.add_middleware(InTurn, path=_FEED)
    app.add_middleware(Border, max_body_bytes=_MAX_BODY_BYTES)
    _add_page(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open what the application holds, and close it."""
    state, settings = app.state, app.state.settings
    store = Store(settings.folder)
    try:
        async with (
            AvatarClient(settings.server) as client,
            grpc.aio.insecure_channel(settings.server, options=channel_options()) as channel,
        ):
            state.client, state.health = client, HealthStub(channel)
            state.sessions = Sessions(client, store, state.doors, settings)
            state.live_sessions = LiveSessions(client, state.doors, settings)
            sweeping = [
                asyncio.create_task(_sweep(state.sessions, _SWEEP_S)),
                asyncio.create_task(_sweep(state.live_sessions, _LIVE_SWEEP_S)),
            ]
            yield
            for task in sweeping:
                task.cancel()
            await asyncio.wait(sweeping)
            await state.peers.close()
            await state.live_sessions.close()
            await state.sessions.close()
    finally:
        store.close()


async def _sweep(sessions: Sessions | LiveSessions, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        await sessions.sweep()


def _add_page(app: FastAPI) -> None:
    # page/client is a link to the JavaScript client's source, so that there is one of it; a wheel holds a copy.
    app.mount("/page", StaticFiles(directory=_PAGE, check_dir=False, follow_symlink=True), name="page")

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(_PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    @app.get("/sample/portrait.png", include_in_schema=False)
    async def sample_portrait() -> FileResponse:
        return FileResponse(asset_path("astronaut.png"))

    @app.get("/sample/speech.wav", include_in_schema=False)
    async def sample_speech() -> FileResponse:
        return FileResponse(FOLDER / "speech.wav", media_type="audio/wav")

"""The gateway on a free port, in front of the real service with the fake engine, and what its clients send."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import av
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.datastructures import State

from avatar_service.app import serving
from avatar_service.config import GatewaySettings, Settings
from avatar_service.engine.base import Engine
from avatar_service.engine.fake import FakeEngine
from avatar_service.gateway.doors import Doors
from avatar_service.gateway.live.peers import Peers
from avatar_service.gateway.live.sessions import LiveSessions
from avatar_service.gateway.server import http_server
from avatar_service.gateway.sessions import Sessions

API = "/api/audio-driven/chunked"


def wav(samples: NDArray[np.int16], rate_hz: int = 24_000, channels: int = 1) -> bytes:
    """Return a WAV file."""
    content = io.BytesIO()
    with wave.open(content, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(samples.astype("<i2").tobytes())
    return content.getvalue()


def tone(seconds: float, rate_hz: int = 24_000, hz: float = 220.0) -> NDArray[np.int16]:
    """Return a sine."""
    return (np.sin(np.arange(round(seconds * rate_hz)) * 2 * np.pi * hz / rate_hz) * 9000).astype(np.int16)


class Client:
    """A client of a gateway under test.

    Attributes:
        http: plain HTTP.
        sessions: what the gateway holds.
        live_sessions: likewise.
        peers: likewise.
        doors: that its sessions come in by.
    """

    def __init__(self, http: httpx.AsyncClient, state: State, photo: bytes) -> None:
        self.http = http
        self.sessions: Sessions = state.sessions
        self.live_sessions: LiveSessions = state.live_sessions
        self.peers: Peers = state.peers
        self.doors: Doors = state.doors
        self.photo = photo

    async def try_init(self, image: bytes | None = None, **fields: Any) -> httpx.Response:
        """Ask for a session."""
        files = {"image": ("portrait.png", self.photo if image is None else image, "image/png")}
        return await self.http.post(f"{API}/init", files=files, data=fields)

    async def init(self, **fields: Any) -> str:
        """Return the id of a new session."""
        answer = await self.try_init(**fields)
        assert answer.status_code == 200, answer.text
        session_id: str = answer.json()["session_id"]
        return session_id

    async def live(self, **fields: Any) -> str:
        """Return the id of a new live session."""
        files = {"image": ("portrait.png", self.photo, "image/png")}
        answer = await self.http.post("/api/live", files=files, data={"preset": "lowest_latency", **fields})
        assert answer.status_code == 200, answer.text
        session_id: str = answer.json()["session_id"]
        return session_id

    async def try_feed(
        self, session_id: str, audio: bytes | None, kind: str = "audio/wav", **fields: Any
    ) -> httpx.Response:
        """Feed a chunk."""
        files = None if audio is None else {"audio_chunk": ("chunk", audio, kind)}
        return await self.http.post(f"{API}/feed", data={"session_id": session_id, **fields}, files=files)

    async def feed(
        self, session_id: str, audio: bytes | None, kind: str = "audio/wav", **fields: Any
    ) -> dict[str, Any]:
        """Feed a chunk that is taken."""
        answer = await self.try_feed(session_id, audio, kind, **fields)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def status(self, session_id: str) -> dict[str, Any]:
        """Return how a session stands."""
        body: dict[str, Any] = (await self.http.get(f"{API}/status/{session_id}")).json()
        return body

    async def until(self, session_id: str, state: str) -> dict[str, Any]:
        """Ask again and again until the session is in ``state``."""
        async with asyncio.timeout(30):
            while (standing := await self.status(session_id))["status"] != state:
                await asyncio.sleep(0.02)
        return standing

    async def finished(self, audio: bytes, kind: str = "audio/wav", **fields: Any) -> str:
        """Return the id of a session that has shown all of ``audio``."""
        session_id = await self.init(**fields)
        await self.feed(session_id, audio, kind, is_final_chunk="true")
        await self.until(session_id, "complete")
        return session_id

    async def download(self, session_id: str) -> Movie:
        """Return the whole take."""
        answer = await self.http.get(f"/api/hls/{session_id}/download")
        assert answer.status_code == 200, answer.text
        return Movie.decode(answer.content)


class Movie:
    """A decoded video file.

    Attributes:
        pictures: RGB arrays.
        times_s: when each is shown.
        sound: mono samples at 48 kHz, in [-1, 1].
        sound_start_s: when the first of them is heard.
    """

    def __init__(self) -> None:
        self.pictures: list[NDArray[np.uint8]] = []
        self.times_s: list[float] = []
        self.sound = np.zeros(0, np.float32)
        self.sound_start_s = 0.0
        self.format = ""

    @classmethod
    def decode(cls, content: bytes) -> Movie:
        """Return what a file holds."""
        movie = cls()
        pieces = []
        with av.open(io.BytesIO(content)) as container:
            for frame in container.decode():
                if isinstance(frame, av.VideoFrame):
                    movie.pictures.append(frame.to_ndarray(format="rgb24"))
                    movie.times_s.append(float(frame.time))
                else:
                    if not pieces:
                        movie.sound_start_s = float(frame.time)
                    pieces.append(frame.to_ndarray().reshape(-1))
        movie.sound = np.concatenate(pieces) if pieces else movie.sound
        return movie


Run = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def run_gateway(photo: bytes) -> Run:
    """Return what runs service and gateway while its context lasts; settings differ from the default as given."""

    @asynccontextmanager
    async def run(
        service: dict[str, Any] | None = None, create: Callable[[], Engine] | None = FakeEngine, **settings: Any
    ) -> AsyncIterator[Client]:
        chosen = {
            "host": "127.0.0.1",
            "port": 0,
            "engine": "fake",
            "capacity": 4,
            "drain_grace_s": 0.05,
            **(service or {}),
        }
        async with serving(Settings(**chosen), create) as port:
            server = http_server(
                GatewaySettings(**{"server": f"127.0.0.1:{port}", "host": "127.0.0.1", "port": 0, **settings})
            )
            task = asyncio.create_task(server.serve())
            while not server.started:
                await asyncio.sleep(0.005)
            address = server.servers[0].sockets[0].getsockname()
            base = f"http://{address[0]}:{address[1]}"
            try:
                async with httpx.AsyncClient(base_url=base, timeout=30) as http:
                    yield Client(http, server.config.app.state, photo)
            finally:
                server.should_exit = True
                await task

    return run


@pytest.fixture
async def client(run_gateway: Run) -> AsyncIterator[Client]:
    """A client of a gateway with the defaults."""
    async with run_gateway() as client:
        yield client

"""Owns many short sessions one after another, and what the server's processes hold before and after them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import psutil
from avatar_client import AUDIO_ENCODING_LINEAR16, AudioFormat, AvatarClient, AvatarRpcError, VideoFormat

from avatar_service.assets import asset_path
from avatar_service.commands.load import LoadedServer, loaded_server

SESSIONS: Final = 4
"""At once."""
POLL_S: Final = 0.01
LONG_S: Final = 60.0
CHURN_FIRST: Final = 100
"""Sessions before the first look: caches fill, and the allocator takes what it keeps."""


def portrait() -> bytes:
    """Return the picture that everybody shows."""
    return asset_path("astronaut.png").read_bytes()


async def until_free(client: AvatarClient, sessions: int) -> None:
    """Return once so many sessions would be admitted.

    Raises:
        TimeoutError: if that takes too long.
    """
    async with asyncio.timeout(LONG_S):
        while (await client.capabilities()).free_sessions < sessions:
            await asyncio.sleep(POLL_S)


async def churned(options: list[str], sessions: int) -> dict[str, Any]:
    """Return what the server's processes hold before and after many sessions, of which every third is left early."""
    async with loaded_server(*options) as server, AvatarClient(server.target) as client:
        await run_sessions(client, CHURN_FIRST)
        before = held(server)
        began = time.monotonic()
        await run_sessions(client, sessions)
        seconds = time.monotonic() - began
        after = held(server)
    pairs = {f"churn_{name}": {"before": before[name], "after": after[name]} for name in before}
    return {"churn_sessions": sessions, "churn_seconds": round(seconds, 1), **pairs}


async def run_sessions(client: AvatarClient, sessions: int) -> None:
    """Run sessions, as many at once as there are slots; return when all slots are free again."""
    numbers = iter(range(sessions))

    async def run_some() -> None:
        for number in numbers:
            await short_session(client, left_early=number % 3 == 0)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(SESSIONS):
            tasks.create_task(run_some())
    await until_free(client, SESSIONS)


async def short_session(client: AvatarClient, *, left_early: bool) -> None:
    """Speak for a second, at once; read all frames, or leave at the first.

    A slot is free a moment after the client has left, so the next session may find none yet.
    """
    audio = AudioFormat(encoding=AUDIO_ENCODING_LINEAR16, sample_rate_hz=16_000)

    async def second() -> AsyncIterator[bytes]:
        yield bytes(2 * 16_000)

    done = False
    while not done:
        try:
            async with client.animate(portrait(), second(), audio=audio, video=[VideoFormat()]) as stream:
                async for response in stream:
                    if left_early and response.HasField("video"):
                        break
                done = True
        except AvatarRpcError as error:
            if error.reason != "POOL_FULL":
                raise
            await asyncio.sleep(POLL_S)


def held(server: LoadedServer) -> dict[str, float]:
    """Return what all processes of the server hold."""
    processes: list[psutil.Process] = [server.front, *server.workers]
    return {
        "rss_mib": round(server.resident_bytes() / 2**20, 1),
        "fds": sum(process.num_fds() for process in processes),
        "threads": sum(process.num_threads() for process in processes),
        "processes": len(processes),
    }

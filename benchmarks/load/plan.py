"""Owns how much of everything a run does, and what several parts need."""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar

from avatar_service.assets import asset_path
from avatar_service.commands.load import await_port, free_port

RESULTS: Final = Path(__file__).parent.parent / "results"
SPAWN: Final = multiprocessing.get_context("spawn")
"""gRPC does not survive a fork."""
Out = TypeVar("Out")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything; each part reads what concerns it, and 0 means its own default.

    Attributes:
        engine: name of the engine, where a part has no reason for another.
        sessions: at once, or in all where a part has them one after another.
        seconds: that a part lasts, or that its sessions speak.
        rounds: of faults.
    """

    engine: str = "portrait"
    sessions: int = 0
    seconds: float = 0.0
    rounds: int = 0


@lru_cache
def portrait() -> bytes:
    """Return the picture that everybody shows."""
    return asset_path("astronaut.png").read_bytes()


@asynccontextmanager
async def gateway(target: str, *options: str) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Run a gateway in front of a server, in a process of its own; yield its address and process."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "avatar_service", "gateway", "--server", target, "--host", "127.0.0.1"),
        *("--port", str(port), *options),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await await_port(port, process)
        yield f"http://127.0.0.1:{port}", process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def elsewhere(work: Callable[..., Out], *arguments: Any) -> Out:
    """Return what ``work`` returns in a process of its own, whose load does not delay what is measured in this one."""
    with ProcessPoolExecutor(1, SPAWN) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, work, *arguments)

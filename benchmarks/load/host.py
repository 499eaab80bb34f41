"""Runs a server whose event loop says how many tasks it holds: from outside that cannot be seen."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import uvloop

from avatar_service.app import serving
from avatar_service.commands.load import LoadedServer
from avatar_service.config import Settings


@dataclass(frozen=True, slots=True)
class Host:
    """A server in a process of its own.

    Attributes:
        server: its address and processes.
        process: that asks it.
    """

    server: LoadedServer
    process: asyncio.subprocess.Process

    async def tasks(self) -> int:
        """Return how many tasks the front's loop holds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"\n")
        return int(await self.process.stdout.readline())


@asynccontextmanager
async def hosted(engine: str, workers: int, capacity: int) -> AsyncIterator[Host]:
    """Serve while the context lasts, as ``avatar-service serve`` does."""
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "load.host", engine, str(workers), str(capacity))
    process = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL, cwd=Path(__file__).parents[1]
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        yield Host(LoadedServer(f"127.0.0.1:{port}", psutil.Process(process.pid)), process)
    finally:
        process.stdin.close()
        await process.wait()


async def host(engine: str, workers: int, capacity: int) -> None:
    """Serve until stdin ends; answer each line by the number of tasks, this one not among them."""
    settings = Settings(host="127.0.0.1", port=0, engine=engine, workers=workers, capacity=capacity)
    async with serving(settings) as port:
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        while await asyncio.to_thread(sys.stdin.readline):
            sys.stdout.write(f"{len(asyncio.all_tasks()) - 1}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(host(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))

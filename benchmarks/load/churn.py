"""Measures what many sessions leave behind: memory, files, tasks, threads, directories.

Sessions come and go on the service, every third left early, and a twentieth as many takes on a gateway in front of it.
The first ones fill caches and the allocator's pools, so the base is measured after them. The engine is the fake one:
what may leak is the front, the borders of the workers and the encoder, and with it ten thousand sessions take minutes.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
from avatar_client import AvatarClient
from short_sessions import CHURN_FIRST, SESSIONS, held, run_sessions

from load.host import Host, hosted
from load.plan import Plan, gateway, portrait

COUNT: Final = 10_000
GATEWAY_SHARE: Final = 20
GATEWAY_FIRST: Final = 20
API: Final = "/api/audio-driven/chunked"
SETTLE_S: Final = 2.0
"""What was closed at last may still be on its way out."""


async def churn(plan: Plan) -> dict[str, Any]:
    """Return what grew."""
    count = plan.sessions or COUNT
    async with hosted("fake", 2, SESSIONS) as host, AvatarClient(host.server.target) as client:
        service = await _service(host, client, count)
        takes = await _takes(host.server.target, max(1, count // GATEWAY_SHARE))
    grown = {f"churn_{name}": round(service["after"][name] - service["before"][name], 1) for name in service["before"]}
    return {
        "engine": "fake",
        "churn_sessions": count,
        **grown,
        "churn_directories": takes["after"]["directories"] - takes["before"]["directories"],
        "service": service,
        "gateway": takes,
    }


async def _service(host: Host, client: AvatarClient, count: int) -> dict[str, Any]:
    await run_sessions(client, CHURN_FIRST)
    before = await _held(host)
    began = time.monotonic()
    await run_sessions(client, count)
    seconds = time.monotonic() - began
    return {"seconds": round(seconds, 1), "before": before, "after": await _held(host)}


async def _held(host: Host) -> dict[str, float]:
    await asyncio.sleep(SETTLE_S)
    return {**held(host.server), "tasks": await host.tasks()}


async def _takes(target: str, count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            gateway(target, "--folder", folder) as (base, process),
            httpx.AsyncClient(base_url=base, timeout=60) as http,
        ):
            seen = psutil.Process(process.pid)
            await _run_takes(http, GATEWAY_FIRST)
            before = await _held_by_gateway(seen, Path(folder))
            await _run_takes(http, count)
            after = await _held_by_gateway(seen, Path(folder))
    return {"takes": count, "before": before, "after": after}


async def _run_takes(http: httpx.AsyncClient, count: int) -> None:
    numbers = iter(range(count))

    async def run_some() -> None:
        for number in numbers:
            await _take(http, left_early=number % 3 == 0)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(SESSIONS):
            tasks.create_task(run_some())


async def _take(http: httpx.AsyncClient, *, left_early: bool) -> None:
    """Open, feed a second, wait for all of it unless left early, and delete."""
    while (answer := await http.post(f"{API}/init", files={"image": ("portrait", portrait())})).status_code in {
        429,
        503,
    }:
        await asyncio.sleep(float(answer.headers["retry-after"]))
    answer.raise_for_status()
    session = answer.json()["session_id"]
    fed = await http.post(
        f"{API}/feed",
        data={"session_id": session, "is_final_chunk": "true"},
        files={"audio_chunk": ("chunk", bytes(48_000), "audio/pcm")},
    )
    fed.raise_for_status()
    while not left_early and (await http.get(f"{API}/status/{session}")).json()["status"] != "complete":
        await asyncio.sleep(0.02)
    (await http.delete(f"{API}/session/{session}")).raise_for_status()


async def _held_by_gateway(process: psutil.Process, folder: Path) -> dict[str, float]:
    await asyncio.sleep(SETTLE_S)
    return {
        "rss_mib": round(process.memory_info().rss / 2**20, 1),
        "fds": process.num_fds(),
        "threads": process.num_threads(),
        "directories": len(await asyncio.to_thread(lambda: [path for path in folder.rglob("*") if path.is_dir()])),
    }

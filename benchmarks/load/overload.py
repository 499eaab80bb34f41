"""Measures overload: as many paced sessions as were promised, and many more callers that ask again when told to.

Those callers send their ``init``, are refused, wait as long as ``RetryInfo`` says, and try again. They are in a process
of their own, so that the admitted sessions' lateness is the server's and not theirs.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any, Final

import grpc
from avatar_client import AUDIO_ENCODING_LINEAR16, AudioFormat, AvatarClient, AvatarRpcError

from avatar_service.commands.bench import first_frames, loaded
from avatar_service.commands.load import loaded_server
from load.plan import Plan, elsewhere, portrait

SESSIONS: Final = 10
SECONDS: Final = 60.0
TIMES: Final = (2, 10)
"""The offered load, in times of what is admitted."""
LEAD_S: Final = 2.0
"""All sessions are admitted before anybody else asks, and nobody asks when they end."""
Refusal = tuple[float, str]


async def overload(plan: Plan) -> dict[str, Any]:
    """Return how the admitted sessions fare beside those that are refused, and how soon these are told."""
    sessions, seconds = plan.sessions or SESSIONS, plan.seconds or SECONDS
    async with loaded_server("--engine", plan.engine, "--capacity", str(sessions)) as server:
        await first_frames(server.target, portrait())  # warms every worker's cache
        before = await loaded(server, portrait(), sessions, seconds)
        runs = {}
        for times in TIMES:
            asking = asyncio.create_task(elsewhere(ask, server.target, (times - 1) * sessions, seconds - 2 * LEAD_S))
            runs[times] = await loaded(server, portrait(), sessions, seconds)
            runs[times]["offers"] = summary(await asking)
        after = await loaded(server, portrait(), sessions, seconds)
    alone = statistics.mean(run["lateness_ms"]["p99"] for run in (before, after))
    return {
        "sessions": sessions,
        "alone_p99_ms": [run["lateness_ms"]["p99"] for run in (before, after)],
        "overload_p99_ratio": round(max(run["lateness_ms"]["p99"] for run in runs.values()) / alone, 3),
        "refusal_ms_max": max(run["offers"]["refusal_ms"]["max"] for run in runs.values()),
        "missing_frames": sum(run["missing_frames"] for run in runs.values()),
        "runs": {"alone": before, **{f"{times}x": run for times, run in runs.items()}, "alone again": after},
    }


def summary(refusals: list[Refusal]) -> dict[str, Any]:
    """Return how soon offers were refused, and how many were answered by anything but what they should be."""
    times = sorted(ms for ms, _ in refusals)
    return {
        "count": len(refusals),
        "wrong": sorted({answer for _, answer in refusals} - {"POOL_FULL"}),
        "refusal_ms": {
            "p50": round(statistics.median(times), 1),
            "p99": round(times[int(0.99 * (len(times) - 1))], 1),
            "max": round(times[-1], 1),
        },
    }


def ask(target: str, callers: int, seconds: float) -> list[Refusal]:
    """Ask for a session again and again; return how long each refusal took in ms, and its reason."""
    return asyncio.run(_ask(target, callers, seconds))


async def _ask(target: str, callers: int, seconds: float) -> list[Refusal]:
    await asyncio.sleep(LEAD_S)
    until = time.monotonic() + seconds
    async with AvatarClient(target) as client:
        await client.capabilities()  # connects
        found = await asyncio.gather(*(_call(client, until, number / callers) for number in range(callers)))
    return [refusal for one in found for refusal in one]


async def _call(client: AvatarClient, until: float, delay_s: float) -> list[Refusal]:
    await asyncio.sleep(delay_s)
    found = []
    while time.monotonic() < until:
        ms, answer, pause_s = await _offer(client)
        found.append((ms, answer))
        await asyncio.sleep(pause_s)
    return found


async def _offer(client: AvatarClient) -> tuple[float, str, float]:
    audio = AudioFormat(encoding=AUDIO_ENCODING_LINEAR16, sample_rate_hz=16_000)
    began = time.monotonic()
    try:
        async with client.stream(portrait(), audio=audio):
            pass
    except AvatarRpcError as error:
        ms = 1000 * (time.monotonic() - began)
        is_right = error.code is grpc.StatusCode.RESOURCE_EXHAUSTED and error.retry_after_s
        return ms, error.reason if is_right else f"{error.code.name} {error.reason}", error.retry_after_s or 1.0
    return 1000 * (time.monotonic() - began), "ADMITTED", 1.0

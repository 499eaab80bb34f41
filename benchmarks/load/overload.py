"""Measures overload: as many paced sessions as were promised, and many more callers that ask again when told to.

Those callers ask as the Python client for asyncio does, are refused before their portrait travels, wait as long as
``RetryInfo`` says, and try again. They are in a process of their own, which has started before anything is measured, so
that the admitted sessions' lateness is the server's and not theirs.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Final

import grpc
from avatar_client import AUDIO_ENCODING_LINEAR16, AudioFormat, AvatarClient, AvatarRpcError

from avatar_service.commands.bench import first_frames, loaded
from avatar_service.commands.load import LoadedServer, loaded_server
from load.plan import SPAWN, Plan, portrait

SESSIONS: Final = 10
SECONDS: Final = 30.0
TIMES: Final = (2, 10)
"""The offered load, in times of what is admitted."""
ROUNDS: Final = 3
"""Alone and overloaded by turns, because a machine's speed wanders by more than what is to be seen here."""
LEAD_S: Final = 2.0
"""All sessions are admitted before anybody else asks, and nobody asks when they end."""
Refusal = tuple[float, str]


async def overload(plan: Plan) -> dict[str, Any]:
    """Return how the admitted sessions fare beside those that are refused, and how soon these are told.

    ``overload_p99_ratio`` is of medians over the rounds, for the worse of the two loads.
    """
    sessions, seconds = plan.sessions or SESSIONS, plan.seconds or SECONDS
    runs: dict[int, list[dict[str, Any]]] = {times: [] for times in (1, *TIMES)}
    with ProcessPoolExecutor(1, SPAWN) as callers:
        await asyncio.get_running_loop().run_in_executor(callers, portrait)  # there, all of this is imported for it
        async with loaded_server("--engine", plan.engine, "--capacity", str(sessions)) as server:
            await first_frames(server.target, portrait())  # warms every worker's cache
            for times in (1, *TIMES) * (plan.rounds or ROUNDS):
                runs[times].append(await _run(server, callers, sessions, times, seconds))
    alone, *overloaded = (statistics.median(run["lateness_ms"]["p99"] for run in found) for found in runs.values())
    every = [run for times in TIMES for run in runs[times]]
    return {
        "sessions": sessions,
        "p99_ms": {times: [run["lateness_ms"]["p99"] for run in found] for times, found in runs.items()},
        "overload_p99_ratio": round(max(overloaded) / alone, 3),
        "refusal_ms_max": max(run["offers"]["refusal_ms"]["max"] for run in every),
        "overload_answers_wrong": len({answer for run in every for answer in run["offers"]["wrong"]}),
        "missing_frames": sum(run["missing_frames"] for run in every),
        "runs": {f"{times}x": found for times, found in runs.items()},
    }


async def _run(
    server: LoadedServer, callers: ProcessPoolExecutor, sessions: int, times: int, seconds: float
) -> dict[str, Any]:
    """Return the figures of the admitted sessions at so many times the load, and of the offers, if any."""
    if times == 1:
        return await loaded(server, portrait(), sessions, seconds)
    offers = (server.target, (times - 1) * sessions, seconds - 2 * LEAD_S)
    asking = asyncio.get_running_loop().run_in_executor(callers, ask, *offers)
    return {**await loaded(server, portrait(), sessions, seconds), "offers": summary(await asking)}


def summary(refusals: list[Refusal]) -> dict[str, Any]:
    """Return how soon offers were refused, and what some were answered in place of what they should be."""
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

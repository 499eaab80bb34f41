"""Owns `bench`: what this machine serves, measured from outside on a server of its own. One JSON object comes out."""

from __future__ import annotations

import asyncio
import os
import platform
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from avatar_client import AUDIO_ENCODING_LINEAR16, AudioFormat, AvatarClient, VideoFormat

from avatar_service.assets import asset_path
from avatar_service.commands.load import LATE_MS, LoadedServer, Outcome, Speech, loaded_server, paced_session
from avatar_service.media import SAMPLE_RATE_HZ

_SPREAD_S: Final = 1.0
"""Sessions begin spread over this time, as callers do; all at once they would stay in step for ever."""
_FIRST_FRAME_TRIES: Final = 10
_UNSEEN_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes:
        sessions: at once; 0 for as many as the server measures itself to hold.
        seconds: that each of them speaks.
        workers: processes of the server; 0 for one a core.
        engine: name of the engine.
    """

    sessions: int = 0
    seconds: float = 30.0
    workers: int = 0
    engine: str = "portrait"


def run(plan: Plan) -> dict[str, Any]:
    """Return the measured figures.

    Raises:
        AvatarRpcError: if a session fails.
    """
    return asyncio.run(measure(plan))


async def measure(plan: Plan) -> dict[str, Any]:
    """Start a server, measure it empty and loaded, and return the figures."""
    options = ["--engine", plan.engine]
    if plan.workers:
        options += ["--workers", str(plan.workers)]
    if plan.sessions:
        options += ["--capacity", str(plan.sessions)]
    portrait = asset_path("astronaut.png").read_bytes()
    async with loaded_server(*options) as server:
        async with AvatarClient(server.target) as client:
            capacity = (await client.capabilities()).capacity_sessions
        first = await first_frames(server.target, portrait)
        load = await loaded(server, portrait, plan.sessions or capacity, plan.seconds)
    return {"benchmark": "service", **machine(), "measured_capacity": capacity, **first, **load}


async def loaded(server: LoadedServer, portrait: bytes, sessions: int, seconds: float) -> dict[str, Any]:
    """Return lateness, CPU and memory of ``sessions`` paced sessions at once."""
    speech = Speech.sample()
    empty_bytes = server.resident_bytes()
    front_s, workers_s = server.cpu_s()
    client_s = time.process_time()
    memory = asyncio.create_task(_resident_bytes_after(server, _SPREAD_S + seconds / 2))
    outcomes = await asyncio.gather(
        *(
            paced_session(server.target, portrait, speech, seconds, delay_s=_SPREAD_S * number / sessions)
            for number in range(sessions)
        )
    )
    client_s = time.process_time() - client_s
    front_s, workers_s = (after - before for after, before in zip(server.cpu_s(), (front_s, workers_s), strict=True))
    frames = sum(len(outcome.lateness_ms) for outcome in outcomes)
    return {
        "sessions": sessions,
        "seconds": seconds,
        "frames": frames,
        **lateness(outcomes),
        "cpu_ms_per_frame": {
            "front": _rounded(1000 * front_s / frames),
            "workers": _rounded(1000 * workers_s / frames),
            "server": _rounded(1000 * (front_s + workers_s) / frames),
            "load_client": _rounded(1000 * client_s / frames),
        },
        "resident_mb_per_session": _rounded((await memory - empty_bytes) / sessions / 1e6),
    }


def lateness(outcomes: list[Outcome]) -> dict[str, Any]:
    """Return how late the frames of all sessions were, in ms."""
    late = np.concatenate([outcome.lateness_ms for outcome in outcomes])
    shares = {f"p{share}": _rounded(float(np.percentile(late, share))) for share in (50, 95, 99)}
    return {
        "missing_frames": sum(outcome.missing for outcome in outcomes),
        "late_frames": int((late > LATE_MS).sum()),
        "lateness_ms": {**shares, "max": _rounded(float(late.max()))},
    }


async def first_frames(target: str, portrait: bytes) -> dict[str, Any]:
    """Return the median ms from opening a call, with a second of audio behind ``init`` at once, to its first frame."""
    await _first_frame_s(target, portrait)
    prepared = [await _first_frame_s(target, portrait) for _ in range(_FIRST_FRAME_TRIES)]
    # A trailing byte changes the content's hash and nothing else.
    unseen = [await _first_frame_s(target, portrait + bytes(number + 1)) for number in range(_UNSEEN_TRIES)]
    return {
        "first_frame_ms": _rounded(1000 * statistics.median(prepared)),
        "first_frame_unseen_ms": _rounded(1000 * statistics.median(unseen)),
    }


async def _first_frame_s(target: str, portrait: bytes) -> float:
    audio = AudioFormat(encoding=AUDIO_ENCODING_LINEAR16, sample_rate_hz=SAMPLE_RATE_HZ)

    async def second() -> Any:
        yield bytes(2 * SAMPLE_RATE_HZ)

    async with AvatarClient(target) as client:
        await client.capabilities()  # connects
        opened = time.monotonic()
        async with client.animate(portrait, second(), audio=audio, video=[VideoFormat()]) as stream:
            first_s = 0.0
            async for response in stream:
                if response.HasField("video") and not first_s:
                    first_s = time.monotonic() - opened
        return first_s


async def _resident_bytes_after(server: LoadedServer, seconds: float) -> int:
    await asyncio.sleep(seconds)
    return server.resident_bytes()


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    return {"machine": model, "cores": len(os.sched_getaffinity(0)), "python": platform.python_version()}


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []


def _rounded(value: float) -> float:
    return round(value, 2)

"""Measures what it brings that sessions allow half the frame rate: how many are held, and how they fare.

One server is filled twice with LIVE sessions that speak all the time: strict ones, then such as may be halved.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from avatar_client import (
    AUDIO_ENCODING_LINEAR16,
    DEGRADATION_PREFERENCE_DISABLED,
    DEGRADATION_PREFERENCE_MAINTAIN_RESOLUTION,
    SESSION_MODE_LIVE,
    AudioFormat,
    AvatarClient,
    AvatarRpcError,
    AvatarStream,
    VideoFormat,
)

from avatar_service.commands.bench import first_frames
from avatar_service.commands.load import LATE_MS, LoadedServer, Speech, loaded_server
from load.plan import Plan, portrait

CAPACITY: Final = 6
SECONDS: Final = 60.0
TICKS_HZ: Final = 90_000
MESSAGE_S: Final = 0.02
SETTLING_S: Final = 1.0
"""Of a session's life, until all are there: until then the rate may be another."""
PREFERENCES: Final = {
    "strict": DEGRADATION_PREFERENCE_DISABLED,
    "degradable": DEGRADATION_PREFERENCE_MAINTAIN_RESOLUTION,
}


@dataclass(slots=True)
class Seen:
    """What one session saw: pts and arrival of each frame, and the reasons of ``degraded`` and ``recovered``."""

    frames: list[tuple[int, float]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


async def degradation(plan: Plan) -> dict[str, Any]:
    """Return how many sessions of either kind are held, and how late their frames are."""
    capacity, seconds = plan.sessions or CAPACITY, plan.seconds or SECONDS
    async with loaded_server("--engine", plan.engine, "--capacity", str(capacity)) as server:
        await first_frames(server.target, portrait())  # warms every worker's cache
        runs = {name: await _held(server, preference, seconds) for name, preference in PREFERENCES.items()}
    return {
        "capacity": capacity,
        "seconds": seconds,
        "strict_sessions": runs["strict"]["sessions"],
        "degradable_sessions": runs["degradable"]["sessions"],
        "degraded_p99_ms": runs["degradable"]["lateness_ms"]["p99"],
        "runs": runs,
    }


async def _held(server: LoadedServer, preference: int, seconds: float) -> dict[str, Any]:
    """Fill the server, and return the figures of its sessions."""
    async with AsyncExitStack() as stack:
        streams: list[AvatarStream] = []
        while (stream := await _admitted(server.target, preference, stack)) is not None:
            streams.append(stream)
        spent_s = sum(server.cpu_s())
        seen = await asyncio.gather(*(_converse(stream, seconds) for stream in streams))
        spent_s = sum(server.cpu_s()) - spent_s
    return {"sessions": len(streams), "cpu_percent": round(100 * spent_s / seconds / len(streams), 1), **figures(seen)}


async def _admitted(target: str, preference: int, stack: AsyncExitStack) -> AvatarStream | None:
    """Return one session more, or nothing if the server is full."""
    client = await stack.enter_async_context(AvatarClient(target))
    audio = AudioFormat(encoding=AUDIO_ENCODING_LINEAR16, sample_rate_hz=Speech.sample().rate_hz)
    stream = client.stream(
        portrait(), audio=audio, video=[VideoFormat()], mode=SESSION_MODE_LIVE, degradation_preference=preference
    )
    try:
        return await stack.enter_async_context(stream)
    except AvatarRpcError as error:
        if error.reason != "POOL_FULL":
            raise
        return None


async def _converse(stream: AvatarStream, seconds: float) -> Seen:
    seen = Seen()
    speaking = asyncio.create_task(_speak(stream, seconds))
    async for response in stream:
        match response.WhichOneof("message"):
            case "video":
                seen.frames.append((response.video.pts, time.monotonic()))
            case "event" if reason := response.event.degraded.reason or response.event.recovered.reason:
                seen.told.append(reason)
            case _:
                pass
    await speaking
    return seen


async def _speak(stream: AvatarStream, seconds: float) -> None:
    speech, began = Speech.sample(), time.monotonic()
    count = round(speech.rate_hz * MESSAGE_S)
    for number in range(round(seconds / MESSAGE_S)):
        await asyncio.sleep(max(0.0, began + number * MESSAGE_S - time.monotonic()))
        await stream.send_audio(speech.piece(number * count, count))
    await stream.end_audio()


def figures(seen: list[Seen]) -> dict[str, Any]:
    """Return the lateness of all frames, the rate at which they came, and what was told."""
    late, steps = [], []
    for one in seen:
        pts, arrived = np.array(one.frames).T
        at = arrived - pts / TICKS_HZ
        settled = arrived > arrived[0] + SETTLING_S
        late.append(1000 * (at - at.min())[settled])
        steps.append(np.diff(pts[settled]))
    late_ms, step = np.concatenate(late), np.concatenate(steps)
    return {
        "fps": round(float(TICKS_HZ / step.mean()), 2),
        "longest_gap_ms": round(float(1000 * step.max() / TICKS_HZ)),
        "late_frames": int((late_ms > LATE_MS).sum()),
        "lateness_ms": {f"p{share}": round(float(np.percentile(late_ms, share)), 1) for share in (50, 95, 99)},
        "told": sorted({reason for one in seen for reason in one.told}),
    }

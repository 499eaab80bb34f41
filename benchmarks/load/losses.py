"""Measures what the loss of a worker costs its own sessions and the others, with ``faults.py`` and with resuming."""

from __future__ import annotations

import asyncio
import math
import signal
import time
from dataclasses import dataclass, field
from typing import Any, Final

import faults
import numpy as np
from avatar_client import AUDIO_ENCODING_LINEAR16, AudioFormat, AvatarClient, AvatarStream, VideoFormat

from avatar_service.commands.load import LoadedServer, Speech, loaded_server
from load.plan import Plan, portrait

KILLS: Final = 50
KILLS_PER_STOP: Final = 2.5
"""Fifty kills and twenty stops."""
REPLACING_S: Final = {"fake": 3.0}
LONGEST_REPLACING_S: Final = 8.0
RESUMES: Final = 20
SESSIONS: Final = 4
SECONDS: Final = 12.0
LEAD_S: Final = 2.0
MESSAGE_S: Final = 0.02


async def kills(plan: Plan) -> dict[str, Any]:
    """Return the figures of ``faults.py`` for so many kills, at least two."""
    count = max(2, plan.rounds or KILLS)
    stops = max(1, round(count / KILLS_PER_STOP))
    found = await faults.measure(
        faults.Plan(plan.engine, count, stops, 0, REPLACING_S.get(plan.engine, LONGEST_REPLACING_S))
    )
    return {"engine": plan.engine, **found, "kill_frames_lost_elsewhere": found["frames_lost_elsewhere"]}


@dataclass(slots=True)
class Seen:
    """What one session saw.

    Attributes:
        frames: that came.
        expected: frames.
        resumed_at: when the first frame came that another call than the first brought; 0 if none did.
    """

    frames: int = 0
    expected: int = 0
    resumed_at: float = 0.0


@dataclass(slots=True)
class Resumed:
    """What was seen over all rounds.

    Attributes:
        resume_s: from the loss of the worker to the next frame, of each session that it had.
        missing: frames, of all sessions.
        sessions: in all.
    """

    resume_s: list[float] = field(default_factory=list)
    missing: int = 0
    sessions: int = 0


async def resume(plan: Plan) -> dict[str, Any]:
    """Return how soon sessions whose worker was killed go on with the other one, which has room for them."""
    rounds = plan.rounds or RESUMES
    found = Resumed()
    options = ("--engine", plan.engine, "--workers", "2", "--capacity", str(2 * SESSIONS))
    async with loaded_server(*options) as server, AvatarClient(server.target) as client:
        for number in range(rounds):
            await faults.until_free(client, 2 * SESSIONS)
            await _lose_one(server, client, number % 2, found)
    return {
        "engine": plan.engine,
        "resume_rounds": rounds,
        "resume_sessions": len(found.resume_s),
        "resume_s_p95": round(float(np.percentile(found.resume_s, 95)), 3),
        "resume_s_max": round(max(found.resume_s), 3),
        "frames_missing": found.missing,
        "sessions": found.sessions,
    }


async def _lose_one(server: LoadedServer, client: AvatarClient, victim: int, found: Resumed) -> None:
    async with asyncio.TaskGroup() as tasks:
        talks = [tasks.create_task(_talk(client)) for _ in range(SESSIONS)]
        await asyncio.sleep(LEAD_S)
        lost = time.monotonic()
        server.workers[victim].send_signal(signal.SIGKILL)
    for seen in (talk.result() for talk in talks):
        found.sessions += 1
        found.missing += seen.expected - seen.frames
        if seen.resumed_at:
            found.resume_s.append(seen.resumed_at - lost)


async def _talk(client: AvatarClient) -> Seen:
    speech, seen = Speech.sample(), Seen()
    audio = AudioFormat(encoding=AUDIO_ENCODING_LINEAR16, sample_rate_hz=speech.rate_hz)
    stream = client.stream(portrait(), audio=audio, video=[VideoFormat()], resume_s=30.0)
    async with stream, asyncio.TaskGroup() as tasks:
        first = stream.ready
        tasks.create_task(_speak(stream, speech))
        async for response in stream:
            if response.HasField("video"):
                seen.frames += 1
                if stream.ready is not first and not seen.resumed_at:
                    seen.resumed_at = time.monotonic()
        seen.expected = math.ceil(SECONDS * first.fps)
    return seen


async def _speak(stream: AvatarStream, speech: Speech) -> None:
    count = round(speech.rate_hz * MESSAGE_S)
    began = time.monotonic()
    for number in range(round(SECONDS / MESSAGE_S)):
        await asyncio.sleep(max(0.0, began + number * MESSAGE_S - time.monotonic()))
        await stream.send_audio(speech.piece(number * count, count))
    await stream.end_audio()

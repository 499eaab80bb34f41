"""Measures what faults cost: workers killed and stopped under paced sessions, and many sessions one after another.

Two workers hold two sessions each; one worker is killed, or stopped so that only its heartbeat tells. Counted are the
frames that the other worker's sessions lost, how long the own sessions waited to be told, and how long the worker was
missing. With one worker alone: how long health said SERVING though there was none. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
from avatar_client import AvatarClient, AvatarRpcError
from grpc_health.v1 import health_pb2, health_pb2_grpc
from provenance import commit
from short_sessions import LONG_S, SESSIONS, churned, portrait, until_free

from avatar_service.commands.bench import machine
from avatar_service.commands.load import LATE_MS, LoadedServer, Outcome, Speech, loaded_server, paced_session

RESULT: Final = Path(__file__).parent / "results" / "faults.json"
LEAD_S: Final = 1.0
TAIL_S: Final = 0.5
"""Sessions speak this much longer than a replacement takes."""
SERVING: Final = health_pb2.HealthCheckResponse.SERVING


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything.

    Attributes:
        engine: name of the engine.
        kills: workers killed under load.
        stops: workers stopped under load.
        churn: sessions one after another.
        replacing_s: longest time that a replacement may take, beside the finding of a stopped worker.
    """

    engine: str
    kills: int
    stops: int
    churn: int
    replacing_s: float


PLANS: Final = (Plan("fake", 20, 5, 1000, 3.0), Plan("portrait", 4, 2, 0, 8.0))
STANDSTILL_S: Final = 5.0
"""What finding a stopped worker and ending it takes."""


@dataclass(slots=True)
class Losses:
    """What was seen when workers were lost, over all rounds.

    Attributes:
        frames_lost: frames missing in sessions of the other worker.
        lateness_ms: of the frames of the other worker's sessions.
        told_ms: from the fault to the end of each session of the lost worker.
        told_internal: sessions whose status was lost in their own client: gRPC for asyncio makes an INTERNAL of its
            own of a write at the moment in which the server ends the call (github.com/grpc/grpc/issues/36066).
        replaced_ms: from the fault to the next worker's being there.
    """

    frames_lost: int = 0
    lateness_ms: list[float] = field(default_factory=list)
    told_ms: list[float] = field(default_factory=list)
    told_internal: int = 0
    replaced_ms: list[float] = field(default_factory=list)


def options(plan: Plan, workers: int, capacity: int) -> list[str]:
    """Return the server's options."""
    return ["--engine", plan.engine, "--workers", str(workers), "--capacity", str(capacity)]


# Workers lost under load -----------------------------------------------------------------------------------------


async def losses(plan: Plan, fault: signal.Signals, rounds: int) -> Losses:
    """Lose a worker in every round, each of the two by turns."""
    found = Losses()
    standstill_s = STANDSTILL_S if fault is signal.SIGSTOP else 0.0
    seconds = LEAD_S + standstill_s + plan.replacing_s + TAIL_S
    async with loaded_server(*options(plan, 2, SESSIONS)) as server, AvatarClient(server.target) as client:
        for number in range(rounds):
            await until_free(client, SESSIONS)
            await lose_one(server, client, (fault, number % 2), seconds, found)
    return found


async def lose_one(
    server: LoadedServer, client: AvatarClient, fault: tuple[signal.Signals, int], seconds: float, found: Losses
) -> None:
    """Lose one worker while all sessions speak.

    Raises:
        RuntimeError: if anything but its own sessions was lost.
    """
    picture, speech = portrait(), Speech.sample()
    number, victim = fault
    async with asyncio.TaskGroup() as tasks:
        sessions = [
            tasks.create_task(ending(paced_session(server.target, picture, speech, seconds))) for _ in range(SESSIONS)
        ]
        await asyncio.sleep(LEAD_S)
        began = time.monotonic()
        server.workers[victim].send_signal(number)
        await until_free(client, SESSIONS // 2)
        found.replaced_ms.append(1000 * (time.monotonic() - began))
        if sum(session.done() for session in sessions) != SESSIONS // 2:
            msg = "not just the sessions of the lost worker ended before it was replaced"
            raise RuntimeError(msg)
    for outcome, ended_at in (session.result() for session in sessions):
        if isinstance(outcome, Outcome):
            found.frames_lost += outcome.missing
            found.lateness_ms += outcome.lateness_ms
        else:
            found.told_ms.append(1000 * (ended_at - began))
            found.told_internal += outcome.code is grpc.StatusCode.INTERNAL


async def ending(session: Any) -> tuple[Outcome | AvatarRpcError, float]:
    """Return how a session ended and when.

    Raises:
        AvatarRpcError: if it was anything but the loss of its worker.
    """
    try:
        outcome: Outcome | AvatarRpcError = await session
    except AvatarRpcError as error:
        told = (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "WORKER_LOST") and error.retry_after_s
        if not told and error.message != "Internal error from Core":
            raise
        outcome = error
    return outcome, time.monotonic()


# Health with one worker ------------------------------------------------------------------------------------------


async def unhealthy_ms(plan: Plan, fault: signal.Signals, rounds: int) -> list[float]:
    """Return how long health said SERVING, after the only worker was lost."""
    found = []
    async with (
        loaded_server(*options(plan, 1, 1)) as server,
        grpc.aio.insecure_channel(server.target) as channel,
        asyncio.timeout(LONG_S * max(1, rounds)),
    ):
        stub = health_pb2_grpc.HealthStub(channel)
        health = aiter(stub.Watch(health_pb2.HealthCheckRequest(service="")))
        await until_health(health, serving=True)
        for _ in range(rounds):
            began = time.monotonic()
            server.workers[0].send_signal(fault)
            await until_health(health, serving=False)
            found.append(1000 * (time.monotonic() - began))
            await until_health(health, serving=True)
    return found


async def until_health(health: AsyncIterator[Any], *, serving: bool) -> None:
    """Return once health says so."""
    async for response in health:
        if (response.status == SERVING) is serving:
            return


# All of it -------------------------------------------------------------------------------------------------------


async def measure(plan: Plan) -> dict[str, Any]:
    """Return the figures of one engine."""
    killed = await losses(plan, signal.SIGKILL, plan.kills)
    stopped = await losses(plan, signal.SIGSTOP, plan.stops)
    unhealthy = {
        "sigkill": await unhealthy_ms(plan, signal.SIGKILL, plan.kills // 2),
        "sigstop": await unhealthy_ms(plan, signal.SIGSTOP, plan.stops),
    }
    late = killed.lateness_ms + stopped.lateness_ms
    return {
        "kills": plan.kills,
        "stops": plan.stops,
        "frames_elsewhere": len(late),
        "frames_lost_elsewhere": killed.frames_lost + stopped.frames_lost,
        "frames_late_elsewhere": sum(ms > LATE_MS for ms in late),
        "told_internal_by_client": killed.told_internal + stopped.told_internal,
        "unavailable_ms_max": {"sigkill": round(max(killed.told_ms)), "sigstop": round(max(stopped.told_ms))},
        "replaced_ms_p50": {
            "sigkill": round(statistics.median(killed.replaced_ms)),
            "sigstop": round(statistics.median(stopped.replaced_ms)),
        },
        "replaced_ms_max": {"sigkill": round(max(killed.replaced_ms)), "sigstop": round(max(stopped.replaced_ms))},
        "not_serving_ms_max": {name: round(max(times)) for name, times in unhealthy.items()},
        **(await churned(options(plan, 2, SESSIONS), plan.churn) if plan.churn else {}),
    }


async def measure_all(plans: list[Plan]) -> dict[str, Any]:
    """Return the figures of all engines, one after another."""
    engines = {plan.engine: await measure(plan) for plan in plans}
    return {"benchmark": "faults", **machine(), "commit": commit(), "engines": engines}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=[plan.engine for plan in PLANS], help="only this one; nothing is written")
    only = parser.parse_args().engine
    figures = asyncio.run(measure_all([plan for plan in PLANS if only in {None, plan.engine}]))
    if only is None:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))

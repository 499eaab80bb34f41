"""Measures how many paced sessions the service holds: few for a moment each, the promised number for long."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from relay import compare
from service import held

from avatar_service.commands.bench import first_frames, loaded
from avatar_service.commands.load import loaded_server
from load.plan import Plan, portrait

SESSIONS: Final = 10
SECONDS: Final = 600.0
STEP: Final = 2
SHORT_S: Final = 30.0


async def sessions(plan: Plan) -> dict[str, Any]:
    """Return the figures of the largest number without a late or missing frame, and of each number that was tried.

    Each of the numbers below the largest is held for half a minute only, as points of the plot.
    """
    most, seconds = plan.sessions or SESSIONS, plan.seconds or SECONDS
    runs = [await _run(plan.engine, most, seconds)]
    runs += [await _run(plan.engine, fewer, min(seconds, SHORT_S)) for fewer in range(most - STEP, 0, -STEP)]
    return {"engine": plan.engine, **held(runs), "runs": runs[::-1]}


async def _run(engine: str, count: int, seconds: float) -> dict[str, Any]:
    async with loaded_server("--engine", engine, "--capacity", str(count)) as server:
        await first_frames(server.target, portrait())  # warms every worker's cache
        run = await loaded(server, portrait(), count, seconds)
    sys.stderr.write(f"{json.dumps(run)}\n")
    return run


async def front(_: Plan) -> dict[str, Any]:
    """Return what the front relays against a mere echo."""
    return await compare()

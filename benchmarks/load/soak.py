"""Measures a long conversation: whether memory grows with time. The conversation is that of ``live.py``."""

from __future__ import annotations

from typing import Any, Final

from avatar_client import AvatarClient
from live import conversation

from avatar_service.commands.load import Speech, loaded_server
from load.plan import Plan

SECONDS: Final = 3600.0


async def soak(plan: Plan) -> dict[str, Any]:
    """Return the figures of one LIVE session; ``rss_slope_mib_per_h`` is that of the second half of the time."""
    seconds = plan.seconds or SECONDS
    async with (
        loaded_server("--engine", plan.engine, "--capacity", "2") as server,
        AvatarClient(server.target) as client,
    ):
        found = await conversation(server, client, seconds, Speech.sample())
    return {"seconds": seconds, "soak_rss_slope_mib_per_h": found["rss_slope_mib_per_h"], **found}

"""Measures rolling restarts under load, and clients that stop or die: whom it cuts, and when their slots are free.

A restart is what an operator does: another server is started beside the old one, callers are sent to it once it serves,
and the old one gets SIGTERM and ends when its sessions have.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from avatar_client import AvatarClient, AvatarRpcError
from short_sessions import until_free

from avatar_service.commands.load import LoadedServer, Speech, loaded_server, paced_session
from load.plan import SPAWN, Plan, portrait

ROUNDS: Final = 10
SESSIONS: Final = 4
SHORTEST_S, LONGEST_S = 3.0, 8.0
"""Of a session; all are far below the grace that a server gives when it drains."""
BETWEEN_S: Final = 3.0
PEERS: Final = 3
PEER_S: Final = 120.0
SETTLE_S: Final = 2.0


@dataclass(slots=True)
class Callers:
    """What those who call during restarts see.

    Attributes:
        target: where they call now.
        is_over: whether they should stop.
        sessions: that went to their end.
        cut: reasons of those that did not, or lost frames.
        turned_away: those that a draining server refused, and which were held elsewhere.
    """

    target: str
    is_over: bool = False
    sessions: int = 0
    cut: list[str] = field(default_factory=list)
    turned_away: int = 0

    async def call(self, seed: int) -> None:
        """Hold sessions of various lengths, one after another."""
        chance = random.Random(seed)  # noqa: S311 - the same calls every time
        while not self.is_over:
            await self._session(chance.uniform(SHORTEST_S, LONGEST_S))

    async def _session(self, seconds: float) -> None:
        try:
            outcome = await paced_session(self.target, portrait(), Speech.sample(), seconds)
        except AvatarRpcError as error:
            if error.reason == "DRAINING":
                self.turned_away += 1
            else:
                self.cut.append(f"{error.code.name} {error.reason}")
        else:
            self.sessions += 1
            if outcome.missing:
                self.cut.append(f"{outcome.missing} frames missing")


async def restarts(plan: Plan) -> dict[str, Any]:
    """Return how many sessions restarts cut."""
    rounds, sessions = plan.rounds or ROUNDS, plan.sessions or SESSIONS
    options = ("--engine", plan.engine, "--capacity", str(sessions + 1))
    drains = []
    old = AsyncExitStack()
    callers = Callers((await old.enter_async_context(loaded_server(*options))).target)
    async with asyncio.TaskGroup() as tasks:
        for seed in range(sessions):
            tasks.create_task(callers.call(seed))
        for _ in range(rounds):
            await asyncio.sleep(BETWEEN_S)
            new = AsyncExitStack()
            callers.target = (await new.enter_async_context(loaded_server(*options))).target
            began = time.monotonic()
            await old.aclose()
            drains.append(round(time.monotonic() - began, 2))
            old = new
        callers.is_over = True
    await old.aclose()
    return {
        "engine": plan.engine,
        "restarts": rounds,
        "restarts_cut": len(callers.cut),
        "cut": callers.cut,
        "sessions": callers.sessions,
        "turned_away": callers.turned_away,
        "drain_s_max": max(drains),
    }


async def peers(plan: Plan) -> dict[str, Any]:
    """Return how long the slot of a client that stopped, or died, stays taken."""
    rounds = plan.rounds or PEERS
    async with loaded_server("--engine", plan.engine, "--capacity", "2") as server:
        stopped = [await _freed_s(server, signal.SIGSTOP) for _ in range(rounds)]
        killed = [await _freed_s(server, signal.SIGKILL) for _ in range(rounds)]
    return {
        "engine": plan.engine,
        "rounds": rounds,
        "stopped_client_s_max": round(max(stopped), 2),
        "killed_client_s_max": round(max(killed), 3),
    }


async def _freed_s(server: LoadedServer, number: signal.Signals) -> float:
    async with AvatarClient(server.target) as client:
        await until_free(client, 2)
        peer = SPAWN.Process(target=_speak, args=(server.target,), daemon=True)
        peer.start()
        try:
            async with asyncio.timeout(30):
                while (await client.capabilities()).free_sessions == 2:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(SETTLE_S)
            began = time.monotonic()
            assert peer.pid is not None
            os.kill(peer.pid, number)
            await until_free(client, 2)
            return time.monotonic() - began
        finally:
            peer.kill()
            peer.join()


def _speak(target: str) -> None:
    asyncio.run(paced_session(target, portrait(), Speech.sample(), PEER_S))

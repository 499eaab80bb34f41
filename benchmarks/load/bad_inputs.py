"""Measures that bad inputs hurt nobody: each row of the tables a hundred times at once beside sessions that speak.

Those who send them are in a process of their own. Each answer is compared with what the row promises; the good
sessions must lose no frame.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from avatar_client import AvatarClient
from short_sessions import until_free

from avatar_service.commands.load import loaded_server
from load.bad_cases import LOST, Played, Sender, faces, play
from load.bad_grpc import cases as grpc_cases
from load.bad_http import cases as http_cases
from load.bad_servers import bad_servers
from load.bad_sessions import cases as session_cases
from load.bad_takes import cases as take_cases
from load.beside import GOOD, Good
from load.plan import Plan, elsewhere, gateway

AT_ONCE: Final = 100
ROOM: Final = 4
"""Of the takes of the gateway, of those who send at once, and of those whose slots are just being freed."""


async def bad_inputs(plan: Plan) -> dict[str, Any]:
    """Return how many inputs were answered otherwise than promised, and what the good sessions lost.

    ``sessions`` of the plan is how many bad ones there are at once. The rows on faces need the portrait engine; all
    others are sent to the fake one, on which a hundred sessions fit.
    """
    at_once = plan.sessions or AT_ONCE
    good, room = Good(), str(ROOM * at_once + GOOD)
    async with loaded_server("--engine", "fake", "--capacity", room) as server:
        async with gateway(server.target) as (base, _), good.speaking(server.target):
            played = await elsewhere(_send_all, server.target, base, at_once)
        await _all_free(server.target, at_once)
    async with loaded_server("--engine", "portrait", "--capacity", room) as server:
        async with good.speaking(server.target):
            played += await elsewhere(_send_faces, server.target, at_once)
        await _all_free(server.target, at_once)
    played += await bad_servers(good, at_once)
    return {"at_once": at_once, **_answers(played), **_of(good)}


async def _all_free(target: str, at_once: int) -> None:
    async with AvatarClient(target) as client:
        await until_free(client, ROOM * at_once + GOOD)


def _answers(played: Played) -> dict[str, Any]:
    wrong = {
        f"{row} {name}": {
            "expected": " ".join(expected),
            "got": {" ".join(got): count for got, count in answers.items()},
        }
        for row, name, expected, answers in played
        if set(answers) - {expected, LOST}
    }
    return {
        "rows": sorted({row for row, *_ in played}),
        "cases": len(played),
        "bad_inputs": sum(sum(answers.values()) for *_, answers in played),
        "bad_inputs_wrong": sum(
            count for _, _, expected, answers in played for got, count in answers.items() if got not in {expected, LOST}
        ),
        "answers_lost": sum(answers.get(LOST, 0) for *_, answers in played),
        "wrong": wrong,
    }


def _of(good: Good) -> dict[str, Any]:
    return {
        "good_sessions": good.sessions,
        "good_frames": good.frames,
        "good_frames_lost": good.frames_lost,
        "good_frames_late": good.late,
        "good_sessions_failed": len(good.failures),
        "failures": good.failures,
    }


def _send_all(target: str, base: str, at_once: int) -> Played:
    return asyncio.run(_send(target, base, at_once))


async def _send(target: str, base: str, at_once: int) -> Played:
    async with Sender.connected(target, base, at_once) as sender, sender.with_takes(at_once + 1):
        cases = [*grpc_cases(), *session_cases(), *http_cases(), *take_cases()]
        return await play(sender, at_once, cases)


def _send_faces(target: str, at_once: int) -> Played:
    async def send() -> Played:
        async with Sender.connected(target, "", at_once) as sender:
            return await play(sender, at_once, faces())

    return asyncio.run(send())

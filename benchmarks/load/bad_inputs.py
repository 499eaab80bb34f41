"""Measures that bad inputs hurt nobody: each row of the tables a hundred times at once beside sessions that speak.

Those who send them are in a process of their own. Each answer is compared with what the row promises; the good
sessions must lose no frame.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from avatar_client import AvatarClient, AvatarRpcError
from short_sessions import until_free

from avatar_service.commands.load import LATE_MS, Speech, loaded_server, paced_session
from load.bad_cases import LOST, Answer, Case, Sender, faces
from load.bad_grpc import cases as grpc_cases
from load.bad_http import cases as http_cases
from load.plan import Plan, elsewhere, gateway, portrait

AT_ONCE: Final = 100
LARGE_ROWS: Final = {5, 40}
LARGE_AT_ONCE: Final = 20
"""A hundred times ten megabytes at once would measure how slowly one client process sends them."""
GOOD: Final = 6
GOOD_S: Final = 5.0
ROOM: Final = 4
"""Of the takes of the gateway, of those who send at once, and of those whose slots are just being freed."""
WITHIN_S: Final = 120.0
Played = list[tuple[str, str, Answer, dict[Answer, int]]]


@dataclass(slots=True)
class Good:
    """What the good sessions saw, all together.

    Attributes:
        is_over: whether they should stop.
        sessions: that went to their end.
        frames_lost: likewise.
        frames: that came.
        late: of those.
        failures: of sessions that did not end well.
    """

    is_over: bool = False
    sessions: int = 0
    frames_lost: int = 0
    frames: int = 0
    late: int = 0
    failures: list[str] = field(default_factory=list)

    async def speak(self, target: str) -> None:
        """Hold one session after another."""
        while not self.is_over:
            try:
                outcome = await paced_session(target, portrait(), Speech.sample(), GOOD_S)
            except AvatarRpcError as error:
                self.failures.append(f"{error.code.name} {error.reason}")
                self.frames_lost += round(GOOD_S * 25)
            else:
                self.sessions += 1
                self.frames_lost += outcome.missing
                self.frames += len(outcome.lateness_ms)
                self.late += sum(ms > LATE_MS for ms in outcome.lateness_ms)


async def bad_inputs(plan: Plan) -> dict[str, Any]:
    """Return how many inputs were answered otherwise than promised, and what the good sessions lost.

    ``sessions`` of the plan is how many bad ones there are at once. The rows on faces need the portrait engine; all
    others are sent to the fake one, on which a hundred sessions fit.
    """
    at_once = plan.sessions or AT_ONCE
    good = Good()
    async with loaded_server("--engine", "fake", "--capacity", str(ROOM * at_once + GOOD)) as server:
        async with gateway(server.target) as (base, _):
            played = await _beside(good, server.target, _send_all, server.target, base, at_once)
        async with AvatarClient(server.target) as client:
            await until_free(client, ROOM * at_once + GOOD)
    async with loaded_server("--engine", "portrait", "--capacity", str(ROOM * at_once + GOOD)) as server:
        played += await _beside(good, server.target, _send_faces, server.target, at_once)
        async with AvatarClient(server.target) as client:
            await until_free(client, ROOM * at_once + GOOD)
    wrong = {
        f"{row} {name}": {
            "expected": " ".join(expected),
            "got": {" ".join(got): count for got, count in answers.items()},
        }
        for row, name, expected, answers in played
        if set(answers) - {expected, LOST}
    }
    return {
        "at_once": at_once,
        "rows": sorted({row for row, *_ in played}),
        "cases": len(played),
        "bad_inputs": sum(sum(answers.values()) for *_, answers in played),
        "bad_inputs_wrong": sum(
            count for _, _, expected, answers in played for got, count in answers.items() if got not in {expected, LOST}
        ),
        "lost_by_client": sum(answers.get(LOST, 0) for *_, answers in played),
        "wrong": wrong,
        "good_sessions": good.sessions,
        "good_frames": good.frames,
        "good_frames_lost": good.frames_lost,
        "good_frames_late": good.late,
        "good_failures": good.failures,
    }


async def _beside(good: Good, target: str, send: Any, *arguments: Any) -> Played:
    good.is_over = False
    async with asyncio.TaskGroup() as tasks:
        for _ in range(GOOD):
            tasks.create_task(good.speak(target))
        played: Played = await elsewhere(send, *arguments)
        good.is_over = True
    return played


def _send_all(target: str, base: str, at_once: int) -> Played:
    return asyncio.run(_play(target, base, at_once, [*grpc_cases(), *http_cases()]))


def _send_faces(target: str, at_once: int) -> Played:
    return asyncio.run(_play(target, "", at_once, faces()))


async def _play(target: str, base: str, at_once: int, cases: list[Case]) -> Played:
    """Send each case so many times at once, one case after another; return what was answered how often."""
    played = []
    async with Sender.connected(target, base, at_once) as sender:
        for case in cases:
            answers: Counter[Answer] = Counter()
            most = LARGE_AT_ONCE if case.row in LARGE_ROWS else at_once
            for first in range(0, at_once, most):
                async with asyncio.timeout(WITHIN_S):
                    numbers = range(first, min(first + most, at_once))
                    answers.update(await asyncio.gather(*(case.send(sender, number) for number in numbers)))
            played.append((case.row, case.name, case.expected, dict(answers)))
            sys.stderr.write(f"row {case.row}, {case.name}: {dict(answers)}\n")
    return played

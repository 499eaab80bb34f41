"""Owns the good sessions that speak beside bad inputs: what all of them together saw and lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from avatar_client import AvatarClient, AvatarRpcError

from avatar_service.commands.load import LATE_MS, Speech, paced_session
from load.plan import portrait

GOOD: Final = 6
GOOD_S: Final = 5.0
POLL_S: Final = 0.05
ADMITTED_WITHIN_S: Final = 10.0


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

    @asynccontextmanager
    async def speaking(self, target: str) -> AsyncIterator[None]:
        """Hold so many sessions while the context lasts, each followed by another; those that still run end well."""
        self.is_over = False
        async with asyncio.TaskGroup() as tasks:
            for _ in range(GOOD):
                tasks.create_task(self._speak_on(target))
            yield
            self.is_over = True

    @asynccontextmanager
    async def holding(self, target: str, seconds: float) -> AsyncIterator[None]:
        """Hold so many sessions of so many seconds, and not one more; yield once they have their slots.

        One that is over before the context is counts as a failure: what was seen beside it is not what was meant.

        Raises:
            TimeoutError: if they do not get them.
        """
        async with asyncio.TaskGroup() as tasks, AvatarClient(target) as client:
            async with asyncio.timeout(ADMITTED_WITHIN_S):
                before = (await client.capabilities()).free_sessions
                held = [tasks.create_task(self._speak(target, seconds)) for _ in range(GOOD)]
                while (await client.capabilities()).free_sessions > before - GOOD:
                    await asyncio.sleep(POLL_S)
            yield
            self.failures += ["over too soon" for session in held if session.done()]

    async def _speak_on(self, target: str) -> None:
        while not self.is_over:
            await self._speak(target, GOOD_S)

    async def _speak(self, target: str, seconds: float) -> None:
        try:
            outcome = await paced_session(target, portrait(), Speech.sample(), seconds)
        except AvatarRpcError as error:
            self.failures.append(f"{error.code.name} {error.reason}")
            self.frames_lost += round(seconds * 25)
        else:
            self.sessions += 1
            self.frames_lost += outcome.missing
            self.frames += len(outcome.lateness_ms)
            self.late += sum(ms > LATE_MS for ms in outcome.lateness_ms)

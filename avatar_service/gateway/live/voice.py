"""Owns what a live session is to say, and whose it is: the microphone's, cut into segments, or that of a text.

The service takes one segment after another, so the microphone is not heard while a text is spoken.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import numpy as np

from avatar_service.errors import ResourceExhaustedError
from avatar_service.gateway.hls.tracks import SOUND_RATE_HZ
from avatar_service.gateway.live.gate import Gate, Speech, Step
from avatar_service.gateway.synthesis import MAX_SPEECH_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from avatar_client import AvatarStream

    from avatar_service.gateway.live.pairing import Pairing

    Sending = Callable[[AvatarStream], Awaitable[None]]

_RETRY_S: Final = 5.0
_PIECE: Final = SOUND_RATE_HZ // 5
_AHEAD_S: Final = 0.5
"""How far ahead of its time a text is sent: more than the engine's look-ahead, and what a busy machine is late."""
_NOTHING: Final = np.zeros(0, np.int16)


class Voice:
    """What one session says.

    Args:
        pairing: is told of the sound that goes to the service.
        post: puts a message into the session's outbox; says whether it had room.
    """

    def __init__(self, pairing: Pairing, post: Callable[[Sending], bool]) -> None:
        self._pairing = pairing
        self._post = post
        self._gate = Gate()
        self._turns = 0
        self._said = 0
        self._texts: dict[str, Speech] = {}
        self._begun: set[str] = set()
        self._asked: asyncio.Queue[str] = asyncio.Queue()

    def hear(self, samples: Speech) -> None:
        """Take sound of the microphone at 48 kHz, as it comes."""
        if self._texts:
            return
        for cut in self._gate.push(samples):
            match cut.step:
                case Step.OPEN:
                    self._turns += 1
                case Step.SPEAK:
                    self._send(self._turn_id, cut.samples, time.monotonic())
                case Step.CLOSE:
                    self._end(self._turn_id)

    def hush(self) -> None:
        """The microphone is gone: the segment ends with what was heard."""
        if self._gate.finish():
            self._end(self._turn_id)

    def interrupt(self) -> list[str]:
        """Leave out what is being said at the microphone until the speaker has paused, and all texts.

        Returns:
            The texts of which the service has heard nothing, so that it will not say that they are over.
        """
        self._gate.interrupt()
        unsent = [segment_id for segment_id in self._texts if segment_id not in self._begun]
        self._texts.clear()
        self._begun.clear()
        return unsent

    def say(self, samples: Speech) -> str:
        """Say what a text has become, behind all that came before; return the segment's id.

        Raises:
            ResourceExhaustedError: ``TOO_MUCH_TEXT``.
        """
        if sum(text.size for text in self._texts.values()) + samples.size > MAX_SPEECH_S * SOUND_RATE_HZ:
            msg = f"more than {MAX_SPEECH_S:g} s of text would wait; interrupt, or send it later"
            raise ResourceExhaustedError("TOO_MUCH_TEXT", msg, retry_after_s=_RETRY_S)
        self.hush()
        self._said += 1
        segment_id = f"text-{self._said}"
        self._texts[segment_id] = samples
        self._asked.put_nowait(segment_id)
        return segment_id

    async def recite(self) -> None:
        """Send texts a little ahead of their time, so that what is controlled meanwhile soon shows; never returns."""
        heard_s = 0.0
        while True:
            segment_id = await self._asked.get()
            samples = self._texts.get(segment_id, _NOTHING)
            heard_s = max(heard_s, time.monotonic())
            for piece in np.split(samples, range(_PIECE, samples.size, _PIECE)):
                await asyncio.sleep(heard_s - _AHEAD_S - time.monotonic())
                if segment_id not in self._texts:  # interrupted
                    heard_s = 0.0
                    break
                self._begun.add(segment_id)
                self._send(segment_id, piece)
                heard_s += piece.size / SOUND_RATE_HZ
            else:
                self._end(segment_id)

    def finished(self, segment_id: str) -> None:
        """A segment is over, shown or cut."""
        self._pairing.forget(segment_id)
        self._texts.pop(segment_id, None)
        self._begun.discard(segment_id)

    def _send(self, segment_id: str, samples: Speech, now: float | None = None) -> None:
        content = samples.tobytes()
        if self._post(lambda stream: stream.send_audio(content, segment_id)):
            self._pairing.hear(segment_id, samples, now)

    def _end(self, segment_id: str) -> None:
        self._post(lambda stream: stream.end_segment(segment_id))

    @property
    def _turn_id(self) -> str:
        return f"turn-{self._turns}"

"""Owns what a live session is to say, and whose it is: the microphone's, cut into segments, or that of a text.

The service takes one segment after another, so the microphone is not heard while a text is spoken.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

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
        self._texts: dict[str, float] = {}

    def hear(self, samples: Speech) -> None:
        """Take sound of the microphone at 48 kHz, as it comes."""
        if self._texts:
            return
        for cut in self._gate.push(samples):
            match cut.step:
                case Step.OPEN:
                    self._turns += 1
                case Step.SPEAK:
                    self._speak(cut.samples)
                case Step.CLOSE:
                    self._close_segment()

    def hush(self) -> None:
        """The microphone is gone: the segment ends with what was heard."""
        if self._gate.finish():
            self._close_segment()

    def interrupt(self) -> None:
        """Leave out what is being said at the microphone until the speaker has paused."""
        self._gate.interrupt()

    def say(self, samples: Speech) -> str:
        """Say what a text has become, behind all that came before; return the segment's id.

        Raises:
            ResourceExhaustedError: ``TOO_MUCH_TEXT`` or ``TOO_MANY_MESSAGES``.
        """
        seconds = samples.size / SOUND_RATE_HZ
        if sum(self._texts.values()) + seconds > MAX_SPEECH_S:
            msg = f"more than {MAX_SPEECH_S:g} s of text would wait; interrupt, or send it later"
            raise ResourceExhaustedError("TOO_MUCH_TEXT", msg, retry_after_s=_RETRY_S)
        self.hush()
        segment_id = f"text-{self._said + 1}"
        content = samples.tobytes()

        async def send(stream: AvatarStream) -> None:
            await stream.send_audio(content, segment_id)
            await stream.end_segment(segment_id)

        if not self._post(send):
            raise ResourceExhaustedError("TOO_MANY_MESSAGES", "the service takes no more just now", retry_after_s=1.0)
        self._said += 1
        self._texts[segment_id] = seconds
        self._pairing.hear(segment_id, samples, None)
        return segment_id

    def finished(self, segment_id: str) -> None:
        """A segment is over, shown or cut."""
        self._pairing.forget(segment_id)
        self._texts.pop(segment_id, None)

    def _speak(self, samples: Speech) -> None:
        segment_id = self._turn_id
        content = samples.tobytes()
        if self._post(lambda stream: stream.send_audio(content, segment_id)):
            self._pairing.hear(segment_id, samples, time.monotonic())

    def _close_segment(self) -> None:
        segment_id = self._turn_id
        self._post(lambda stream: stream.end_segment(segment_id))

    @property
    def _turn_id(self) -> str:
        return f"turn-{self._turns}"

"""Whose speech a live session sends: one segment after another, a text before the microphone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from avatar_service.errors import ResourceExhaustedError
from avatar_service.gateway.live.pairing import Pairing
from avatar_service.gateway.live.voice import Voice
from tests.gateway.conftest import tone

if TYPE_CHECKING:
    from avatar_client import AvatarStream

    from avatar_service.gateway.live.voice import Sending

SPOKEN = tone(0.3, 48_000)
PAUSE = np.zeros(48_000, np.int16)


class Line:
    """What the service is sent, in place of a stream: pairs of a segment's id and its samples, or -1 for its end."""

    def __init__(self, room: int = 1000) -> None:
        self.sent: list[tuple[str, int]] = []
        self._room = room

    def post(self, sending: Sending) -> bool:
        """Send it at once, while there is room."""
        if not self._room:
            return False
        self._room -= 1
        asyncio.run(self._run(sending))
        return True

    async def _run(self, sending: Sending) -> None:
        await sending(cast("AvatarStream", self))

    async def send_audio(self, content: bytes, segment_id: str) -> None:
        """Take speech."""
        self.sent.append((segment_id, len(content) // 2))

    async def end_segment(self, segment_id: str) -> None:
        """Take an end."""
        self.sent.append((segment_id, -1))


def test_a_text_is_one_segment() -> None:
    """With all its samples, and its end."""
    line = Line()
    assert Voice(Pairing(), line.post).say(SPOKEN) == "text-1"
    assert line.sent == [("text-1", SPOKEN.size), ("text-1", -1)]


def test_a_text_ends_what_the_microphone_says() -> None:
    """No two segments are ever open, and while the text is spoken the microphone is not heard."""
    line = Line()
    voice = Voice(Pairing(), line.post)
    voice.hear(SPOKEN)
    segment_id = voice.say(SPOKEN)
    voice.hear(SPOKEN)
    assert [name for name, samples in line.sent if samples < 0] == ["turn-1", segment_id]
    assert line.sent[-1] == (segment_id, -1)


def test_the_microphone_is_heard_again_when_all_texts_are_over() -> None:
    """Shown or cut; what it said meanwhile is not caught up."""
    line = Line()
    voice = Voice(Pairing(), line.post)
    first, second = voice.say(SPOKEN), voice.say(SPOKEN)
    voice.finished(first)
    voice.hear(SPOKEN)
    assert line.sent[-1] == (second, -1)
    voice.finished(second)
    voice.hear(np.concatenate([SPOKEN, PAUSE]))
    assert {name for name, _ in line.sent} == {first, second, "turn-1"}
    assert line.sent[-1] == ("turn-1", -1)


def test_too_much_text_is_refused() -> None:
    """By what waits to be said; what was refused was not said, and when it is over there is room again."""
    line = Line()
    voice = Voice(Pairing(), line.post)
    long = np.zeros(30 * 48_000, np.int16)
    first = voice.say(long)
    with pytest.raises(ResourceExhaustedError) as caught:
        voice.say(long)
    assert caught.value.reason == "TOO_MUCH_TEXT"
    assert len(line.sent) == 2
    voice.finished(first)
    assert voice.say(long) != first


def test_a_full_outbox_refuses_a_text() -> None:
    """And the microphone is heard on."""
    line = Line(room=0)
    voice = Voice(Pairing(), line.post)
    with pytest.raises(ResourceExhaustedError) as caught:
        voice.say(SPOKEN)
    assert caught.value.reason == "TOO_MANY_MESSAGES"
    line._room = 10
    voice.hear(SPOKEN)
    assert line.sent[0][0] == "turn-1"


def test_a_text_says_nothing_about_the_delay() -> None:
    """It comes all at once, long before its frames."""
    pairing = Pairing()
    Voice(pairing, Line().post).say(SPOKEN)
    assert pairing.delay_ms is None

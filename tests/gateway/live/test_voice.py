"""Whose speech a live session sends: one segment after another, a text before the microphone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from avatar_service.errors import ResourceExhaustedError
from avatar_service.gateway.live.pairing import Pairing
from avatar_service.gateway.live.voice import Voice
from tests.gateway.conftest import tone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from avatar_client import AvatarStream

    from avatar_service.gateway.live.voice import Sending

SPOKEN = tone(0.3, 48_000)
PAUSE = np.zeros(48_000, np.int16)


class Line:
    """What the service is sent, in place of a stream: pairs of a segment's id and its samples, or -1 for its end."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int]] = []

    def post(self, sending: Sending) -> bool:
        """Send it at once: nothing here waits."""
        with contextlib.suppress(StopIteration):
            sending(cast("AvatarStream", self)).__await__().__next__()
        return True

    async def send_audio(self, content: bytes, segment_id: str) -> None:
        """Take speech."""
        self.sent.append((segment_id, len(content) // 2))

    async def end_segment(self, segment_id: str) -> None:
        """Take an end."""
        self.sent.append((segment_id, -1))

    def samples(self, segment_id: str) -> int:
        """Return how much of a segment was sent."""
        return sum(samples for name, samples in self.sent if name == segment_id and samples > 0)

    async def until_ended(self, segment_id: str) -> None:
        """Wait for the end of a segment."""
        async with asyncio.timeout(10):
            while (segment_id, -1) not in self.sent:
                await asyncio.sleep(0.005)


@pytest.fixture
def line() -> Line:
    """What the service is sent."""
    return Line()


@pytest.fixture
async def voice(line: Line) -> AsyncIterator[Voice]:
    """A voice that recites."""
    voice = Voice(Pairing(), line.post)
    reciting = asyncio.create_task(voice.recite())
    yield voice
    reciting.cancel()


async def test_a_text_is_one_segment(line: Line, voice: Voice) -> None:
    """With all its samples, and its end."""
    assert voice.say(SPOKEN) == "text-1"
    await line.until_ended("text-1")
    assert line.samples("text-1") == SPOKEN.size


async def test_a_text_is_sent_at_its_pace(line: Line, voice: Voice) -> None:
    """No more than half a second ahead, so that a control in its midst is not behind all of it."""
    began_s = time.monotonic()
    voice.say(tone(1.5, 48_000))
    await line.until_ended("text-1")
    assert time.monotonic() - began_s > 0.6


async def test_a_text_ends_what_the_microphone_says(line: Line, voice: Voice) -> None:
    """No two segments are ever open, and while the text is spoken the microphone is not heard."""
    voice.hear(SPOKEN)
    segment_id = voice.say(SPOKEN)
    voice.hear(SPOKEN)
    await line.until_ended(segment_id)
    voice.hear(SPOKEN)
    assert [name for name, samples in line.sent if samples < 0] == ["turn-1", segment_id]
    assert line.sent[-1] == (segment_id, -1)


async def test_the_microphone_is_heard_again_when_all_texts_are_over(line: Line, voice: Voice) -> None:
    """Shown or cut; what it said meanwhile is not caught up."""
    first, second = voice.say(SPOKEN), voice.say(SPOKEN)
    await line.until_ended(second)
    voice.finished(first)
    voice.hear(SPOKEN)
    assert line.sent[-1] == (second, -1)
    voice.finished(second)
    voice.hear(np.concatenate([SPOKEN, PAUSE]))
    assert {name for name, _ in line.sent} == {first, second, "turn-1"}
    assert line.sent[-1] == ("turn-1", -1)


async def test_too_much_text_is_refused(line: Line, voice: Voice) -> None:
    """By what is yet to be said; when that is over there is room again."""
    long = np.zeros(30 * 48_000, np.int16)
    first = voice.say(long)
    with pytest.raises(ResourceExhaustedError) as caught:
        voice.say(long)
    assert caught.value.reason == "TOO_MUCH_TEXT"
    voice.finished(first)
    assert voice.say(long) != first
    assert not line.sent


async def test_an_interruption_ends_texts(line: Line, voice: Voice) -> None:
    """Also one that is half sent: nothing more of it is, nor of those behind it; the next one is spoken."""
    first, second = voice.say(tone(5.0, 48_000)), voice.say(SPOKEN)
    async with asyncio.timeout(10):
        while not line.sent:
            await asyncio.sleep(0.005)
    assert voice.interrupt() == [second]
    third = voice.say(SPOKEN)
    await line.until_ended(third)
    assert line.samples(first) < 5 * 48_000
    assert line.samples(second) == 0
    assert [name for name, samples in line.sent if samples < 0] == [third]


async def test_a_text_says_nothing_about_the_delay() -> None:
    """It is sent before its time."""
    line, pairing = Line(), Pairing()
    voice = Voice(pairing, line.post)
    reciting = asyncio.create_task(voice.recite())
    voice.say(SPOKEN)
    await line.until_ended("text-1")
    assert pairing.delay_ms is None
    reciting.cancel()

"""The loop of a voice agent: what it says becomes segments, and it learns how much of each was heard.

python voice_agent.py portrait.png answer-1.wav answer-2.wav ... > video.h264

Here the answers are files (16-bit mono WAV, all of one rate) and you are the one who talks to the agent: each line on
stdin is your turn. It is answered by the next file; and if the avatar is still speaking then, that is a barge-in: it
falls silent at once, and the agent is told how much of its answer you have heard, which is all that belongs into
the history of the conversation. With a real agent, turns come from speech recognition, and answers from a synthesiser,
piece by piece, as soon as it has them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import wave
from pathlib import Path
from typing import TYPE_CHECKING

from avatar_client import (
    AUDIO_ENCODING_LINEAR16,
    PRESET_LOWEST_LATENCY,
    SESSION_MODE_LIVE,
    AudioFormat,
    AvatarClient,
    AvatarRpcError,
    AvatarStream,
    GenerationParameters,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PIECE_S = 0.2


def report(text: str) -> None:
    """Say what happens; stdout is the video's."""
    print(text, file=sys.stderr, flush=True)


async def turns() -> AsyncIterator[str]:
    """Yield what the user says, line by line."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield line.strip()


class Agent:
    """Answers, and knows what of its answers was heard."""

    def __init__(self, stream: AvatarStream, answers: list[Path]) -> None:
        self._stream = stream
        self._answers = answers
        self._speaking: asyncio.Task[None] | None = None
        self._unheard: dict[str, str] = {}  # names of the answers, by segment
        self._count = 0
        self._hush = asyncio.Event()
        self._silent = asyncio.Event()
        self._silent.set()

    async def converse(self) -> None:
        """Answer each turn of the user; end when there are no more turns or answers, and all was said."""
        async for _ in turns():
            await self._fall_silent()
            if not self._answers:
                break
            answer = self._answers.pop(0)
            self._count += 1
            segment_id = f"answer-{self._count}"  # a name may come twice, a segment's id may not
            self._unheard[segment_id] = answer.name
            self._silent.clear()
            self._speaking = asyncio.create_task(self._say(answer, segment_id))
        await self._silent.wait()
        await self._stream.end_audio()

    async def _fall_silent(self) -> None:
        """Barge-in: leave out the rest of what is being said."""
        if self._speaking is not None:
            self._hush.set()
            await self._speaking  # not cancelled: that would end the whole call in the midst of a message
            self._hush.clear()
        if self._unheard:
            await self._stream.interrupt()

    async def _say(self, answer: Path, segment_id: str) -> None:
        """Send one answer as it comes from the synthesiser."""
        with wave.open(str(answer)) as speech:
            while piece := speech.readframes(int(PIECE_S * speech.getframerate())):
                await self._stream.send_audio(piece, segment_id=segment_id)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PIECE_S / 2):  # synthesisers are faster than speech
                        await self._hush.wait()
                        return
        await self._stream.end_segment(segment_id)

    def segment_started(self, segment_id: str) -> None:
        """The mouth opens."""
        report(f"speaking {self._unheard[segment_id]}")

    def segment_finished(self, segment_id: str, played_s: float, *, interrupted: bool) -> None:
        """All of it was heard, or as much as the user let it say."""
        report(f"{'interrupted' if interrupted else 'finished'} {self._unheard.pop(segment_id)} after {played_s:.2f} s")
        if not self._unheard:
            self._silent.set()


async def main() -> None:
    """Hold the conversation, and write its video."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("portrait", type=Path)
    parser.add_argument("answers", type=Path, nargs="+")
    parser.add_argument("--server", default="localhost:50051")
    options = parser.parse_args()
    with wave.open(str(options.answers[0])) as first:
        audio = AudioFormat(encoding=AUDIO_ENCODING_LINEAR16, sample_rate_hz=first.getframerate())
    portrait = options.portrait.read_bytes()
    async with AvatarClient(options.server) as client, asyncio.TaskGroup() as tasks:
        session = client.stream(
            portrait,
            audio=audio,
            mode=SESSION_MODE_LIVE,
            generation=GenerationParameters(preset=PRESET_LOWEST_LATENCY),
        )
        async with session as stream:
            agent = Agent(stream, options.answers)
            tasks.create_task(agent.converse())
            async for response in stream:
                event = response.event
                if response.HasField("video"):
                    sys.stdout.buffer.write(response.video.data)
                elif event.HasField("segment_started"):
                    agent.segment_started(event.segment_started.segment_id)
                elif event.HasField("segment_finished"):
                    over = event.segment_finished
                    played_s = over.played.ToTimedelta().total_seconds()
                    agent.segment_finished(over.segment_id, played_s, interrupted=over.interrupted)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except* (KeyboardInterrupt, BrokenPipeError):
        pass
    except* (AvatarRpcError, OSError, wave.Error) as group:
        sys.exit("\n".join(str(error) for error in group.exceptions))

"""Speak, and watch a portrait speak as you do: samples on stdin, H.264 on stdout.

arecord -q -t raw -f S16_LE -r 16000 | python microphone.py portrait.png | ffplay -flags low_delay -f h264 -

Anything that writes 16-bit mono samples at 16 kHz will do for a microphone, for instance
``ffmpeg -f avfoundation -i :0 -ar 16000 -ac 1 -f s16le -`` or, at the pace of speech, ``ffmpeg -re -i FILE ...``.
The picture goes on when the microphone is silent. Ctrl-C, or the end of stdin, ends it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

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

RATE_HZ = 16_000
PIECE_BYTES = 2 * RATE_HZ // 25  # one frame's worth


async def listen(stream: AvatarStream) -> None:
    """Send what the microphone hears, to its end."""
    odd = b""
    while heard := await asyncio.to_thread(os.read, sys.stdin.fileno(), PIECE_BYTES):
        samples = odd + heard
        odd = samples[len(samples) // 2 * 2 :]  # a pipe may end in the midst of a sample
        if len(samples) > 1:
            await stream.send_audio(samples[: len(samples) // 2 * 2])
    await stream.end_audio()


async def main() -> None:
    """Show the portrait until the microphone ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("portrait", type=Path)
    parser.add_argument("--server", default="localhost:50051")
    options = parser.parse_args()
    portrait = options.portrait.read_bytes()
    async with AvatarClient(options.server) as client, asyncio.TaskGroup() as tasks:
        session = client.stream(
            portrait,
            audio=AudioFormat(encoding=AUDIO_ENCODING_LINEAR16, sample_rate_hz=RATE_HZ),
            mode=SESSION_MODE_LIVE,
            generation=GenerationParameters(preset=PRESET_LOWEST_LATENCY),
        )
        async with session as stream:
            listening = tasks.create_task(listen(stream))
            async for response in stream:
                if response.HasField("video"):
                    sys.stdout.buffer.write(response.video.data)
                    sys.stdout.buffer.flush()
            listening.cancel()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except* (KeyboardInterrupt, BrokenPipeError):
        pass
    except* (AvatarRpcError, OSError) as group:
        sys.exit("\n".join(str(error) for error in group.exceptions))

#!/usr/bin/env python3
"""Turn a portrait and a WAV file into the JSON lines of one StreamAvatar call, for people with grpcurl at hand.

    METHOD=avatar.v1.AvatarService/StreamAvatar
    python clients/jsonl.py face.jpg speech.wav | avatar-service call localhost:50051 $METHOD -d @
    python clients/jsonl.py face.jpg speech.wav | grpcurl -plaintext -d @ localhost:50051 $METHOD

The standard library is all it needs. The WAV must hold 16-bit PCM.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import time
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE_BYTES = 2
CHUNK_MS = 200


def messages(portrait: bytes, speech: wave.Wave_read, engine: str) -> Iterator[tuple[float, dict[str, Any]]]:
    """Yield each message of the call with the time in seconds at which a live speaker would have sent it."""
    rate_hz, channels = speech.getframerate(), speech.getnchannels()
    audio = {"encoding": "AUDIO_ENCODING_LINEAR16", "sample_rate_hz": rate_hz, "channels": channels}
    yield 0.0, {"init": {"portrait": _text(portrait), "engine": engine, "audio": audio}}
    sent = 0
    while piece := speech.readframes(rate_hz * CHUNK_MS // 1000):
        sent += len(piece) // (SAMPLE_BYTES * channels)
        yield sent / rate_hz, {"audio": {"data": _text(piece)}}
    yield sent / rate_hz, {"end_of_audio": {}}


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def main() -> int:
    """Read the arguments and print the lines; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("portrait", type=Path, help="JPEG, PNG or WebP file")
    parser.add_argument("speech", type=Path, help="WAV file, 16-bit PCM, 8 to 48 kHz, mono or stereo")
    parser.add_argument("--engine", default="", help="engine (default: the server's)")
    parser.add_argument("--paced", action="store_true", help="print in real time, as a live speaker would send")
    options = parser.parse_args()
    try:
        portrait = options.portrait.read_bytes()
        with wave.open(str(options.speech), "rb") as speech:
            if speech.getsampwidth() != SAMPLE_BYTES:
                parser.error(f"{options.speech} holds {8 * speech.getsampwidth()}-bit samples; 16-bit ones are needed")
            started = time.monotonic()
            for due_s, message in messages(portrait, speech, options.engine):
                if options.paced:
                    time.sleep(max(0.0, started + due_s - time.monotonic()))
                sys.stdout.write(json.dumps(message) + "\n")
                sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone, which is its right; what is still buffered must not raise again at exit.
        sys.stdout = None
        return 1
    except (OSError, EOFError, wave.Error) as error:
        sys.stderr.write(f"jsonl.py: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

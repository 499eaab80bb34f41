"""Owns the command ``python -m chunked_streaming_client``: its options and its exit code."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from chunked_streaming_client.client import ChunkedStreamingClient
from chunked_streaming_client.errors import GatewayError
from chunked_streaming_client.examples import heard, paced, speak
from chunked_streaming_client.wav import wav_chunks

_WHOLE_FILE: Final = 1
_MICROPHONE: Final = 2
_PACED_FILE: Final = 3
_CHUNK_S: Final = 1.0


def main(arguments: list[str] | None = None) -> int:
    """Run one example; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="chunked_streaming_client", description="Make a portrait speak, through the REST gateway."
    )
    parser.add_argument("--server", default="http://localhost:9999", help="URL of the gateway (%(default)s)")
    parser.add_argument("--image", type=Path, required=True, help="JPEG, PNG or WebP picture of a face")
    parser.add_argument("--audio", type=Path, help="PCM WAV file, for examples 1 and 3")
    parser.add_argument("--out", type=Path, default="take.mp4", help="write the take to this MP4 file (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to listen, for example 2 (%(default)s)")
    parser.add_argument(
        "--example",
        type=int,
        default=1,
        choices=[_WHOLE_FILE, _MICROPHONE, _PACED_FILE],
        help="1: a file in chunks; 2: the microphone; 3: a file at the pace of speech (default %(default)s)",
    )
    options = parser.parse_args(arguments)
    if options.example == _MICROPHONE:
        chunks = heard(options.seconds)
    elif options.audio is None:
        parser.error(f"example {options.example} needs --audio")
    else:
        chunks = wav_chunks(options.audio, _CHUNK_S)
    if options.example == _PACED_FILE:
        chunks = paced(chunks, _CHUNK_S)
    try:
        with ChunkedStreamingClient(options.server) as client:
            speak(client, options.image, chunks, _say, options.out)
    except (GatewayError, OSError, RuntimeError, ValueError) as error:
        sys.stderr.write(f"chunked_streaming_client: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

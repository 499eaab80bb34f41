"""Owns what the examples are made of: speech from a microphone or at the pace of a speaker, and its way to a take."""

from __future__ import annotations

import itertools
import queue
import time
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from chunked_streaming_client.errors import GatewayError
from chunked_streaming_client.wav import wav_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from chunked_streaming_client.client import ChunkedStreamingClient

    Chunks: TypeAlias = Iterator[tuple[bytes, bool]]
    """WAV files, and with each whether it is the last."""

_MICROPHONE_CHUNK_S: Final = 0.2
_MICROPHONE_RATE_HZ: Final = 16_000
_MICROPHONE_BEHIND_S: Final = 10
_POLL_S: Final = 0.1


def speak(client: ChunkedStreamingClient, image: Path, chunks: Chunks, say: Callable[[str], None], out: Path) -> None:
    """Let a portrait speak, wait for the last frame, and write the take to ``out``.

    Raises:
        OSError: if a file cannot be read or written.
        GatewayError: if the gateway refuses, or the session failed.
    """
    first = next(chunks)  # a file that is not there should cost no session
    client.init_session(image)
    say(f"watch {client.url(client.answer['hls_url'])}")
    for chunk, is_final in itertools.chain([first], chunks):
        _feed(client, chunk, is_final, say)
    status = client.get_status()
    while status["status"] not in {"complete", "error"}:
        time.sleep(_POLL_S)
        status = client.get_status()
    say(f"{status['status']}, {status['total_frames_generated']} frames")
    if status["status"] == "error":
        raise GatewayError(status.get("error") or "the session failed")
    client.download(out)
    say(f"wrote {out}")


def _feed(client: ChunkedStreamingClient, chunk: bytes, is_final: bool, say: Callable[[str], None]) -> None:
    """Send a chunk, and wait as long as the gateway asks where it holds enough audio for now."""
    while True:
        try:
            answer = client.feed_audio_chunk(chunk, is_final)
        except GatewayError as error:
            if error.retry_after_s is None:
                raise
            time.sleep(error.retry_after_s)
        else:
            say(f"{answer['session_status']}, {answer['frames_generated']} frames")
            return


def paced(chunks: Chunks, seconds: float) -> Chunks:
    """Yield chunks of ``seconds`` each when a speaker would have said them."""
    started = time.monotonic()
    for number, chunk in enumerate(chunks, start=1):
        time.sleep(max(0.0, started + number * seconds - time.monotonic()))  # spoken by then
        yield chunk


def heard(seconds: float) -> Chunks:
    """Yield what the microphone hears for so long, in chunks of 200 ms.

    Raises:
        RuntimeError: if sounddevice, or a microphone, is not there.
    """
    try:
        import sounddevice  # noqa: PLC0415 - optional; whoever has no microphone needs no such library
    except (ImportError, OSError) as error:
        msg = f"the microphone needs sounddevice and PortAudio: pip install sounddevice ({error})"
        raise RuntimeError(msg) from None
    waiting: queue.Queue[bytes] = queue.Queue(int(_MICROPHONE_BEHIND_S / _MICROPHONE_CHUNK_S))

    def put(block: Any, *_: Any) -> None:
        try:
            waiting.put_nowait(bytes(block))
        except queue.Full:
            raise sounddevice.CallbackAbort from None  # a gap in speech would be worse than its end

    blocks = max(1, round(seconds / _MICROPHONE_CHUNK_S))
    size = int(_MICROPHONE_RATE_HZ * _MICROPHONE_CHUNK_S)
    try:
        with sounddevice.RawInputStream(
            samplerate=_MICROPHONE_RATE_HZ, blocksize=size, channels=1, dtype="int16", callback=put
        ):
            for number in range(1, blocks + 1):
                yield wav_file(waiting.get(timeout=_MICROPHONE_BEHIND_S), _MICROPHONE_RATE_HZ), number == blocks
    except (sounddevice.PortAudioError, queue.Empty) as error:
        msg = f"the microphone cannot be read: {error}"
        raise RuntimeError(msg) from None

#!/usr/bin/env python3
"""Try the four endpoints of a gateway with a picture and speech made here. The standard library is all it needs.

    python clients/smoke.py --server http://localhost:9999

Prints a line for each check; the exit code is 1 at the first that fails.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import struct
import sys
import time
import urllib.error
import urllib.request
import uuid
import wave
import zlib
from typing import Any

BASE = "/api/audio-driven/chunked"
SIZE_PX = 256
RATE_HZ = 24_000
SPEECH_S = 2.5
CHUNK_S = 0.5
FPS = 25
PATIENCE_S = 60


class FailedCheckError(Exception):
    """A gateway did not do what it should; the text says what."""


def face() -> bytes:
    """Return a drawn face as PNG: skin, eyes and a mouth, so that something can move."""
    rows = bytearray()
    for y in range(SIZE_PX):
        rows.append(0)  # PNG: this row is not filtered
        for x in range(SIZE_PX):
            rows += bytes(_colour(x / SIZE_PX, y / SIZE_PX))
    header = struct.pack(">IIBBBBB", SIZE_PX, SIZE_PX, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def _colour(x: float, y: float) -> tuple[int, int, int]:
    def inside(centre_x: float, centre_y: float, radius_x: float, radius_y: float) -> bool:
        return math.hypot((x - centre_x) / radius_x, (y - centre_y) / radius_y) < 1

    if inside(0.5, 0.72, 0.12, 0.04):
        return 170, 70, 70
    if inside(0.38, 0.45, 0.03, 0.03) or inside(0.62, 0.45, 0.03, 0.03):
        return 40, 40, 60
    if inside(0.38, 0.45, 0.07, 0.04) or inside(0.62, 0.45, 0.07, 0.04):
        return 250, 250, 250
    return (224, 180, 150) if inside(0.5, 0.52, 0.34, 0.42) else (90, 110, 140)


def speech() -> list[bytes]:
    """Return a humming voice with syllables as WAV files of half a second."""
    samples = [
        int(
            9000 * max(0.0, math.sin(math.tau * 3 * second)) * math.sin(math.tau * 140 * second + math.sin(second * 40))
        )
        for second in (index / RATE_HZ for index in range(int(SPEECH_S * RATE_HZ)))
    ]
    step = int(CHUNK_S * RATE_HZ)
    return [_wav(samples[start : start + step]) for start in range(0, len(samples), step)]


def _wav(samples: list[int]) -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(RATE_HZ)
        target.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return content.getvalue()


class Gateway:
    """Asks one server."""

    def __init__(self, server: str) -> None:
        self._server = server.rstrip("/")

    def ask(self, method: str, path: str, form: dict[str, Any] | None = None) -> tuple[int, bytes]:
        """Return the status and body of an answer; bytes in a form are files."""
        request = urllib.request.Request(self._server + path, method=method)  # noqa: S310 - the user's own URL
        if form is not None:
            boundary = uuid.uuid4().hex
            request.add_header("Content-Type", f"multipart/form-data; boundary={boundary}")
            request.data = b"".join(_part(boundary, *field) for field in form.items()) + f"--{boundary}--\r\n".encode()
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:  # noqa: S310
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def json(self, method: str, path: str, form: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the JSON of a successful answer.

        Raises:
            FailedCheckError: if it is none.
        """
        status, body = self.ask(method, path, form)
        check(status == 200, f"{method} {path} answers 200", f"{status} {body[:200]!r}")  # noqa: PLR2004
        answer: dict[str, Any] = json.loads(body)
        return answer


def _part(boundary: str, name: str, value: object) -> bytes:
    file = isinstance(value, bytes)
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"' + ('; filename="file"' if file else "")
    body = value if isinstance(value, bytes) else str(value).encode()
    return f"{head}\r\n\r\n".encode() + body + b"\r\n"


def check(good: bool, what: str, otherwise: object) -> None:
    """Print what holds.

    Raises:
        FailedCheckError: if it does not.
    """
    if not good:
        msg = f"{what}: {otherwise}"
        raise FailedCheckError(msg)
    sys.stdout.write(f"ok  {what}\n")
    sys.stdout.flush()


def smoke(gateway: Gateway) -> None:
    """Run a session from beginning to end.

    Raises:
        FailedCheckError: at the first thing that is not as it should be.
        OSError: if the server cannot be reached.
    """
    form = {"image": face(), "crop": "false", "chunk_duration": CHUNK_S, "audio_sample_rate": RATE_HZ}
    opened = gateway.json("POST", f"{BASE}/init", form)
    session_id = opened["session_id"]
    check(opened["status"] == "success", "init says success", opened)
    chunks = speech()
    for number, chunk in enumerate(chunks, start=1):
        form = {"session_id": session_id, "audio_chunk": chunk, "is_final_chunk": number == len(chunks)}
        fed = gateway.json("POST", f"{BASE}/feed", form)
        check(fed["session_id"] == session_id, f"feed {number} is taken", fed)
    status = _completed(gateway, session_id)
    frames = math.ceil(SPEECH_S * FPS)
    check(status["status"] == "complete", "the session completes", status)
    check(status["total_frames_generated"] == frames, f"{SPEECH_S} s of speech are {frames} frames", status)
    code, playlist = gateway.ask("GET", opened["hls_url"])
    check(code == 200 and playlist.startswith(b"#EXTM3U"), "the playlist is one", playlist[:200])  # noqa: PLR2004
    removed = gateway.json("DELETE", f"{BASE}/session/{session_id}")
    check(bool(removed), "the session is removed", removed)
    code, _ = gateway.ask("GET", f"{BASE}/status/{session_id}")
    check(code in {404, 410}, "and is known no more", code)


def _completed(gateway: Gateway, session_id: str) -> dict[str, Any]:
    began = time.monotonic()
    while True:
        code, body = gateway.ask("GET", f"{BASE}/status/{session_id}")
        status: dict[str, Any] = json.loads(body)
        if code != 200 or status["status"] in {"complete", "error"} or time.monotonic() - began > PATIENCE_S:  # noqa: PLR2004
            return status
        time.sleep(0.1)


def main() -> int:
    """Read the arguments and run; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--server", default="http://localhost:9999", help="URL of the gateway (%(default)s)")
    server = parser.parse_args().server
    try:
        smoke(Gateway(server))
    except (FailedCheckError, OSError, KeyError, ValueError) as error:
        sys.stderr.write(f"smoke.py: {error if str(error) else type(error).__name__}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

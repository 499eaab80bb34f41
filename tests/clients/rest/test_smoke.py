"""The smoke script needs nothing installed, passes a gateway that behaves, and stops at one that does not."""

from __future__ import annotations

import io
import subprocess
import sys
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.clients.rest.conftest import Answer, Asked, FakeGateway

SCRIPT = Path(__file__).parents[3] / "clients" / "smoke.py"


def _run(url: str) -> subprocess.CompletedProcess[str]:
    # -I -S: no installed package can help.
    command = [sys.executable, "-I", "-S", str(SCRIPT), "--server", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def _forgetful(gateway: FakeGateway, reply: type[Answer]) -> Callable[[Asked], Answer | None]:
    def answer(_: Asked) -> Answer | None:
        removed = any(before.method == "DELETE" for before in gateway.asked[:-1])
        return reply({"detail": "gone"}, 410) if removed else None

    return answer


def test_a_good_gateway_passes(gateway: FakeGateway, reply: type[Answer]) -> None:
    """All four endpoints are tried, with a picture and speech that can be read."""
    gateway.answer = _forgetful(gateway, reply)
    ran = _run(gateway.url)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert {asked.method for asked in gateway.asked} == {"POST", "GET", "DELETE"}
    picture = np.asarray(Image.open(io.BytesIO(gateway.asked[0].form["image"])))
    assert picture.shape == (256, 256, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 5
    frames = 0
    for feed in gateway.of("/feed"):
        with wave.open(io.BytesIO(feed.form["audio_chunk"])) as chunk:
            frames += chunk.getnframes()
            assert np.abs(np.frombuffer(chunk.readframes(chunk.getnframes()), "<i2")).max() > 5000
    assert frames == 60_000


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/init", 500, {}),
        ("/init", 200, {"status": "success"}),
        ("/feed", 200, {"session_id": "another"}),
        ("/status/id", 200, {"status": "complete", "total_frames_generated": 62}),
        ("/status/id", 200, {"status": "error", "total_frames_generated": 0}),
        ("/playlist.m3u8", 200, b"<html>"),
        ("/session/id", 503, {}),
        ("", 200, None),
    ],
)
def test_a_bad_gateway_fails(gateway: FakeGateway, reply: type[Answer], path: str, status: int, body: object) -> None:
    """The exit code says so and one line says why; the last case never forgets a session."""
    good = _forgetful(gateway, reply)
    gateway.answer = lambda asked: (
        reply(body, status) if path and asked.path.endswith(path) else (path and good(asked)) or None
    )
    ran = _run(gateway.url)
    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert line.startswith("smoke.py: ")


def test_no_gateway_at_all_is_one_line() -> None:
    """Nobody listens there."""
    ran = _run("http://127.0.0.1:1")
    assert ran.returncode == 1
    assert ran.stderr.startswith("smoke.py: ")
    assert "Traceback" not in ran.stderr

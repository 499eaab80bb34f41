"""The examples of the Python client, with files for microphone and answers, against the real service."""

from __future__ import annotations

import asyncio
import io
import sys
import wave
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import av
import numpy as np
import pytest

pytestmark = pytest.mark.alone

EXAMPLES = Path(__file__).parents[2] / "clients" / "python" / "examples"
RATE_HZ = 16_000
FRAME_BYTES = 2 * RATE_HZ // 25


@pytest.fixture
def picture(portrait: bytes, tmp_path: Path) -> Path:
    """A portrait as a file."""
    path = tmp_path / "portrait.png"
    path.write_bytes(portrait)
    return path


def speech(seconds: float) -> bytes:
    """Return a tone as 16-bit samples."""
    return (np.sin(np.arange(round(seconds * RATE_HZ)) * 0.1) * 8000).astype("<i2").tobytes()


def recording(path: Path, seconds: float) -> Path:
    """Write a tone as a WAV file."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes(speech(seconds))
    return path


def frames(video: bytes) -> int:
    """Return how many pictures H.264 holds."""
    with av.open(io.BytesIO(video), format="h264") as container:
        return sum(1 for _ in container.decode(video=0))


async def start(example: str, *arguments: object) -> Process:
    """Return an example, running."""
    command = (sys.executable, "-W", "error", EXAMPLES / example, *map(str, arguments))
    return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=2**24)


async def test_the_microphone_is_shown_as_it_is_heard(target: str, picture: Path) -> None:
    """Samples in the pace of speech, cut anywhere, come back as pictures; the end of the pipe ends it."""
    running = await start("microphone.py", picture, "--server", target)
    assert running.stdin is not None
    sound = speech(1.0)
    async with asyncio.timeout(60):
        for at in range(0, len(sound), FRAME_BYTES - 1):
            running.stdin.write(sound[at : at + FRAME_BYTES - 1])
            await asyncio.sleep(0.04)
        video, errors = await running.communicate(b"")
    assert (running.returncode, errors) == (0, b"")
    assert 25 <= frames(video) <= 90


async def test_the_agent_knows_what_was_heard(target: str, picture: Path, tmp_path: Path) -> None:
    """An answer that is let finish was heard whole; one that is talked over, as far as it had come."""
    answers = [
        recording(tmp_path / name, seconds)
        for name, seconds in (("one.wav", 0.6), ("two.wav", 6.0), ("three.wav", 0.4))
    ]
    running = await start("voice_agent.py", picture, *answers, "--server", target)
    assert running.stdin is not None
    assert running.stdout is not None
    assert running.stderr is not None
    watching = asyncio.create_task(running.stdout.read())

    async def reported() -> str:
        return (await running.stderr.readline()).decode().strip() if running.stderr else ""

    async with asyncio.timeout(60):
        running.stdin.write(b"hello\n")
        assert await reported() == "speaking one.wav"
        assert await reported() == "finished one.wav after 0.60 s"
        running.stdin.write(b"and then?\n")
        assert await reported() == "speaking two.wav"
        running.stdin.write(b"wait\n")
        word, name, _, played, _ = (await reported()).split()
        assert (word, name) == ("interrupted", "two.wav")
        assert float(played) < 5
        assert await reported() == "speaking three.wav"
        assert await reported() == "finished three.wav after 0.40 s"
        running.stdin.close()
        video = await watching
        assert await running.wait() == 0
    assert frames(video) > 25


@pytest.mark.parametrize("example", ["microphone.py", "voice_agent.py"])
async def test_a_server_that_is_not_there_is_said_in_a_line(example: str, picture: Path, tmp_path: Path) -> None:
    """Without a traceback."""
    answers = [recording(tmp_path / "one.wav", 0.1)] if example == "voice_agent.py" else []
    running = await start(example, picture, *answers, "--server", "127.0.0.1:1")
    async with asyncio.timeout(60):
        _, errors = await running.communicate(b"")
    assert running.returncode == 1
    assert len(errors.decode().strip().splitlines()) == 1
    assert b"Traceback" not in errors


async def test_answers_may_have_the_same_name(target: str, picture: Path, tmp_path: Path) -> None:
    """Each is spoken."""
    answer = recording(tmp_path / "yes.wav", 0.2)
    running = await start("voice_agent.py", picture, answer, answer, "--server", target)
    assert running.stdin is not None
    assert running.stdout is not None
    assert running.stderr is not None
    watching = asyncio.create_task(running.stdout.read())
    async with asyncio.timeout(60):
        for _ in range(2):
            running.stdin.write(b"really?\n")
            assert (await running.stderr.readline()).decode() == "speaking yes.wav\n"
            assert (await running.stderr.readline()).decode() == "finished yes.wav after 0.20 s\n"
        running.stdin.close()
        await watching
        assert await running.wait() == 0


@pytest.mark.parametrize("example", ["microphone.py", "voice_agent.py"])
async def test_a_picture_that_is_not_there_is_said_in_a_line(example: str, target: str, tmp_path: Path) -> None:
    """Without a traceback."""
    answers = [recording(tmp_path / "one.wav", 0.1)] if example == "voice_agent.py" else []
    running = await start(example, tmp_path / "nobody.png", *answers, "--server", target)
    async with asyncio.timeout(60):
        _, errors = await running.communicate(b"")
    assert running.returncode == 1
    assert "nobody.png" in errors.decode()
    assert len(errors.decode().strip().splitlines()) == 1

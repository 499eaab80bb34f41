"""The README's examples run as they stand."""

from __future__ import annotations

import asyncio
import re
import sys
import wave
from pathlib import Path

import av
import pytest

README = Path(__file__).parents[2] / "clients" / "python" / "README.md"
EXAMPLES = re.findall(r"## (.*?)\n.*?```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("code", [code for _, code in EXAMPLES], ids=[title for title, _ in EXAMPLES])
async def test_example_runs(code: str, target: str, portrait: bytes, tmp_path: Path) -> None:
    """Each block works when pasted into a file, next to a portrait and a WAV file."""
    (tmp_path / "portrait.png").write_bytes(portrait)
    with wave.open(str(tmp_path / "speech.wav"), "wb") as speech:
        speech.setnchannels(1)
        speech.setsampwidth(2)
        speech.setframerate(16000)
        speech.writeframes(bytes(2 * 640 * 10))
    script = tmp_path / "example.py"
    script.write_text(f'TARGET = "{target}"\n{code}', encoding="utf-8")
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", script, cwd=tmp_path, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        _, errors = await running.communicate()
    assert running.returncode == 0, errors.decode()
    video = tmp_path / "out.h264"
    if video.exists():
        with av.open(str(video)) as container:
            assert sum(1 for _ in container.decode(video=0)) == 10


def test_every_way_of_use_has_an_example() -> None:
    """The README shows asyncio, threads, a conversation, a live one and avatars that are kept."""
    titles = ["asyncio", "Threads", "A conversation", "Live", "Avatars kept by the server"]
    assert [title for title, _ in EXAMPLES] == titles

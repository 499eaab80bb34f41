"""The script for grpcurl: it needs nothing installed, and its lines are valid requests."""

from __future__ import annotations

import subprocess
import sys
import wave
from pathlib import Path

from avatar.v1.avatar_service_pb2 import StreamAvatarRequest
from google.protobuf import json_format

SCRIPT = Path(__file__).parents[2] / "clients" / "jsonl.py"


def _wav(path: Path, samples: int, sample_bytes: int = 2) -> Path:
    with wave.open(str(path), "wb") as speech:
        speech.setnchannels(2)
        speech.setsampwidth(sample_bytes)
        speech.setframerate(8000)
        speech.writeframes(bytes(range(2 * sample_bytes)) * samples)
    return path


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    # -I -S: no installed package can help.
    command = [sys.executable, "-I", "-S", str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_lines_are_the_requests_of_one_session(tmp_path: Path) -> None:
    """Init comes first, end_of_audio last, and the audio between them is the file's, also when paced."""
    portrait = tmp_path / "face.jpg"
    portrait.write_bytes(b"picture")
    for option in ([], ["--paced"]):
        ran = _run(portrait, _wav(tmp_path / "a.wav", 4000), "--engine", "fake", *option)
        assert (ran.returncode, ran.stderr) == (0, "")
        messages = [json_format.Parse(line, StreamAvatarRequest()) for line in ran.stdout.splitlines()]
        init = messages[0].init
        assert (init.portrait, init.engine, init.audio.channels) == (b"picture", "fake", 2)
        assert b"".join(message.audio.data for message in messages) == b"\0\1\2\3" * 4000
        assert messages[-1].HasField("end_of_audio")


def test_faults_are_one_line(tmp_path: Path) -> None:
    """A missing file, a file that is no WAV and samples of another width fail with a sentence."""
    good = _wav(tmp_path / "a.wav", 10)
    for portrait, speech in ((tmp_path / "none", good), (good, SCRIPT), (good, _wav(tmp_path / "b.wav", 10, 1))):
        ran = _run(portrait, speech)
        assert ran.returncode in {1, 2}
        assert "Traceback" not in ran.stderr
        assert "jsonl.py: " in ran.stderr

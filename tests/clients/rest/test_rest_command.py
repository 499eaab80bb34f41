"""``python -m chunked_streaming_client`` runs its examples and says in one line what went wrong."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from chunked_streaming_client import wav_file
from chunked_streaming_client.__main__ import main

if TYPE_CHECKING:
    from tests.clients.rest.conftest import Answer, FakeGateway


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A picture and 2.5 s of sound, in the folder that takes are written to."""
    monkeypatch.chdir(tmp_path)
    image, audio = tmp_path / "face.png", tmp_path / "speech.wav"
    image.write_bytes(b"picture")
    audio.write_bytes(wav_file(bytes(40_000), 8000))
    return str(image), str(audio)


def test_a_file_is_sent_in_chunks_of_a_second(
    gateway: FakeGateway, files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Example 1 says where to watch, sends all, waits for the end, writes the take and cleans up."""
    image, audio = files
    out = tmp_path / "take.mp4"
    assert main(["--server", gateway.url, "--image", image, "--audio", audio, "--out", str(out)]) == 0
    assert [asked.form["is_final_chunk"] for asked in gateway.of("/feed")] == [b"false", b"false", b"true"]
    assert out.read_bytes() == b"a film"
    assert gateway.asked[-1].method == "DELETE"
    assert capsys.readouterr().out.splitlines() == [
        f"watch {gateway.url}/hls/id/playlist.m3u8",
        *["processing, 0 frames"] * 3,
        "complete, 63 frames",
        f"wrote {out}",
    ]


def test_a_speaker_s_pace_is_kept(gateway: FakeGateway, tmp_path: Path, files: tuple[str, str]) -> None:
    """Example 3 sends the same chunks."""
    audio = tmp_path / "short.wav"
    audio.write_bytes(wav_file(bytes(1600), 8000))
    assert main(["--server", gateway.url, "--image", files[0], "--audio", str(audio), "--example", "3"]) == 0
    assert [asked.form["is_final_chunk"] for asked in gateway.of("/feed")] == [b"true"]


def test_a_gateway_that_holds_enough_is_asked_again(
    gateway: FakeGateway, files: tuple[str, str], reply: type[Answer]
) -> None:
    """A refusal with a waiting time is waited for, and no chunk is lost or doubled."""
    refused: list[bytes] = []

    def full_at_first(asked: object) -> Answer | None:
        path, form = asked.path, asked.form  # type: ignore[attr-defined]
        if path.endswith("/feed") and form["audio_chunk"] not in refused:
            refused.append(form["audio_chunk"])
            return reply({"detail": "Enough for now.", "reason": "SPOOL_FULL"}, 429, {"Retry-After": "0.01"})
        return None

    gateway.answer = full_at_first
    assert main(["--server", gateway.url, "--image", files[0], "--audio", files[1]]) == 0
    assert len(gateway.of("/feed")) == len(refused) + 3


def test_a_failed_session_is_told(
    gateway: FakeGateway, files: tuple[str, str], reply: type[Answer], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its error is the last line."""
    failed = {"status": "error", "error": "The engine is gone.", "total_frames_generated": 5}
    gateway.answer = lambda asked: reply(failed) if "/status/" in asked.path else None
    assert main(["--server", gateway.url, "--image", files[0], "--audio", files[1]]) == 1
    assert capsys.readouterr().err == "chunked_streaming_client: The engine is gone.\n"


@pytest.mark.parametrize(("image", "audio"), [("none.png", None), (None, "none.wav"), (None, __file__)])
def test_a_bad_file_is_one_line(
    gateway: FakeGateway,
    files: tuple[str, str],
    image: str | None,
    audio: str | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No traceback, exit code 1."""
    assert main(["--server", gateway.url, "--image", image or files[0], "--audio", audio or files[1]]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("chunked_streaming_client: ")
    assert not gateway.of("/init"), "a file that is not there costs no session"


def test_a_file_example_wants_a_file(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """The usage says so."""
    with pytest.raises(SystemExit, match="2"):
        main(["--image", files[0]])
    assert "needs --audio" in capsys.readouterr().err


@pytest.mark.skipif(find_spec("sounddevice") is not None, reason="sounddevice is there")
def test_the_microphone_without_its_library_says_what_to_install(
    gateway: FakeGateway, files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Example 2 needs a library that no one else does."""
    assert main(["--server", gateway.url, "--image", files[0], "--example", "2"]) == 1
    assert "pip install sounddevice" in capsys.readouterr().err


def test_it_runs_as_a_module() -> None:
    """`python -m` finds it."""
    command = [sys.executable, "-m", "chunked_streaming_client", "--help"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "--example" in ran.stdout

"""`demo`: two files that show the product."""

from __future__ import annotations

import shutil
import subprocess
import wave
from pathlib import Path

import av
import pytest
from click.testing import CliRunner
from PIL import Image

from avatar_service.assets import FOLDER
from avatar_service.cli import main
from avatar_service.commands.demo import contact_sheet


def test_demo_writes_movie_and_contact_sheet(tmp_path: Path) -> None:
    """The whole sample utterance is in the movie, and the sheet shows frames of it."""
    folder = tmp_path / "new" / "demo"
    result = CliRunner().invoke(main, ["demo", "--folder", str(folder), "--engine", "fake"])
    assert result.exit_code == 0, result.stderr
    assert "real-time factor" in result.stdout
    with wave.open(str(FOLDER / "speech.wav")) as speech:
        frames = -(-speech.getnframes() * 25 // speech.getframerate())
    with av.open(str(folder / "demo.mp4")) as movie:
        assert movie.streams.video[0].frames == frames
    with Image.open(folder / "contact-sheet.png") as sheet:
        assert sheet.width > sheet.height
        cells = [sheet.crop((x * 256, y * 274, x * 256 + 256, y * 274 + 256)) for y in range(3) for x in range(5)]
        assert all(cell.convert("L").getextrema() != (255, 255) for cell in cells)


def test_sheet_of_a_single_frame_has_one_cell(tmp_path: Path) -> None:
    """A movie shorter than the grid fills what it can."""
    path = tmp_path / "short.mp4"
    with av.open(str(path), "w") as movie:
        stream = movie.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        movie.mux(stream.encode(av.VideoFrame(64, 64, "rgb24")))
        movie.mux(stream.encode(None))
    sheet = contact_sheet(path)
    assert sheet.getpixel((128, 32)) != (255, 255, 255)
    assert sheet.getpixel((384, 32)) == (255, 255, 255)


def test_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    """A file in the folder's place is told without a traceback."""
    (tmp_path / "demo").write_bytes(b"")
    result = CliRunner().invoke(main, ["demo", "--folder", str(tmp_path / "demo")])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")


def test_sample_speech_is_what_a_session_takes() -> None:
    """The sample is 7 to 8 s of 16-bit mono with a pause in the middle."""
    with wave.open(str(FOLDER / "speech.wav")) as speech:
        assert (speech.getnchannels(), speech.getsampwidth(), speech.getframerate()) == (1, 2, 22050)
        assert 7 <= speech.getnframes() / 22050 <= 8


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_sample_speech_can_be_made_again(tmp_path: Path) -> None:
    """The script beside the sample makes a file of the same shape."""
    script = shutil.copy(FOLDER / "make_speech.sh", tmp_path)
    subprocess.run([script], check=True, timeout=60)
    with wave.open(str(tmp_path / "speech.wav")) as made, wave.open(str(FOLDER / "speech.wav")) as ours:
        assert made.getframerate() == ours.getframerate()
        assert abs(made.getnframes() - ours.getnframes()) < ours.getframerate()

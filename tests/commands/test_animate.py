"""`animate`: the MP4 is exact, and a failure is one line and no file."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import wave
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from avatar.v1.init_pb2 import AUDIO_ENCODING_LINEAR16, AudioFormat, GenerationParameters
from avatar_client import AvatarClient
from click.testing import CliRunner, Result

from avatar_service.cli import main

FRAMES = 26
START_CODE = b"\0\0\0\1"


def _animate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["animate", *map(str, arguments)])


def _fake(portrait: Path, speech: Path, output: Path, *options: str) -> Result:
    return _animate(portrait, speech, "-o", output, "--engine", "fake", *options)


def _refusal(result: Result, exit_code: int = 1) -> str:
    """Return the one line of an orderly failure."""
    assert result.exit_code == exit_code
    assert isinstance(result.exception, SystemExit)
    lines = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1
    return lines[0]


def test_movie_is_exact(portrait: Path, speech: Path, tmp_path: Path) -> None:
    """25 frames a second from 0, sound as long as the picture, both playable, nothing else in the folder."""
    output = tmp_path / "out.mp4"
    result = _fake(portrait, speech, output)
    assert result.exit_code == 0, result.stderr
    assert f"{FRAMES} frames for 1.01 s" in result.stdout
    assert "real-time factor" in result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "speech.wav"]
    with av.open(str(output)) as movie:
        video, audio = movie.streams.video[0], movie.streams.audio[0]
        assert (video.average_rate, video.frames, video.codec_context.name) == (25, FRAMES, "h264")
        assert (audio.codec_context.name, audio.sample_rate, audio.layout.nb_channels) == ("aac", 22050, 1)
        assert video.duration * video.time_base == audio.duration * audio.time_base == Fraction(FRAMES, 25)
        times = [frame.pts * video.time_base for frame in movie.decode(video=0)]
    assert times == [Fraction(index, 25) for index in range(FRAMES)]


def test_sound_is_the_recording_then_silence(portrait: Path, speech: Path, tmp_path: Path) -> None:
    """The track starts with the speech, without the encoder's delay, and the last frame is padded with silence."""
    output = tmp_path / "out.mp4"
    _fake(portrait, speech, output)
    with av.open(str(output)) as movie:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in movie.decode(audio=0)])
    with wave.open(str(speech)) as file:
        said = np.frombuffer(file.readframes(22270), "<i2") / 32768
    assert np.abs(heard[2000:20000] - said[2000:20000]).max() < 0.05
    assert np.abs(heard[22700:22900]).max() < 0.02


def test_index_is_in_front(portrait: Path, speech: Path, tmp_path: Path) -> None:
    """A browser may start to play before it has the whole file."""
    output = tmp_path / "out.mp4"
    _fake(portrait, speech, output)
    content = output.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


async def test_video_is_not_encoded_again(target: str, portrait: Path, speech: Path, tmp_path: Path) -> None:
    """The file's access units hold the very slices that the service sends."""
    output = tmp_path / "out.mp4"
    result = await asyncio.to_thread(_animate, portrait, speech, "-o", output, "--server", target)
    assert result.exit_code == 0, result.stderr
    with wave.open(str(speech)) as file:
        samples = file.readframes(22270)
    picture = await asyncio.to_thread(portrait.read_bytes)

    async def chunks() -> AsyncIterator[bytes]:
        yield samples

    audio = AudioFormat(encoding=AUDIO_ENCODING_LINEAR16, sample_rate_hz=22050)
    async with AvatarClient(target) as client:
        generation = GenerationParameters(crop=True)
        session = client.animate(picture, chunks(), audio=audio, generation=generation)
        async with session as stream:
            sent = [response.video.data async for response in stream if response.HasField("video")]
    with av.open(str(output)) as movie:
        stored = [bytes(packet) for packet in movie.demux(video=0) if packet.size]
    assert len(stored) == len(sent)
    for ours, theirs in zip(stored, sent, strict=True):
        last_slice = theirs.replace(START_CODE, b"\0\0\1").rpartition(b"\0\0\1")[2]
        assert ours.endswith(last_slice)


@pytest.mark.parametrize("rate_hz", [8000, 9000, 96000])
def test_any_rate_gets_a_sound_track(rate_hz: int, portrait: Path, tmp_path: Path) -> None:
    """Rates that AAC or a session does not know are converted; the length stays exact."""
    speech = tmp_path / "speech.wav"
    with wave.open(str(speech), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(bytes(4 * rate_hz))
    output = tmp_path / "out.mp4"
    result = _fake(portrait, speech, output)
    assert result.exit_code == 0, result.stderr
    with av.open(str(output)) as movie:
        audio = movie.streams.audio[0]
        assert movie.streams.video[0].frames == 25
        assert abs(audio.duration * audio.time_base - 1) < Fraction(1, 1000)


def test_size_sets_the_width(portrait: Path, speech: Path, tmp_path: Path) -> None:
    """--size 64 gives a movie of that width, in the frames' own shape."""
    output = tmp_path / "out.mp4"
    result = _fake(portrait, speech, output, "--size", "64")
    assert result.exit_code == 0, result.stderr
    with av.open(str(output)) as movie:
        assert (movie.streams.video[0].width, movie.streams.video[0].height) == (64, 64)


def test_existing_file_is_replaced_on_success_only(portrait: Path, speech: Path, tmp_path: Path) -> None:
    """A failed run leaves the old file as it was; a good one replaces it."""
    output = tmp_path / "out.mp4"
    output.write_bytes(b"old")
    _refusal(_fake(speech, speech, output))
    assert output.read_bytes() == b"old"
    assert _fake(portrait, speech, output).exit_code == 0
    assert output.read_bytes() != b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "speech.wav"]


def test_inputs_that_cannot_work_are_one_line(portrait: Path, speech: Path, tmp_path: Path) -> None:
    """Missing files, files of the wrong kind and unknown engines are told in a sentence that names them."""
    output = tmp_path / "out.mp4"
    silent = tmp_path / "silent.wav"
    with wave.open(str(silent), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
    assert "none.png" in _refusal(_fake(tmp_path / "none.png", speech, output))
    assert "none.wav" in _refusal(_fake(portrait, tmp_path / "none.wav", output))
    assert "JPEG" in _refusal(_fake(speech, speech, output))
    assert "audio" in _refusal(_fake(portrait, portrait, output))
    assert "no sound" in _refusal(_fake(portrait, silent, output))
    assert "regular" in _refusal(_fake(tmp_path, speech, output))
    assert "even" in _refusal(_fake(portrait, speech, output, "--size", "65")).lower()
    assert "no engine zork" in _refusal(_animate(portrait, speech, "-o", output, "--engine", "zork"))
    assert not output.exists()


async def test_refusals_of_a_server_are_one_line(target: str, portrait: Path, speech: Path, tmp_path: Path) -> None:
    """An engine that another machine's server does not have is told in that server's words."""
    output = tmp_path / "out.mp4"
    result = await asyncio.to_thread(_animate, portrait, speech, "-o", output, "--server", target, "--engine", "zork")
    assert "zork" in _refusal(result)
    assert not output.exists()


def test_outputs_that_cannot_work_are_one_line(portrait: Path, speech: Path, tmp_path: Path) -> None:
    """A folder that is missing and a folder in the file's place are told before anything is computed."""
    assert "none/out.mp4" in _refusal(_fake(portrait, speech, tmp_path / "none" / "out.mp4"))
    folder = tmp_path / "folder.mp4"
    folder.mkdir()
    assert str(folder) in _refusal(_fake(portrait, speech, folder))


def test_another_kind_of_file_is_misuse(portrait: Path, speech: Path, tmp_path: Path) -> None:
    """An MP4 is never written under another name."""
    result = _fake(portrait, speech, tmp_path / "out.avi")
    assert result.exit_code == 2
    assert "must end in .mp4" in result.output
    assert not list(tmp_path.glob("out.*"))


def test_interrupt_leaves_nothing(portrait: Path, tmp_path: Path) -> None:
    """Ctrl-C in the middle takes the unfinished file away."""
    speech = tmp_path / "speech.wav"
    with wave.open(str(speech), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(2 * 8000 * 3600))
    command = [sys.executable, "-m", "avatar_service", "animate", portrait, speech]
    with subprocess.Popen(
        [*command, "-o", tmp_path / "out.mp4", "--engine", "fake"], stderr=subprocess.PIPE
    ) as running:
        try:
            assert running.stderr is not None
            assert running.stderr.readline().startswith(b"Animating")  # the session is open
            running.send_signal(signal.SIGINT)
            running.communicate(timeout=20)
        finally:
            running.kill()
    assert running.returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == ["speech.wav"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_folder_without_permission_is_one_line(portrait: Path, speech: Path, tmp_path: Path) -> None:
    """A folder that may not be written to is told with the output's own name."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    assert "out.mp4" in _refusal(_fake(portrait, speech, folder / "out.mp4"))


def test_server_that_is_down_is_one_line(portrait: Path, speech: Path, tmp_path: Path) -> None:
    """Nobody listening is said at once, and nothing is left behind."""
    output = tmp_path / "out.mp4"
    result = _animate(portrait, speech, "-o", output, "--server", "127.0.0.1:1")
    assert "No answer from the server" in _refusal(result)
    assert [path.name for path in tmp_path.iterdir()] == ["speech.wav"]


def test_full_disk_is_one_line_and_leaves_nothing(portrait: Path, speech: Path, tmp_path: Path) -> None:
    """When the file cannot grow any more, the part that was written goes away."""
    output = tmp_path / "out.mp4"
    # The limit on file size is a process's own, so this one needs a process.
    limit = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); "
    command = "from avatar_service.cli import main; main(sys.argv[1:])"
    ran = subprocess.run(
        [sys.executable, "-c", limit + command, "animate", portrait, speech, "-o", output, "--engine", "fake"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1
    assert "Error: File too large" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["speech.wav"]


def test_full_frame_needs_the_crop(portrait: Path, speech: Path, tmp_path: Path) -> None:
    """Options that contradict each other are a usage error."""
    result = _animate(portrait, speech, "-o", tmp_path / "out.mp4", "--full-frame", "--no-crop")
    assert "--full-frame" in _refusal(result, exit_code=2)

"""A WAV file is cut without losing a sample."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import pytest
from chunked_streaming_client import wav_chunks, wav_file
from hypothesis import given
from hypothesis import strategies as st


def _read(content: bytes) -> tuple[int, int, int, bytes]:
    with wave.open(io.BytesIO(content), "rb") as source:
        samples = source.readframes(source.getnframes())
        return source.getframerate(), source.getnchannels(), source.getsampwidth(), samples


@given(
    frames=st.integers(0, 3000),
    seconds=st.floats(0.001, 1.0),
    channels=st.integers(1, 2),
    sample_bytes=st.sampled_from([1, 2, 3, 4]),
)
def test_chunks_put_together_are_the_file(
    tmp_path: Path, frames: int, seconds: float, channels: int, sample_bytes: int
) -> None:
    """Whatever the width, channels and length of a piece; only the last is final, and only it may be shorter."""
    samples = bytes(index * 31 & 255 for index in range(frames * channels * sample_bytes))
    path = tmp_path / "speech.wav"
    path.write_bytes(wav_file(samples, 8000, channels=channels, sample_bytes=sample_bytes))
    chunks = list(wav_chunks(path, seconds))
    parts = [_read(content) for content, _ in chunks]
    assert b"".join(part[3] for part in parts) == samples
    assert {part[:3] for part in parts} == {(8000, channels, sample_bytes)}
    assert [is_final for _, is_final in chunks] == [False] * (len(chunks) - 1) + [True]
    step = int(seconds * 8000) * channels * sample_bytes
    assert all(len(part[3]) == step for part in parts[:-1])


@pytest.mark.parametrize("content", [b"", b"RIFF", b"ID3 not a WAV at all", b"RIFF\x04\0\0\0WAVE"])
def test_what_is_no_wav_is_refused_with_a_sentence(tmp_path: Path, content: bytes) -> None:
    """The text names the file."""
    path = tmp_path / "speech.mp3"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"speech\.mp3 is not a PCM WAV file"):
        list(wav_chunks(path, 1.0))


def test_a_chunk_of_no_sample_is_refused(tmp_path: Path) -> None:
    """It would never end."""
    path = tmp_path / "speech.wav"
    path.write_bytes(wav_file(bytes(100), 8000))
    with pytest.raises(ValueError, match="holds no sample"):
        list(wav_chunks(path, 0.0001))

"""Owns WAV files: making one of raw samples, and cutting one without losing a sample."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def wav_file(samples: bytes, sample_rate_hz: int, *, channels: int = 1, sample_bytes: int = 2) -> bytes:
    """Return little-endian PCM samples, channels interleaved, as a WAV file."""
    content = io.BytesIO()
    with wave.open(content, "wb") as target:
        target.setnchannels(channels)
        target.setsampwidth(sample_bytes)
        target.setframerate(sample_rate_hz)
        target.writeframes(samples)
    return content.getvalue()


def wav_chunks(path: str | Path, seconds: float) -> Iterator[tuple[bytes, bool]]:
    """Yield a PCM WAV file as WAV files of ``seconds`` each, and with each whether it is the last.

    Put together, their samples are the file's. A file without samples is one empty chunk.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not a PCM WAV file, or ``seconds`` is less than one sample.
    """
    try:
        with wave.open(str(path), "rb") as source:
            rate_hz, channels, sample_bytes = source.getframerate(), source.getnchannels(), source.getsampwidth()
            step = int(seconds * rate_hz)
            if step < 1:
                msg = f"a chunk of {seconds:g} s holds no sample"
                raise ValueError(msg)
            following = source.readframes(step)
            is_final = False
            while not is_final:
                samples, following = following, source.readframes(step)
                is_final = not following
                yield wav_file(samples, rate_hz, channels=channels, sample_bytes=sample_bytes), is_final
    except (EOFError, wave.Error) as error:
        msg = f"{path} is not a PCM WAV file: {error or 'it ends too early'}"
        raise ValueError(msg) from None

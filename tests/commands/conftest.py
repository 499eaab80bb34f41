"""Inputs and a server for the commands' tests."""

from __future__ import annotations

import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from avatar_service.app import serving
from avatar_service.assets import asset_path
from avatar_service.config import Settings


@pytest.fixture
async def target() -> AsyncIterator[str]:
    """The address of the real service with the fake engine."""
    async with serving(Settings(host="127.0.0.1", port=0, engine="fake")) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture
def portrait() -> Path:
    """A picture with a face."""
    return asset_path("astronaut.png")


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """1.01 s at 22.05 kHz: 26 frames, the last of them mostly silence."""
    samples = (np.sin(np.arange(22270) / 10) * 8000).astype("<i2")
    path = tmp_path / "speech.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(22050)
        out.writeframes(samples.tobytes())
    return path

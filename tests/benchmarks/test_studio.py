"""Tests for the making of films, against a real server."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import numpy as np

from avatar_service.assets import asset_path
from benchmarks.lipsync.studio import Take, shoot, write_wave

Serve = Callable[..., AbstractAsyncContextManager[Any]]


def test_all_is_looked_at_unless_stretches_are_named() -> None:
    """Without stretches every frame is measured; with them those that appear within."""
    sound = np.zeros(16, np.float32)
    assert Take(Path("x"), sound).looked_at(99)
    some = Take(Path("x"), sound, ((1.0, 2.0), (5.0, 6.0)))
    assert [some.looked_at(time) for time in (0.9, 1.0, 2.0, 5.5)] == [False, True, False, True]


def test_a_sound_is_written_as_it_is(tmp_path: Path) -> None:
    """The file holds the samples at 16 kHz in 16 bits; what is too loud is clipped and does not wrap."""
    path = write_wave(tmp_path / "a.wav", np.array([0.0, 0.5, -1.0, 1.7], np.float32))
    with wave.open(str(path)) as file:
        assert file.getframerate() == 16_000
        assert np.frombuffer(file.readframes(9), "<i2").tolist() == [0, 16384, -32767, 32767]


async def test_a_take_becomes_a_film_of_its_length(serve: Serve) -> None:
    """The service's frames are counted and watched: one for each 40 ms of sound, the last one begun."""
    take = Take(asset_path("astronaut.png"), np.zeros(4 * 640 + 1, np.float32), ((0.08, 1.0),))
    async with serve(engine="portrait", capacity=1) as service:
        shot = await asyncio.to_thread(shoot, take, service.target)
    assert shot.film.frames == 5
    assert shot.film.numbers.tolist() == [2, 3, 4]
    assert ((shot.film.widths > 0.4) & (shot.film.widths < 1.0)).all()
    assert shot.wall_s > 0

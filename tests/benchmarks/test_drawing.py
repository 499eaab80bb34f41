"""Tests for the plot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.lipsync import drift, real, silence, synthetic
from benchmarks.lipsync.drawing import draw
from benchmarks.lipsync.ruler import Ruler
from benchmarks.lipsync.script import Script
from benchmarks.lipsync.sight import Film
from benchmarks.lipsync.studio import Shot


def test_the_plot_shows_with_and_without_clips(
    made_up: Callable[..., Script], obedient: Callable[..., Film], ruler: Ruler, tmp_path: Path
) -> None:
    """Both ways a picture of the same size comes out; without clips it says so in the place of their curves."""
    script = made_up()
    film = obedient(script)
    scene = synthetic.Scene("one", script, film, ruler)
    clip = real.Scene(real.Clip(Path("a.mp4"), Path("a.png"), film), film)
    quiet = [silence.Scene("one", case, film, ruler.rest) for case in silence.cases(script, 1.0)]
    recital = drift.Recital(script, 13, 1)
    long = drift.Scene(recital, Shot(film, 1.0))
    shown = []
    for number, clips in enumerate(([clip], [])):
        path = tmp_path / f"{number}.png"
        draw(path, {"one": ruler}, [scene], clips, quiet, long)
        shown.append(np.asarray(Image.open(path)))
    assert shown[0].shape == shown[1].shape
    assert (shown[0] != shown[1]).any()

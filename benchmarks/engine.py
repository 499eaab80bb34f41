"""Measures the portrait engine on one core: preparation, motion, and every stage of a frame.

The last line is one JSON object; times are milliseconds, ``p5`` being the best estimate of an idle core.
"""

from __future__ import annotations

import os

# BLAS threads would fight over the one core that a session has; numpy reads this when it is imported.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
import platform
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from PIL import Image
from provenance import commit

from avatar_service.assets import asset_path
from avatar_service.engine.base import MotionStep, Parameters, PrepareOptions, RenderStep
from avatar_service.engine.portrait.avatar import PortraitAvatar
from avatar_service.engine.portrait.engine import PortraitEngine, create
from avatar_service.engine.portrait.render import eye_patches, redraw_eyes, redraw_mouth, warp_fields, warp_picture
from avatar_service.engine.portrait.rig import Column, mouth_shape, pose_of
from avatar_service.frame import PixelFormat, to_i420

Result = TypeVar("Result")
PREPARATIONS = 5


class Stopwatch:
    """Collects the times of named stages."""

    def __init__(self) -> None:
        self._times: defaultdict[str, list[float]] = defaultdict(list)

    def time(self, stage: str, work: Callable[[], Result]) -> Result:
        """Return what ``work`` returns, and remember how long it took."""
        start = time.perf_counter()
        result = work()
        self._times[stage].append((time.perf_counter() - start) * 1e3)
        return result

    def percentiles(self) -> dict[str, dict[str, float]]:
        """Return p5 and p50 of every stage in ms."""
        return {
            stage: {f"p{share}": round(float(np.percentile(times, share)), 3) for share in (5, 50)}
            for stage, times in self._times.items()
        }


def speech(samples: int) -> np.ndarray:
    """Return something that the mouth follows as it follows speech: voiced pulses in syllables, ``[n]`` float32."""
    seconds = np.arange(samples) / 16_000
    syllables = np.clip(np.sin(2 * np.pi * 3.5 * seconds) + 0.3 * np.sin(2 * np.pi * 0.4 * seconds), 0, 1)
    voice = sum(np.sin(2 * np.pi * 130 * harmonic * seconds) / harmonic for harmonic in range(1, 25))
    return np.asarray(0.1 * syllables * voice, np.float32)


def make_rows(engine: PortraitEngine, avatar: PortraitAvatar, frames: int, watch: Stopwatch) -> np.ndarray:
    """Return the motion rows of ``frames`` frames of speech, with eyes and head that always move."""
    spec = engine.spec
    sound = speech(spec.context + (frames + 1) * spec.frame_samples + spec.look_ahead)
    state = engine.open(avatar, Parameters())
    size = spec.context + spec.frame_samples + spec.look_ahead
    rows = []
    for number in range(frames):
        start = number * spec.frame_samples
        step = MotionStep(state, sound[start : start + size], 1, number, size)
        rows.append(watch.time("motion", lambda step=step: engine.motion([step]))[0][0])
    motion = np.stack(rows)
    motion[:, Column.OPEN] = np.maximum(motion[:, Column.OPEN], 0.2)
    return motion


def time_stages(avatar: PortraitAvatar, row: np.ndarray, watch: Stopwatch) -> None:
    """Draw one frame stage by stage, as ``render.render_frame`` does."""
    shape, pose = mouth_shape(row, avatar.lips), pose_of(row)
    patches = watch.time("eye_patches", lambda: eye_patches(avatar, row))
    warp = watch.time("fields", lambda: warp_fields(avatar, shape, pose))
    frame = watch.time("picture_rgb", lambda: warp_picture(avatar, warp))
    if avatar.quads is not None:
        watch.time("picture_i420", lambda: avatar.quads.draw(warp.base))
    watch.time("eyes", lambda: redraw_eyes(frame, avatar, warp, patches))
    watch.time("mouth", lambda: redraw_mouth(frame, avatar, warp, shape))
    if avatar.stitch is not None:
        watch.time("stitch", lambda: avatar.stitch.paste(frame))


def main() -> None:
    """Measure, and print one JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--portrait", type=Path, default=None, help="picture to animate (default: the astronaut)")
    parser.add_argument("--paste-back", action="store_true", help="animate the face inside the whole picture")
    arguments = parser.parse_args()
    path = arguments.portrait or asset_path("astronaut.png")
    portrait = np.asarray(Image.open(path).convert("RGB"))
    options = PrepareOptions(paste_back=arguments.paste_back)

    engine, watch = create(), Stopwatch()
    watch.time("warmup", engine.warmup)
    for _ in range(PREPARATIONS):
        avatar = watch.time("prepare", lambda: engine.prepare(portrait, options))
    rows = make_rows(engine, avatar, arguments.frames, watch)
    for row in rows:
        watch.time("frame", lambda row=row: engine.render([RenderStep(avatar, row, PixelFormat.I420)]))
        watch.time("frame_rgb_converted", lambda row=row: to_i420(engine.render([RenderStep(avatar, row)])[0]))
    for row in rows:
        time_stages(avatar, row, watch)

    times = watch.percentiles()
    frame, prepare, warmup = (times.pop(stage) for stage in ("frame", "prepare", "warmup"))
    report = {
        "benchmark": "engine",
        "engine": engine.spec.name,
        "commit": commit(),
        "portrait": path.name,
        "frames": arguments.frames,
        "frame_size": avatar.frame_size,
        "frame_ms_p5": frame["p5"],
        "frame_ms_p50": frame["p50"],
        "prepare_ms": prepare["p50"],
        "warmup_ms": warmup["p50"],
        "stages_ms": times,
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "cpu_count": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()

"""Measures where the CPU time of a frame goes, from the speech in the front to the access unit that leaves it.

Two workers run at once, each on a thread of a process of its own, with nothing else on the machine: so they compete for
its caches as they do in service. Medians of each stage, in ms of CPU; of the front, what it takes for a frame in the
mean (``relay.py``). The last line is one JSON object; the same goes to ``benchmarks/results``.
"""

from __future__ import annotations

import os

# BLAS threads would fight over the cores that the workers have; numpy reads this when it is imported.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import asyncio
import json
import pickle
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, TypeVar

import cv2
import numpy as np
import relay
from provenance import commit

from avatar_service.assets import asset_path
from avatar_service.codec.base import VideoFormat
from avatar_service.codec.registry import open_encoder
from avatar_service.commands.bench import machine
from avatar_service.commands.load import Speech
from avatar_service.engine.base import Avatar, PrepareOptions, RenderStep
from avatar_service.engine.portrait import render
from avatar_service.engine.portrait.arrays import taken
from avatar_service.engine.portrait.avatar import PortraitAvatar
from avatar_service.engine.portrait.rig import mouth_shape, pose_of
from avatar_service.engine.registry import create_engine
from avatar_service.media import SAMPLE_RATE_HZ
from avatar_service.picture import decode_picture
from avatar_service.pool.messages import Acknowledge, Feed, Open, Order, Result, SlotKey, Work
from avatar_service.pool.worker import Worker

RESULTS: Final = Path(__file__).parent / "results"
WORKERS: Final = 2
WARM_FRAMES: Final = 50
YARDSTICK_RUNS: Final = 200
KEY: Final = SlotKey(0, 0)
Out = TypeVar("Out")


class CpuWatch:
    """Collects the CPU time of this thread, stage by stage."""

    def __init__(self) -> None:
        self.times: defaultdict[str, list[float]] = defaultdict(list)

    def time(self, stage: str, work: Callable[[], Out]) -> Out:
        """Return what ``work`` returns, and remember its cost."""
        began = time.thread_time()
        outcome = work()
        self.times[stage].append(1000 * (time.thread_time() - began))
        return outcome

    def medians(self) -> dict[str, float]:
        """Return the median ms of every stage."""
        return {stage: statistics.median(times[WARM_FRAMES:]) for stage, times in self.times.items()}


class WatchedEngine:
    """The portrait engine, whose calls are timed; each frame is encoded by an encoder of its own, timed too."""

    def __init__(self, watch: CpuWatch) -> None:
        self._engine = create_engine("portrait")
        self._watch = watch
        self._encoder = open_encoder(VideoFormat(), self._engine.warmup().frame_size, self._engine.spec.fps)
        self.rows: list[np.ndarray] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def motion(self, steps: Any) -> Any:
        """Advance, timed."""
        return self._watch.time("motion", lambda: self._engine.motion(steps))

    def render(self, steps: list[RenderStep]) -> Any:
        """Draw one frame, timed, and encode it."""
        began = time.thread_time()
        frames = self._watch.time("render", lambda: self._engine.render(steps))
        self._watch.time("x264", lambda: self._encoder.encode(frames[0], keyframe=False))
        self._watch.times["within"].append(1000 * (time.thread_time() - began))
        self.rows.append(steps[0].motion)
        return frames


def worker_costs(frames: int) -> dict[str, float]:
    """Return the medians of what a worker does for each frame of one session."""
    watch = CpuWatch()
    engine = WatchedEngine(watch)
    avatar = engine.prepare(decode_picture(asset_path("astronaut.png").read_bytes()), PrepareOptions())
    orders: list[Order] = []
    results: list[Result] = []
    worker = Worker(engine, orders.append, results.extend)
    worker.receive(Open(KEY, Work(b"")))
    done: Future[Avatar] = Future()
    done.set_result(avatar)
    worker.prepared(orders[0], done)
    results.clear()
    speech, samples = Speech.sample(), engine.spec.frame_samples
    count = frames + engine.spec.look_ahead // samples
    heard = speech.samples[np.arange(count * samples) * speech.rate_hz // SAMPLE_RATE_HZ % speech.samples.size]
    for pcm in (piece.tobytes() for piece in heard.reshape(count, samples)):
        packed = pickle.dumps(
            [Feed(KEY, 0, pcm, time.monotonic()), *([Acknowledge(KEY, 1)] if results else [])], pickle.HIGHEST_PROTOCOL
        )
        for command in watch.time("unpacking", partial(pickle.loads, packed)):
            watch.time("receiving", partial(worker.receive, command))
        results.clear()
        if watch.time("work", partial(worker.work, time.monotonic())):
            watch.time("packing", partial(pickle.dumps, results, pickle.HIGHEST_PROTOCOL))
    draw(avatar, engine.rows, watch)
    return told(watch.medians())


def draw(avatar: PortraitAvatar, rows: list[np.ndarray], watch: CpuWatch) -> None:
    """Draw the frames again stage by stage, as ``render.render_frame`` does."""
    assert avatar.quads is not None
    for row in rows:
        shape, pose = mouth_shape(row, avatar.lips), pose_of(row)
        patches = render.eye_patches(avatar, row)
        warp = watch.time("fields", partial(render.warp_fields, avatar, shape, pose))
        frame = watch.time("picture", partial(avatar.quads.draw, warp.base))
        watch.time("eyes", partial(render.redraw_eye_planes, frame, avatar, warp, patches))
        watch.time("mouth", partial(render.redraw_mouth_planes, frame, avatar, warp, shape))


def told(medians: dict[str, float]) -> dict[str, float]:
    """Return the stages of a worker in the order in which a frame meets them."""
    work = medians["receiving"] + medians["work"]
    return {
        "border": medians["unpacking"] + medians["packing"],
        # Our own encoder lies within what is timed as work, beside the worker's: both cost the same.
        "loop": work - medians["motion"] - medians["within"] - medians["x264"],
        "motion": medians["motion"],
        "render": medians["render"],
        **{f"render: {stage}": medians[stage] for stage in ("fields", "picture", "eyes", "mouth")},
        "x264": medians["x264"],
    }


def yardstick_ms() -> float:
    """Return the median ms of a fixed piece of work that lives on the caches: this machine's speed varies."""
    random = np.random.default_rng(0)
    texture = random.integers(0, 256, (1024, 1024), dtype=np.uint8)
    places = random.uniform(0, 1023, (512, 512, 2)).astype(np.float32)
    watch = CpuWatch()
    for _ in range(YARDSTICK_RUNS):
        watch.time("look", partial(taken, texture, places, cv2.BORDER_CONSTANT))
    return round(watch.medians()["look"], 2)


def main() -> None:
    """Measure, write the result, and print it as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=500)
    arguments = parser.parse_args()
    with get_context("spawn").Pool(WORKERS) as pool:
        before = pool.map(_yardstick_ms, range(WORKERS), chunksize=1)
        runs = pool.map(worker_costs, [arguments.frames] * WORKERS, chunksize=1)
        after = pool.map(_yardstick_ms, range(WORKERS), chunksize=1)
    stages = {stage: round(statistics.mean(run[stage] for run in runs), 3) for stage in runs[0]}
    stages = {"front": round(1000 / asyncio.run(relay.frames_per_cpu_second("relay")), 3), **stages}
    total = sum(cost for stage, cost in stages.items() if not stage.startswith("render: "))
    report = {
        "benchmark": "frame_cost",
        "commit": commit(),
        **machine(),
        "frames": arguments.frames,
        "yardstick_ms": [before, after],
        "stage_cpu_ms": stages,
        "frame_cpu_ms": round(total, 2),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "frame_cost.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report))


def _yardstick_ms(_: int) -> float:
    return yardstick_ms()


if __name__ == "__main__":
    main()

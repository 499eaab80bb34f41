"""Measures the whole service on this machine and draws sessions against lateness.

One server after another is loaded with more and more paced sessions. Beside them: where the CPU time of a frame goes,
and what the front relays against a mere echo (``relay.py``). The last line is one JSON object; the same and the plot
go to ``benchmarks/results``.
"""

from __future__ import annotations

import os

# BLAS threads would fight over the cores that the workers have; numpy reads this when it is imported.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import cv2
import matplotlib as mpl
import numpy as np
from avatar_client import AvatarClient
from provenance import commit

from avatar_service.assets import asset_path
from avatar_service.audio import AudioEncoding, AudioFormat, SpeechDecoder
from avatar_service.codec.base import VideoFormat
from avatar_service.codec.registry import open_encoder
from avatar_service.commands.bench import first_frames, loaded, machine
from avatar_service.commands.load import LATE_MS, Speech, loaded_server
from avatar_service.engine.base import MotionStep, Parameters, RenderStep
from avatar_service.engine.registry import create_engine
from avatar_service.pcm import to_samples

mpl.use("Agg")
from matplotlib import pyplot as plt

RESULTS: Final = Path(__file__).parent / "results"
STAGE_FRAMES: Final = 250
YARDSTICK_RUNS: Final = 50
Out = TypeVar("Out")


class CpuWatch:
    """Collects the CPU time of this thread, stage by stage."""

    def __init__(self) -> None:
        self._times: defaultdict[str, list[float]] = defaultdict(list)

    def time(self, stage: str, work: Callable[[], Out]) -> Out:
        """Return what ``work`` returns, and remember its cost."""
        began = time.thread_time()
        outcome = work()
        self._times[stage].append(1000 * (time.thread_time() - began))
        return outcome

    def means(self) -> dict[str, float]:
        """Return the mean ms of every stage."""
        return {stage: round(statistics.mean(times), 3) for stage, times in self._times.items()}

    def fastest(self, *stages: str) -> float:
        """Return the 5th percentile, in ms, of what the stages cost together."""
        return round(float(np.percentile(np.sum([self._times[stage] for stage in stages], axis=0), 5)), 3)


def yardstick() -> float:
    """Return the median ms of a fixed piece of work, so that runs on a machine whose speed varies can be compared."""
    random = np.random.default_rng(0)
    picture = random.integers(0, 256, (1024, 1024), dtype=np.uint8)
    places = random.uniform(0, 1023, (512, 512, 2)).astype(np.float32)
    costs = []
    for _ in range(YARDSTICK_RUNS):
        began = time.thread_time()
        cv2.remap(picture, places, None, cv2.INTER_LINEAR)
        costs.append(1000 * (time.thread_time() - began))
    return round(statistics.median(costs), 3)


def stages() -> dict[str, Any]:
    """Return the CPU ms of a frame's stages within a worker, measured alone on one core."""
    engine, watch = create_engine("portrait"), CpuWatch()
    avatar, spec = engine.warmup(), engine.spec
    speech = Speech.sample()
    decoder = SpeechDecoder(AudioFormat(AudioEncoding.LINEAR16, speech.rate_hz))
    seconds = STAGE_FRAMES / spec.fps + 1
    message = round(speech.rate_hz * 0.02)
    pieces = [decoder.decode(speech.piece(k * message, message)) for k in range(round(seconds / 0.02))]
    sound = np.concatenate([np.zeros(spec.context, np.float32), to_samples(b"".join(pieces))])
    state, encoder = engine.open(avatar, Parameters()), open_encoder(VideoFormat(), avatar.frame_size, spec.fps)
    for number in range(STAGE_FRAMES):
        start = number * spec.frame_samples
        window = sound[start : start + spec.context + spec.frame_samples + spec.look_ahead]
        step = MotionStep(state, window, 1, number, spec.frame_samples + spec.look_ahead)
        [row] = watch.time("engine_motion", lambda step=step: engine.motion([step])[0])
        render = RenderStep(avatar, row, encoder.pixel_format)
        frame = watch.time("engine_render", lambda render=render: engine.render([render])[0])
        watch.time("x264", lambda frame=frame: encoder.encode(frame, keyframe=False))
    return {"engine_ms_p5": watch.fastest("engine_motion", "engine_render"), "stage_cpu_ms": watch.means()}


async def sweep(counts: list[int], seconds: float, runs: int) -> list[dict[str, Any]]:
    """Return for each number of sessions the run with the median p99 of several."""
    portrait = asset_path("astronaut.png").read_bytes()
    chosen = []
    for sessions in counts:
        found = []
        for _ in range(runs):
            async with loaded_server("--capacity", str(sessions)) as server:
                await first_frames(server.target, portrait)  # warms every worker's cache
                found.append(await loaded(server, portrait, sessions, seconds))
        found.sort(key=lambda run: run["lateness_ms"]["p99"])
        chosen.append(found[len(found) // 2])
        sys.stderr.write(f"{json.dumps(chosen[-1])}\n")
    return chosen


async def idle_figures() -> dict[str, Any]:
    """Return how soon an empty server is ready, what it measures of itself and how soon its first frames come."""
    portrait = asset_path("astronaut.png").read_bytes()
    began = time.monotonic()
    async with loaded_server() as server:
        ready_s = time.monotonic() - began
        async with AvatarClient(server.target) as client:
            capacity = (await client.capabilities()).capacity_sessions
        first = await first_frames(server.target, portrait)
    return {
        "ready_s": round(ready_s, 2),
        "measured_capacity": capacity,
        "first_frame_ms_warm": first["first_frame_ms"],
        "first_frame_ms_cold": first["first_frame_unseen_ms"],
    }


def draw(runs: list[dict[str, Any]], path: Path) -> None:
    """Draw lateness and CPU against the number of sessions."""
    sessions = [run["sessions"] for run in runs]
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(7, 7), sharex=True, layout="constrained")
    for share in ("p50", "p95", "p99", "max"):
        upper.plot(sessions, [run["lateness_ms"][share] for run in runs], marker="o", label=share)
    upper.axhline(LATE_MS, color="grey", linestyle=":", label="late")
    upper.set(ylabel="lateness of a frame, ms", yscale="log", title="Paced 512x512 H.264 sessions, portrait engine")
    upper.legend()
    for part in ("workers", "front", "load_client"):
        lower.plot(sessions, [run["cpu_ms_per_frame"][part] for run in runs], marker="o", label=part)
    lower.set(xlabel="sessions at once", ylabel="CPU ms a frame", ylim=0)
    lower.legend()
    figure.savefig(path, dpi=110)


def relay() -> dict[str, Any]:
    """Return the figures of ``relay.py``."""
    script = Path(__file__).with_name("relay.py")
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    figures: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return {name: value for name, value in figures.items() if "frames" in name or "echo" in name}


def held(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of the largest number of sessions that had every frame in time; of the smallest, if none."""
    good = [run for run in runs if not run["late_frames"] and not run["missing_frames"]]
    best = max(good, key=lambda run: run["sessions"]) if good else min(runs, key=lambda run: run["sessions"])
    return {
        "sessions": best["sessions"] if good else 0,
        "late_frames": best["late_frames"],
        "lateness_ms_p99": best["lateness_ms"]["p99"],
        "cpu_ms_per_frame": best["cpu_ms_per_frame"]["server"],
        "rss_mb_per_session": best["resident_mb_per_session"],
    }


def main() -> None:
    """Measure, write the results, and print them as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", default="2,4,6,8,10", help="numbers of sessions, with commas")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--runs", type=int, default=3, help="of each number; the median counts")
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.sessions.split(",")]
    report = {
        "benchmark": "service",
        "commit": commit(),
        **machine(),
        "yardstick_ms": [yardstick()],
        **stages(),
        **asyncio.run(idle_figures()),
        **relay(),
    }
    runs = asyncio.run(sweep(counts, arguments.seconds, arguments.runs))
    report["yardstick_ms"].append(yardstick())
    report |= {**held(runs), "runs": runs}
    RESULTS.mkdir(exist_ok=True)
    draw(report["runs"], RESULTS / "service.png")
    (RESULTS / "service.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report))


if __name__ == "__main__":
    main()

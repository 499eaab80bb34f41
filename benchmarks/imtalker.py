"""Measures the imtalker engine with full-size seeded weights: parity, a frame on this CPU, the stream, and a GPU.

The weights are made on the fly, so numbers of speed and memory are those of the public weights, and pictures are none.
Needs the recipe and the golden values in ``../shared/imtalker``. The last line is one JSON object; ``gpu`` is null
where there is none.

    python -m benchmarks.imtalker [--generation 2]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import torch

from avatar_service.assets import asset_path
from avatar_service.engine.base import Motion, MotionStep, Parameters, PrepareOptions, RenderStep, Samples
from avatar_service.engine.imtalker.device import use_threads
from avatar_service.engine.imtalker.engine import ImtalkerEngine
from avatar_service.engine.imtalker.loading import ON_GPU
from avatar_service.engine.imtalker.model import Identity, Model, Precision
from avatar_service.engine.imtalker.model.checkpoint import Checkpoint
from avatar_service.engine.imtalker.noise import frame_noise
from avatar_service.engine.imtalker.tuning import Tuning
from benchmarks.growth import peak_growth
from benchmarks.imtalker_plain import beside_plain
from benchmarks.paced import most_sessions
from benchmarks.provenance import commit
from tests.engine.imtalker.halved import LIMITS, PARTS, Judge
from tests.engine.imtalker.seeded import manifest, seeded

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "imtalker"
GFLOP_A_FRAME = 122.9
"""As counted in the public code, multiply and add as two; rewrites that need fewer do not count as faster."""
FRAMES = 5
HOP = 5
LOOK_AHEAD_MS = {"0": 0, "100": 3, "200": 5, "400": 10}
"""Frames of look-ahead by the milliseconds that they are reported as; 100 ms is no whole number of frames."""
BATCHES = (1, 2, 4, 8, 16, 32, 64)
LATE_MS = 40.0


def seeded_checkpoint(generation: int) -> Checkpoint:
    """Return full-size seeded weights."""
    parts = {part: seeded(manifest(SHARED, generation, part)) for part in ("renderer", "generator")}
    return Checkpoint(generation, parts["renderer"], parts["generator"], "seeded renderer", "seeded generator")


def seeded_model(generation: int, device: str = "cpu", precision: Precision | None = None) -> Model:
    """Return a full-size model with seeded weights."""
    return Model(seeded_checkpoint(generation), device=device, dtype=precision or Precision())


# Parity --------------------------------------------------------------------------------------------------------------


def parity(model: Model, golden: Any) -> dict[str, Any]:
    """Return how near a frame and the motion are to the reference's values."""
    identity = model.encode_portrait(golden["in.image_ref_u8"])
    latent = torch.from_numpy(golden["in.latents"][1:2])
    frame = model.render(identity, latent)[0].double().cpu().numpy()
    expected = golden["frame1.u16"] / 65535.0
    error = frame - expected
    psnr = -10 * np.log10(float(np.mean(error * error)))
    features = model.features(torch.from_numpy(golden["in.audio_i16"].astype(np.float32) / 32_768))
    _, nfe, cfg_scale = (float(value) for value in golden["sample.params"])
    noise = torch.from_numpy(golden["noise.fixed"])
    made = model.sample(identity, features, nfe=int(nfe), cfg_scale=cfg_scale, noise=noise).cpu().numpy()
    motion_error = float(np.abs(made - golden["sample.fixed.cfg"]).max())
    mean_error = float(np.abs(error).mean())
    return {
        "parity_ok": bool(psnr >= 45 and mean_error < 1e-3 and motion_error < 1e-3),
        "frame_psnr_db": round(psnr, 1),
        "frame_mean_abs": mean_error,
        "motion_max_abs": motion_error,
    }


# CPU -----------------------------------------------------------------------------------------------------------------


def on_cpu(model: Model, identity: Identity, rows: torch.Tensor) -> dict[str, Any]:
    """Return what one frame costs on all cores of this machine: the first one, and memory during all of them."""
    with peak_growth() as first:
        model.render(identity, rows[:1])
    with peak_growth() as later:
        for number in range(FRAMES):
            model.render(identity, rows[number % len(rows)][None])
    seconds = []
    for number in range(FRAMES):
        began = time.perf_counter()
        model.render(identity, rows[number % len(rows)][None])
        seconds.append(time.perf_counter() - began)
    best = median(seconds)
    return {
        "cpu_s_per_frame": round(best, 3),
        "cpu_gflops": round(GFLOP_A_FRAME / best, 1),
        "cpu_peak_mb": round(max(first["mb"], later["mb"]), 1),
        "cpu_peak_mb_first_frame": round(first["mb"], 1),
        "cpu_threads": torch.get_num_threads(),
    }


# Half precision ------------------------------------------------------------------------------------------------------


def half_precision(model: Model, generation: int, golden: Any) -> dict[str, Any]:
    """Return the relative error of each part in half precision, and whether it is within the limit."""
    judge, found = Judge(model, seeded_checkpoint(generation), golden), {}
    for part in PARTS:
        errors = {dtype: judge.error(part, dtype) for dtype in LIMITS}
        found[part] = {
            str(dtype).removeprefix("torch."): {"error": float(f"{error:.2g}"), "ok": error <= LIMITS[dtype]}
            for dtype, error in errors.items()
        }
    return found


# Stream --------------------------------------------------------------------------------------------------------------


def spoken(golden: Any) -> Samples:
    """Return the golden files' speech."""
    return np.asarray(golden["in.audio_i16"].astype(np.float32) / 32_768, np.float32)


def streamed(engine: ImtalkerEngine, avatar: Any, sound: Samples, hop: int, seed: int) -> Motion:
    """Return the rows of a segment, made hop by hop."""
    spec = engine.spec
    state = engine.open(avatar, Parameters(seed=seed))
    frames = -(-sound.size // spec.frame_samples)
    rows = []
    for first in range(0, frames, hop):
        count = min(hop, frames - first)
        length = spec.context + count * spec.frame_samples + spec.look_ahead
        padded = np.concatenate([np.zeros(spec.context, np.float32), sound, np.zeros(length, np.float32)])
        window = padded[first * spec.frame_samples :][:length]
        remaining = min(sound.size - first * spec.frame_samples, length - spec.context)
        rows.append(engine.motion([MotionStep(state, window, count, first, remaining)])[0])
    return np.concatenate(rows)


def on_stream(model: Model, picture: np.ndarray, sound: Samples) -> dict[str, Any]:
    """Return how far the stream is from the whole utterance, by look-ahead, and how quick its seams are.

    Both have the same noise, frame by frame. The distance is relative: RMS of the difference over the RMS of the
    offline motion about the portrait's own.
    """
    seed, distance, ratios = 42, {}, {}
    for name, ahead in LOOK_AHEAD_MS.items():
        engine = ImtalkerEngine(model, Tuning(look_ahead_frames=ahead, hop_frames=HOP, gated=False), {})
        avatar = engine.prepare(picture, PrepareOptions(crop=False))
        features = model.features(torch.from_numpy(sound))
        clips = -(-len(features) // 50)
        noise = torch.from_numpy(frame_noise(seed, 1, 0, 50 * clips)).reshape(clips, 50, -1)
        offline = model.sample(avatar.identity, features, nfe=10, cfg_scale=2.0, noise=noise).cpu().numpy()
        rows = streamed(engine, avatar, sound, HOP, seed)
        moved = np.sqrt(np.mean((offline - avatar.reference) ** 2))
        distance[name] = round(float(np.sqrt(np.mean((rows - offline) ** 2)) / moved), 3)
        ratios[name] = round(seam_ratio(rows, HOP), 3)
        clip_seams = round(seam_ratio(offline, 50), 3)
    return {
        "stream_distance_by_look_ahead_ms": distance,
        "seam_velocity_ratio": ratios["200"],
        "seam_velocity_ratio_by_look_ahead_ms": ratios,
        "seam_velocity_ratio_offline": clip_seams,
    }


def seam_ratio(rows: Motion, hop: int) -> float:
    """Return the 95th percentile of the velocity at borders of hops over the 99th of that inside hops."""
    speed = np.linalg.norm(np.diff(rows.astype(np.float64), axis=0), axis=1)
    border = np.arange(1, len(speed) + 1) % hop == 0
    return float(np.percentile(speed[border], 95) / np.percentile(speed[~border], 99))


# GPU -----------------------------------------------------------------------------------------------------------------


def on_gpu(generation: int, picture: np.ndarray, sound: Samples) -> dict[str, Any] | None:
    """Return what a GPU does, or ``None`` without one."""
    if not torch.cuda.is_available():
        return None
    began = time.perf_counter()
    model = seeded_model(generation, "cuda", ON_GPU)
    loaded_s = time.perf_counter() - began
    began = time.perf_counter()
    engine = ImtalkerEngine(model, Tuning(hop_frames=HOP), {})
    avatar = engine.warmup()
    ready_s = time.perf_counter() - began
    avatar = engine.prepare(picture, PrepareOptions(crop=False))
    before = torch.cuda.memory_allocated()
    kept = [engine.prepare(picture, PrepareOptions(crop=False)) for _ in range(8)]
    mb = (torch.cuda.memory_allocated() - before) / len(kept) / 1e6
    return {
        "name": torch.cuda.get_device_name(),
        "frames_per_s": {str(batch): round(frames_per_s(engine, avatar, batch), 1) for batch in BATCHES},
        **most_sessions(engine, avatar, sound, LATE_MS),
        "first_speech_ms": round(first_speech_ms(engine, avatar, sound), 1),
        "mb_per_session": round(mb, 1),
        "ready_s": round(ready_s, 1),
        "seeded_weights_s": round(loaded_s, 1),
    }


def frames_per_s(engine: ImtalkerEngine, avatar: Any, batch: int) -> float:
    """Return the frames a second that rendering makes in batches of this size."""
    rows = np.random.default_rng(1).standard_normal((batch, 32)).astype(np.float32)
    steps = [RenderStep(avatar, row) for row in rows]
    engine.render(steps)
    calls, began = 0, time.perf_counter()
    while time.perf_counter() - began < 2:
        engine.render(steps)
        calls += 1
    return calls * batch / (time.perf_counter() - began)


def first_speech_ms(engine: ImtalkerEngine, avatar: Any, sound: Samples) -> float:
    """Return the median ms from the last sample that the first frame needs to that frame."""
    spec, costs = engine.spec, []
    length = spec.context + HOP * spec.frame_samples + spec.look_ahead
    window = np.concatenate([np.zeros(spec.context, np.float32), sound])[:length]
    for seed in range(10):
        state = engine.open(avatar, Parameters(seed=seed))
        began = time.perf_counter()
        rows = engine.motion([MotionStep(state, window, HOP, 0, length - spec.context)])[0]
        engine.render([RenderStep(avatar, rows[0])])
        costs.append(1000 * (time.perf_counter() - began))
    return median(costs)


def machine() -> dict[str, Any]:
    """Return what was measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"machine": model, "cores": cores, "torch": torch.__version__, "commit": commit()}


def main() -> None:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generation", type=int, default=2, choices=(1, 2))
    options = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit(f"the recipe of the weights is not at {SHARED}")
    use_threads(0)
    picture = np.asarray(cv2.imread(str(asset_path("astronaut.png")), cv2.IMREAD_COLOR_RGB), np.uint8)
    model = seeded_model(options.generation)
    with np.load(SHARED / f"golden_gen{options.generation}.npz") as golden:
        sound = spoken(golden)
        rows = torch.from_numpy(golden["in.latents"])
        cost = on_cpu(model, model.encode_portrait(picture), rows)
        figures = {**parity(model, golden), **cost, **on_stream(model, picture, sound)}
        if options.generation == 2:
            figures["plain"] = beside_plain(model, seeded_checkpoint(2).renderer, golden, FRAMES)
            figures["half_precision"] = half_precision(model, options.generation, golden)
    figures = {"benchmark": "imtalker", **machine(), "generation": options.generation, **figures}
    figures["gpu"] = on_gpu(options.generation, picture, sound)
    target = ROOT / "benchmarks" / "results" / "imtalker.json"
    target.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

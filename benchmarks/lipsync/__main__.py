"""Evaluates lip-sync on what a viewer gets: films that the service made, decoded and measured frame by frame.

Held-out synthetic voices through several portraits, real speakers beside their own mouths, silence, and ten minutes in
one session; ``docs/lipsync.md`` says how each figure is made. The last line is one JSON object; the same and the plot
go to ``benchmarks/results``.
"""

from __future__ import annotations

import os

# BLAS threads would fight over the cores that the workers have; numpy reads this when it is imported.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import asyncio
import json
import multiprocessing
import tempfile
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from avatar_service.commands.bench import machine
from avatar_service.commands.load import loaded_server
from benchmarks.lipsync import drift, material, real, silence, synthetic
from benchmarks.lipsync.cost import engine_ms_p5
from benchmarks.lipsync.drawing import draw
from benchmarks.lipsync.drift import Recital
from benchmarks.lipsync.ruler import Ruler, measure_ruler
from benchmarks.lipsync.script import Stretch
from benchmarks.lipsync.studio import Shot, Sound, Take, shoot
from benchmarks.provenance import commit

RESULTS: Final = Path(__file__).parents[1] / "results"
SESSIONS: Final = 4
KEYS: Final = (
    *("synthetic_open_r", "synthetic_width_r", "closure_f1", "synthetic_lag_ms"),
    *("real_gap_r", "real_width_r", "real_lag_ms", "silence_open_fraction", "drift_frames"),
)
"""The figures that stand first in the report."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything.

    Attributes:
        portraits: at most.
        voices: at most.
        silence_s: seconds of each kind of silence.
        part_s: seconds of the recital's part.
        parts: of the recital.
    """

    portraits: int = 4
    voices: int = 7
    silence_s: float = 5.0
    part_s: int = 60
    parts: int = 10


QUICK: Final = Plan(portraits=2, voices=3, silence_s=3.0, part_s=15, parts=3)


@dataclass(frozen=True, slots=True)
class Scenes:
    """What was filmed."""

    rulers: dict[str, Ruler]
    spoken: list[synthetic.Scene]
    clips: list[real.Scene]
    quiet: list[silence.Scene]
    long: drift.Scene

    def report(self) -> dict[str, Any]:
        """Return all figures but the cost: the ones to be compared first, then each trial's own."""
        trials = {
            "synthetic": synthetic.figures(self.spoken),
            "real": real.figures(self.clips),
            "silence": silence.figures(self.quiet),
            "drift": drift.figures(self.long),
        }
        figures = {name: figure for trial in trials.values() for name, figure in trial.items() if name in KEYS}
        detector = {name: ruler.report() for name, ruler in self.rulers.items()}
        return {**figures, **trials, "detector": detector}


async def film_all(plan: Plan, target: str, cores: Executor, folder: Path) -> Scenes:
    """Make and watch the films of all trials on the server at ``target``, as many at a time as there are cores."""
    loop = asyncio.get_running_loop()

    def film(portrait: Path, sound: Sound | Path, watched_s: tuple[Stretch, ...] = ()) -> asyncio.Future[Shot]:
        return loop.run_in_executor(cores, shoot, Take(portrait, sound, watched_s), target)

    portraits = material.portraits()[: plan.portraits]
    scripts = material.scripts()[: plan.voices]
    cases = silence.cases(scripts[0], plan.silence_s)
    recital = Recital(material.recital(plan.part_s), plan.part_s, plan.parts)
    # The longest one first, so that nothing waits for it alone in the end.
    long = film(portraits[0], recital.sound, recital.watched_s)
    studies = [loop.run_in_executor(cores, real.study, path, folder) for path in material.clips()]
    measuring = {path.stem: loop.run_in_executor(cores, measure_ruler, path) for path in portraits}
    spoken = [(path.stem, script, film(path, script.sound)) for path in portraits for script in scripts]
    quiet = [(path.stem, case, film(path, case.sound, case.stretches)) for path in portraits for case in cases]
    clips = [await study for study in studies]
    mimed = [(clip, film(clip.portrait, clip.path)) for clip in clips]
    rulers = {name: await ruler for name, ruler in measuring.items()}
    return Scenes(
        rulers,
        [synthetic.Scene(name, script, (await shot).film, rulers[name]) for name, script, shot in spoken],
        [real.Scene(clip, (await shot).film) for clip, shot in mimed],
        [silence.Scene(name, case, (await shot).film, rulers[name].rest) for name, case, shot in quiet],
        drift.Scene(recital, await long),
    )


async def evaluate(plan: Plan) -> Scenes:
    """Start a server and film everything."""
    spawn = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=spawn) as cores,
    ):
        async with loaded_server("--capacity", str(SESSIONS)) as server:
            return await film_all(plan, server.target, cores, Path(folder))


def main() -> None:
    """Measure, write the results, and print them as the last line."""
    parser = argparse.ArgumentParser(prog="lipsync", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything, in about a minute; writes nothing")
    arguments = parser.parse_args()
    engine_ms = engine_ms_p5()
    scenes = asyncio.run(evaluate(QUICK if arguments.quick else Plan()))
    report = {
        "benchmark": "lipsync",
        "commit": commit(),
        **machine(),
        "quick": arguments.quick,
        "engine_ms_p5": engine_ms,
        **scenes.report(),
    }
    folder = Path(tempfile.gettempdir()) if arguments.quick else RESULTS
    draw(folder / "lipsync.png", scenes.rulers, scenes.spoken, scenes.clips, scenes.quiet, scenes.long)
    (folder / "lipsync.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report))


if __name__ == "__main__":
    main()

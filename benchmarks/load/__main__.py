"""Measures the service under load and fault, part by part; ``--parts`` names some, by default all are run.

The last line is one JSON object: the figures that a release is judged by, each from the last run of its part. The same,
with every run whole, its own commit, machine and sizes, goes to ``benchmarks/results/load.json``, and a plot of
sessions against lateness and CPU beside it; parts that were not run keep what they had there.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Final

from provenance import commit
from service import draw

from avatar_service.commands.bench import machine
from load.bad_inputs import bad_inputs
from load.churn import churn
from load.degradation import degradation
from load.losses import kills, resume
from load.mix import mix
from load.overload import overload
from load.plan import RESULTS, Plan
from load.restarts import peers, restarts
from load.sessions import front, sessions
from load.soak import soak

PARTS: Final[dict[str, Callable[[Plan], Awaitable[dict[str, Any]]]]] = {
    "sessions": sessions,
    "mix": mix,
    "overload": overload,
    "degradation": degradation,
    "front": front,
    "churn": churn,
    "kills": kills,
    "resume": resume,
    "restarts": restarts,
    "peers": peers,
    "bad_inputs": bad_inputs,
    "soak": soak,
}
FIGURES: Final = {
    "sessions": ("sessions", "late_frames", "lateness_ms_p99"),
    "mix": ("mix_frames_missing", "mix_late_frames"),
    "overload": ("overload_p99_ratio", "refusal_ms_max"),
    "degradation": ("strict_sessions", "degradable_sessions", "degraded_p99_ms"),
    "front": ("relay_vs_echo",),
    "churn": ("churn_sessions", "churn_rss_mib", "churn_fds", "churn_tasks", "churn_threads", "churn_directories"),
    "soak": ("soak_rss_slope_mib_per_h",),
    "kills": ("kills", "kill_frames_lost_elsewhere"),
    "resume": ("resume_s_p95",),
    "restarts": ("restarts_cut",),
    "peers": ("stopped_client_s_max", "killed_client_s_max"),
    "bad_inputs": ("bad_inputs", "bad_inputs_wrong", "good_frames_lost"),
}
"""What is reported of each part."""


def report(runs: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of all runs; ``None`` for those of parts that never ran."""
    return {name: runs.get(part, {}).get(name) for part, names in FIGURES.items() for name in names}


async def run(part: str, plan: Plan) -> dict[str, Any]:
    """Return the figures of one part and where they come from."""
    began, now = time.monotonic(), dt.datetime.now(dt.UTC)
    found = await PARTS[part](plan)
    origin = {"commit": commit(), **machine(), "began": now.isoformat(timespec="seconds")}
    return {**origin, "wall_s": round(time.monotonic() - began, 1), "plan": asdict(plan), **found}


def main() -> None:
    """Measure, write the results after each part, and print the figures as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS), help="with commas; default: %(default)s")
    parser.add_argument("--engine", default="portrait")
    parser.add_argument("--sessions", type=int, default=0, help="default: each part's own")
    parser.add_argument("--seconds", type=float, default=0.0, help="default: each part's own")
    parser.add_argument("--rounds", type=int, default=0, help="of faults; default: each part's own")
    parser.add_argument("--no-save", action="store_true", help="leave the results as they are")
    options = parser.parse_args()
    names = options.parts.split(",")
    if unknown := set(names) - set(PARTS):
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    plan = Plan(options.engine, options.sessions, options.seconds, options.rounds)
    path = RESULTS / "load.json"
    runs = json.loads(path.read_text())["runs"] if path.exists() and not options.no_save else {}
    for name in names:
        runs[name] = asyncio.run(run(name, plan))
        sys.stderr.write(f"{name}: {json.dumps(runs[name])}\n")
        if not options.no_save:
            path.write_text(json.dumps({"benchmark": "load", **report(runs), "runs": runs}, indent=2) + "\n")
            if name == "sessions":
                draw(runs[name]["runs"], RESULTS / "load.png")
    print(json.dumps({"benchmark": "load", **report(runs)}))


if __name__ == "__main__":
    main()

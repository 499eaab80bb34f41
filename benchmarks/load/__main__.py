"""Measures the service under load and fault, part by part; ``--parts`` names some, by default all are run.

The last line is one JSON object: the figures that a release is judged by, each from the last run of its part, and which
of them miss what was promised; a part that was run and misses any makes the exit status 1. The same, with every run
whole, its own commit, machine and sizes, goes to ``benchmarks/results/load.json``, and a plot of sessions against
lateness and CPU beside it; parts that were not run keep what they had there.
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
from load.promises import FIGURES, report
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
    found = report(runs)
    print(json.dumps({"benchmark": "load", **found}))
    sys.exit(1 if set(found["missed"]) & {figure for name in names for figure in FIGURES[name]} else 0)


if __name__ == "__main__":
    main()

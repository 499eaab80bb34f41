"""Fuzzes everything that reads what strangers send, one target after another, each in a process of its own.

Coverage guides it through our own code and the parsers in Python; what is native below is reached by mutation of good
examples. What breaks a promise, takes over ten seconds or over 2 GiB is written to ``build/fuzz`` and ends the run with
exit code 1. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path("build/fuzz")
GUIDES: Final = {
    "picture": ["avatar_service.picture", "PIL"],
    "recording": ["avatar_service.recording"],
    "chunk": ["avatar_service.gateway.feed", "avatar_service.recording", "email"],
    "speech": ["avatar_service.audio", "avatar_service.resampler"],
    "opus": ["avatar_service.audio"],
    "request": ["avatar_service.rpc", "avatar_service.session.events", "avatar_service.codec.base"],
    "offer": ["avatar_service.gateway.live.offer", "aiortc.sdp"],
    "word": ["avatar_service.gateway.live.words", "json"],
    "form": ["avatar_service.gateway", "python_multipart", "starlette.formparsers"],
}
"""Of each target, the code whose coverage guides the fuzzing."""
SLOW_S: Final = 10
MEMORY_MIB: Final = 2048
LONGEST_BYTES: Final = 16_384
_DONE: Final = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


def fuzz(name: str, seconds: int) -> dict[str, Any]:
    """Fuzz one target in a process of its own; return how many inputs it took and the files of those that failed."""
    failures = FOLDER / "failures" / name
    failures.mkdir(parents=True, exist_ok=True)
    known = set(failures.iterdir())
    command = [sys.executable, "-m", "fuzz", "--only", name, "--seconds", str(seconds)]
    began = time.monotonic()
    run = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    found = sorted(str(path) for path in set(failures.iterdir()) - known)
    executed = _DONE.search(run.stderr)
    if run.returncode or found:
        told = [line for line in run.stderr.splitlines() if not line.startswith("INFO: Instrumenting")]
        sys.stderr.write("\n".join([name, run.stdout[-4_000:], *told[-60:], ""]))
    return {
        "inputs": int(executed.group(1)) if executed else 0,
        "seconds": round(time.monotonic() - began, 1),
        "exit": run.returncode,
        "failures": found,
    }


def run_one(name: str, seconds: int) -> None:
    """Fuzz one target in this process, which libFuzzer ends."""
    import atheris  # noqa: PLC0415 - the rest works without it

    with atheris.instrument_imports(include=GUIDES[name]):
        from fuzz import seeds, targets  # noqa: PLC0415 - whose imports are to be instrumented

    corpus = FOLDER / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds.of(name)):
        (corpus / f"seed{number:02}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST_BYTES}",
        f"-timeout={SLOW_S}",
        f"-rss_limit_mb={MEMORY_MIB}",
        f"-artifact_prefix={FOLDER}/failures/{name}/",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], targets.TARGETS[name])
    logging.disable()  # a line for each refusal would be most of the work
    atheris.Fuzz()


def main() -> int:
    """Fuzz, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=90, help="in all, or of the only target (default: %(default)s)")
    parser.add_argument("--targets", default=",".join(GUIDES), help="with commas (default: %(default)s)")
    parser.add_argument("--only", choices=tuple(GUIDES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        run_one(options.only, options.seconds)
    names = options.targets.split(",")
    found = {name: fuzz(name, max(1, options.seconds // len(names))) for name in names}
    failed = sum(bool(run["exit"] or run["failures"]) for run in found.values())
    sys.stdout.write(json.dumps({"fuzz_failed": failed, "targets": found}) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

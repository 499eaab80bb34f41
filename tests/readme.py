"""Checks that the commands of the README exist (``check``), or runs them in order (``run``). Not a pytest module.

A block is one script, so that its lines may share variables. A command that serves is left running in the background
until the end, and is awaited before the next block.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from click.testing import CliRunner

from avatar_service.cli import main as cli

ROOT = Path(__file__).resolve().parent.parent
SERVES = {"make run": (50051, 9999)}
OTHERS = {"curl", "cut"}
RUN_BY_THE_GATE_ITSELF = {"make check", "make test"}
READY_WITHIN_S = 60
DONE_WITHIN_S = 300


def blocks() -> list[list[str]]:
    """Return the lines of each of the README's ``sh`` blocks."""
    found = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), flags=re.DOTALL | re.MULTILINE)
    return [[line for line in block.splitlines() if line.strip()] for block in found]


def check() -> Iterator[str]:
    """Yield what is wrong with the README's commands."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for command in (line for block in blocks() for line in block):
        bare = re.sub(r"^\w+=\$\((.*)\)$", r"\1", command)
        for part in bare.split(" | "):
            program, *words = shlex.split(part)
            if program == "make":
                yield from (f"{command}: no target {word}" for word in words if word not in targets)
            elif program.endswith("/avatar-service"):
                yield from _wrong_options(command, words)
            elif program.endswith("/python"):
                yield from (f"{command}: no file {words[0]}" for _ in "x" if not (ROOT / words[0]).exists())
            elif program not in OTHERS:
                yield f"{command}: {program} is not a program of this project"


def _wrong_options(command: str, words: list[str]) -> Iterator[str]:
    answer = CliRunner().invoke(cli, [words[0], "--help"])
    if answer.exit_code:
        yield f"{command}: no command {words[0]}"
    for word in words[1:]:
        if word.startswith("-") and word != "--help" and not re.search(rf"(^|[ ,]){re.escape(word)}\b", answer.output):
            yield f"{command}: {words[0]} has no option {word}"


def run() -> Iterator[str]:
    """Run the blocks in order; yield those that fail."""
    servers = []
    try:
        for block in blocks():
            script = "\n".join(line for line in block if line not in RUN_BY_THE_GATE_ITSELF)
            sys.stdout.write(f"--- {script}\n")
            sys.stdout.flush()
            if script in SERVES:
                servers.append(subprocess.Popen(shlex.split(script), cwd=ROOT, start_new_session=True))
                for port in SERVES[script]:
                    _await_port(port)
            elif _fails(script):
                yield f"{script}: failed"
    finally:
        for server in servers:
            os.killpg(server.pid, signal.SIGTERM)  # make and what it started
            server.wait(READY_WITHIN_S)


def _fails(script: str) -> bool:
    done = subprocess.run(["bash", "-xeo", "pipefail", "-c", script], cwd=ROOT, check=False, timeout=DONE_WITHIN_S)
    return done.returncode != 0


def _await_port(port: int) -> None:
    began = time.monotonic()
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() - began > READY_WITHIN_S:
                raise
            time.sleep(0.1)
        else:
            return


if __name__ == "__main__":
    faults = list({"check": check, "run": run}[sys.argv[1]]())
    sys.exit("\n".join(faults) or 0)

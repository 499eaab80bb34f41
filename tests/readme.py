"""Checks that the commands of the README exist (``check``), or runs them in order (``run``). Not a pytest module.

A command that serves is left running in the background until the end, and is awaited before the next one.
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
SERVES = {"make run": 50051}
RUN_BY_THE_GATE_ITSELF = {"make check", "make test"}
READY_WITHIN_S = 60
DONE_WITHIN_S = 300


def commands() -> list[str]:
    """Return the lines of the README's ``sh`` blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), flags=re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def check() -> Iterator[str]:
    """Yield what is wrong with the README's commands."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for command in commands():
        for part in command.split(" | "):
            program, *words = shlex.split(part)
            if program == "make":
                yield from (f"{command}: no target {word}" for word in words if word not in targets)
            elif program.endswith("/avatar-service"):
                yield from _wrong_options(command, words)
            elif program.endswith("/python"):
                yield from (f"{command}: no file {words[0]}" for _ in "x" if not (ROOT / words[0]).exists())
            else:
                yield f"{command}: {program} is not a program of this project"


def _wrong_options(command: str, words: list[str]) -> Iterator[str]:
    answer = CliRunner().invoke(cli, [words[0], "--help"])
    if answer.exit_code:
        yield f"{command}: no command {words[0]}"
    for word in words[1:]:
        if word.startswith("-") and word != "--help" and not re.search(rf"(^|[ ,]){re.escape(word)}\b", answer.output):
            yield f"{command}: {words[0]} has no option {word}"


def run() -> Iterator[str]:
    """Run the commands in order; yield those that fail."""
    servers = []
    try:
        for command in commands():
            if command in RUN_BY_THE_GATE_ITSELF:
                continue
            sys.stdout.write(f"--- {command}\n")
            sys.stdout.flush()
            if command in SERVES:
                servers.append(subprocess.Popen(shlex.split(command), cwd=ROOT, start_new_session=True))
                _await_port(SERVES[command])
            elif _fails(command):
                yield f"{command}: failed"
    finally:
        for server in servers:
            os.killpg(server.pid, signal.SIGTERM)  # make and what it started
            server.wait(READY_WITHIN_S)


def _fails(command: str) -> bool:
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=ROOT, check=False, timeout=DONE_WITHIN_S)
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

"""The command line: quick help, options from the environment, exit codes, and a server that stops when told."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from avatar_service import __version__
from avatar_service.cli import main


def test_help_lists_the_commands() -> None:
    """Every command is there, and so is the version."""
    help_text = CliRunner().invoke(main, ["--help"]).stdout
    assert all(f"  {name} " in help_text for name in ("animate", "call", "demo", "gateway", "serve"))
    assert __version__ in CliRunner().invoke(main, ["--version"]).stdout


def test_help_imports_nothing_heavy() -> None:
    """Help is instant because numpy, av, grpc and OpenCV stay out; the BLAS setting is made before them."""
    code = (
        "import os, sys, avatar_service.cli\n"
        "assert not {'numpy', 'av', 'grpc', 'cv2', 'PIL'} & set(sys.modules)\n"
        "assert os.environ['OPENBLAS_NUM_THREADS'] == os.environ['OMP_NUM_THREADS'] == '1'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30, env={})


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nope"],
        ["animate"],
        ["animate", "a", "b"],
        ["animate", "a", "b", "-o", "c", "--size", "4000"],
        ["animate", "a", "b", "-o", "c", "--seed", "-1"],
        ["serve", "--port", "70000"],
        ["serve", "--capacity", "-1"],
        ["serve", "--engine", "zork"],
        ["call"],
    ],
    ids=" ".join,
)
def test_misuse_is_exit_code_2(arguments: list[str]) -> None:
    """What the user typed wrong is a usage error."""
    assert CliRunner().invoke(main, arguments).exit_code == 2


def test_options_come_from_the_environment(tmp_path: Path) -> None:
    """AVATAR_ANIMATE_OUTPUT stands for -o, AVATAR_SERVE_PORT for --port, and so on."""
    runner = CliRunner(env={"AVATAR_ANIMATE_OUTPUT": str(tmp_path / "out.mp4"), "AVATAR_SERVE_PORT": "70000"})
    assert "none.png" in runner.invoke(main, ["animate", "none.png", "none.wav"]).stderr
    assert "70000" in runner.invoke(main, ["serve"]).stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_runs_until_told_to_stop(number: signal.Signals) -> None:
    """The server says where it listens, answers there, and ends with exit code 0 after a signal."""
    command = [
        sys.executable,
        "-m",
        "avatar_service",
        "serve",
        "--no-gateway",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--engine",
        "fake",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            port = next(found[1] for line in server.stderr if (found := re.search(r"127\.0\.0\.1:(\d+)", line)))
            answer = CliRunner().invoke(main, ["call", f"127.0.0.1:{port}", "grpc.health.v1.Health/Check"])
            assert "SERVING" in answer.stdout
            server.send_signal(number)
            server.communicate(timeout=20)
        finally:
            server.kill()
    assert server.returncode == 0


def test_address_that_cannot_be_used_is_one_line() -> None:
    """A port that another server has is told without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        options = ["--host", "127.0.0.1", "--port", str(port), "--engine", "fake"]
        result = CliRunner().invoke(main, ["serve", *options])
    assert result.exit_code == 1
    assert str(port) in result.stderr.splitlines()[-1]


def test_serve_says_what_an_engine_lacks(tmp_path: Path) -> None:
    """One line and exit code 1, whatever process found it out."""
    words = [
        "serve",
        "--port",
        "0",
        "--no-gateway",
        "--engine",
        "imtalker",
        "--engine-option",
        f"checkpoint={tmp_path}",
    ]
    run = [sys.executable, "-m", "avatar_service", *words]
    done = subprocess.run(run, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 1
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("Error: ")
    assert "pip install 'avatar-service[imtalker]'" in line or str(tmp_path) in line


def test_engine_options_are_pairs() -> None:
    """What is none is a usage error, from the environment too."""
    assert CliRunner().invoke(main, ["serve", "--engine-option", "size"]).exit_code == 2
    runner = CliRunner(env={"AVATAR_SERVE_ENGINE_OPTION": "size=64 colour"})
    assert "'colour' is not NAME=VALUE" in runner.invoke(main, ["serve"]).stderr

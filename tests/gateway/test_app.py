"""The gateway as a process: started with the service, or alone, and ended with it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.alone


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of the program."""
    command = [sys.executable, "-m", "avatar_service", *arguments]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, **environment}) as process:
        try:
            yield process
        finally:
            process.kill()


def health(port: int) -> dict[str, object]:
    """Ask until there is an answer."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                body: dict[str, object] = json.load(answer)
                return body
        except urllib.error.HTTPError as error:
            return json.load(error)
        except OSError:
            if time.monotonic() > deadline:
                raise


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_service_starts_a_gateway_that_ends_with_it(number: signal.Signals) -> None:
    """One process more, which serves HTTP, restarts if it dies, and is gone however the service ends."""
    port, grpc_port = free_port(), free_port()
    options = ("--host", "127.0.0.1", "--port", str(grpc_port), "--gateway-port", str(port), "--workers", "0")
    with running("serve", *options, "--engine", "fake", "--drain-grace", "0.1") as server:
        assert health(port)["status"] == "healthy"
        (gateway,) = [each for each in psutil.Process(server.pid).children() if "gateway" in each.cmdline()]
        server.send_signal(number)
        server.wait(20)
        _, alive = psutil.wait_procs([gateway], timeout=10)
        assert not alive


def test_a_gateway_that_dies_is_started_again() -> None:
    """Another process answers at the same port."""
    port, grpc_port = free_port(), free_port()
    options = ("--host", "127.0.0.1", "--port", str(grpc_port), "--gateway-port", str(port), "--workers", "0")
    with running("serve", *options, "--engine", "fake", "--drain-grace", "0.1") as server:
        health(port)
        (first,) = [each for each in psutil.Process(server.pid).children() if "gateway" in each.cmdline()]
        os.kill(first.pid, signal.SIGKILL)
        psutil.wait_procs([first], timeout=10)
        assert health(port)["status"] == "healthy"
        (second,) = [each for each in psutil.Process(server.pid).children() if "gateway" in each.cmdline()]
        assert second.pid != first.pid
        server.terminate()
        assert server.wait(20) == 0


def test_a_gateway_alone_says_that_there_is_no_service() -> None:
    """It serves, and is unhealthy; a signal ends it well."""
    port = free_port()
    with running("gateway", "--server", "127.0.0.1:1", "--host", "127.0.0.1", "--port", str(port)) as gateway:
        assert health(port)["status"] == "unhealthy"
        gateway.terminate()
        assert gateway.wait(20) == 0


def test_what_a_killed_gateway_left_is_deleted_by_the_next_one(tmp_path: Path) -> None:
    """Its folder holds portraits; the folder of one that lives, and what is not a gateway's, stays."""
    (tmp_path / "avatar-gateway-mine").mkdir()
    ports = [free_port(), free_port(), free_port()]

    def options(port: int) -> tuple[str, ...]:
        return ("gateway", "--server", "127.0.0.1:1", "--host", "127.0.0.1", "--port", str(port))

    with running(*options(ports[0]), "--folder", str(tmp_path)) as killed:
        health(ports[0])
        (left,) = [each for each in tmp_path.iterdir() if each.name != "avatar-gateway-mine"]
        killed.kill()
        killed.wait(20)
    with running(*options(ports[1]), "--folder", str(tmp_path)):
        health(ports[1])
        assert not left.exists()
        folders = set(tmp_path.iterdir())
        with running(*options(ports[2]), "--folder", str(tmp_path)):
            health(ports[2])
            assert folders < set(tmp_path.iterdir())


def test_the_environment_names_the_gateway_s_port() -> None:
    """AVATAR_GATEWAY_PORT reaches a gateway that ``serve`` starts."""
    port, grpc_port = free_port(), free_port()
    options = ("--host", "127.0.0.1", "--port", str(grpc_port), "--workers", "0", "--engine", "fake")
    with running("serve", *options, "--drain-grace", "0.1", AVATAR_GATEWAY_PORT=str(port)):
        assert health(port)["status"] == "healthy"

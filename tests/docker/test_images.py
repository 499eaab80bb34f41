"""The images and the compose file name only what exists, and the commands that they run serve."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
BIN = Path(sys.executable).parent
STEPS = (DOCKER / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def _instructions(name: str) -> list[str]:
    return re.findall(rf"^\s*{name} (.*)$", STEPS, re.MULTILINE)


def _pins() -> dict[str, str]:
    lines = (DOCKER / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def test_the_dockerfile_lints() -> None:
    """Hadolint has nothing to say."""
    linter = BIN / "hadolint"
    if not linter.is_file():
        pytest.skip("hadolint is not installed")
    ran = subprocess.run([linter, DOCKER / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.returncode) == ("", 0)


def test_every_file_that_the_build_names_exists() -> None:
    """Files beside the Dockerfile, and what is copied or built out of the tree."""
    named = {word for step in _instructions("RUN") for word in re.findall(r"(?:docker|\./)[\w./-]+", step)}
    copied = {words.split()[0] for words in _instructions("COPY") if not words.startswith("--from")}
    assert {"docker/constraints.txt", "./clients/python"} <= named
    assert copied == {"."}
    assert all((ROOT / name).exists() for name in named | copied)


def test_every_stage_that_is_named_exists() -> None:
    """In COPY --from, and as the target of the compose file's build."""
    stages = set(re.findall(r"^FROM .* AS (\S+)$", STEPS, re.MULTILINE))
    wanted = set(re.findall(r"COPY --from=(\S+)", STEPS)) | {each["build"]["target"] for each in SERVICES.values()}
    assert wanted <= stages
    assert re.findall(r"^FROM .* AS (\S+)$", STEPS, re.MULTILINE)[-1] == "cpu"


def test_images_are_pinned_and_run_as_nobody_special() -> None:
    """A tag with three numbers, and a user by number."""
    bases = {words.split()[0] for words in _instructions("FROM")} & set(re.findall(r"\S+:\S+", STEPS))
    assert bases
    assert all(re.search(r":\d+\.\d+\.\d+", base) for base in bases)
    assert _instructions("USER") == ["10001"]


def test_every_requirement_is_pinned_within_its_range() -> None:
    """What both projects require is in the constraints, at a version that they accept."""
    pins = _pins()
    for project in (ROOT / "pyproject.toml", ROOT / "clients" / "python" / "pyproject.toml"):
        for line in tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]:
            requirement = Requirement(line)
            if requirement.name != "avatar-client":
                assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), line


def test_the_build_s_context_has_what_it_needs_and_no_media() -> None:
    """Nothing that a wheel is built from is ignored, and built or downloaded things are."""
    ignored = set((ROOT / ".dockerignore").read_text(encoding="utf-8").split())
    assert not ignored & {"avatar_service", "clients", "docker", "setup.py", "pyproject.toml", "LICENSE", "NOTICE"}
    assert {".git", ".venv*", "**/node_modules", "build", "dist"} <= ignored


def test_the_compose_file_closes_what_can_be_closed() -> None:
    """Both containers have no rights to gain, no place to write and bounds; only the gateway is seen, by this host."""
    for service in SERVICES.values():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["mem_limit"]
        assert service["pids_limit"]
    assert "ports" not in SERVICES["service"]
    assert SERVICES["gateway"]["ports"] == ["127.0.0.1:9999:9999"]
    assert SERVICES["gateway"]["depends_on"] == {"service": {"condition": "service_healthy"}}


def test_takes_lie_in_a_volume_that_the_user_may_write() -> None:
    """The gateway's folder is where the volume is mounted, and the image makes it for the user."""
    volume, mount = SERVICES["gateway"]["volumes"][0].split(":")
    assert volume in COMPOSE["volumes"]
    command = SERVICES["gateway"]["command"]
    assert command[command.index("--folder") + 1] == mount
    assert any(f"--owner=avatar {mount}" in step for step in _instructions("RUN"))


def test_compose_and_image_ask_for_health_alike() -> None:
    """The image's own check is the service's."""
    (own,) = re.findall(r"HEALTHCHECK .*? CMD (\[.*\])", STEPS)
    assert ["CMD", *json.loads(own)] == SERVICES["service"]["healthcheck"]["test"]


def test_the_commands_serve_and_are_found_healthy(tmp_path: Path) -> None:
    """Started as the containers start them, service and gateway become healthy and pass the smoke script; then not."""
    ports = {"service:50051": f"127.0.0.1:{_free_port()}", "localhost:9999": f"127.0.0.1:{_free_port()}"}
    ports["localhost:50051"] = ports["service:50051"]
    grpc_port, http_port = (ports[name].rpartition(":")[2] for name in ("service:50051", "localhost:9999"))

    def words(command: list[str]) -> list[str]:
        text = shlex.join(command).replace("/takes", str(tmp_path))
        for name, address in ports.items():
            text = text.replace(name, address)
        return shlex.split(text)

    def is_healthy(name: str) -> bool:
        kind, *check = words(SERVICES[name]["healthcheck"]["test"])
        assert kind == "CMD"
        return subprocess.run(check, env=_environment(), capture_output=True, timeout=20, check=False).returncode == 0

    with ExitStack() as running:
        assert not is_healthy("service")
        serve = [*words(SERVICES["service"]["command"]), "--host", "127.0.0.1", "--port", grpc_port, "--engine", "fake"]
        running.enter_context(_running(serve))
        _await(lambda: is_healthy("service"))
        assert not is_healthy("gateway")
        gateway = [*words(SERVICES["gateway"]["command"]), "--host", "127.0.0.1", "--port", http_port]
        running.enter_context(_running(gateway))
        _await(lambda: is_healthy("gateway"))
        assert any(tmp_path.iterdir())
        smoke = [sys.executable, ROOT / "clients" / "smoke.py", "--server", f"http://{ports['localhost:9999']}"]
        ran = subprocess.run(smoke, capture_output=True, text=True, timeout=60, check=False)
        assert (ran.returncode, ran.stderr) == (0, "")
    assert not any(tmp_path.iterdir())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


@contextmanager
def _running(command: list[str]) -> Iterator[None]:
    (entry,) = (json.loads(words)[0] for words in _instructions("ENTRYPOINT"))
    with subprocess.Popen([BIN / entry, *command], env=_environment(), stderr=subprocess.DEVNULL) as server:
        try:
            yield
        finally:
            server.terminate()
            assert server.wait(20) in {0, -signal.SIGTERM}  # uvicorn ends, then raises the signal anew


def _await(condition: Any) -> None:
    deadline = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < deadline

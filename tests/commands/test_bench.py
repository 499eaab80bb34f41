"""The bench: what it measures on a small load, and how it fails."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator

import grpc
import numpy as np
import psutil
import pytest
from avatar_client import AvatarRpcError
from click.testing import CliRunner

from avatar_service.cli import main
from avatar_service.commands import bench
from avatar_service.commands.load import Outcome, Speech, loaded_server, paced_session

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def figures() -> dict[str, object]:
    """What a short bench of the fake engine prints."""
    options = ["--engine", "fake", "--sessions", "2", "--seconds", "1", "--workers", "1"]
    result = CliRunner().invoke(main, ["bench", *options])
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout.splitlines()[-1])
    return found


@pytest.fixture(autouse=True)
def no_server_left() -> Iterator[None]:
    """Whatever a bench starts, it ends."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


def test_every_frame_is_counted(figures: dict[str, object]) -> None:
    """Two sessions of a second are fifty frames, and none is missing."""
    assert (figures["sessions"], figures["frames"], figures["missing_frames"]) == (2, 50, 0)
    assert figures["measured_capacity"] == 2


def test_lateness_is_in_order(figures: dict[str, object]) -> None:
    """Percentiles rise; a frame can hardly come before its audio is complete."""
    late = figures["lateness_ms"]
    assert isinstance(late, dict)
    assert -50 < late["p50"] <= late["p95"] <= late["p99"] <= late["max"]


def test_costs_are_told_by_process(figures: dict[str, object]) -> None:
    """The server's CPU time is the front's and the workers' together, and all of it is more than nothing."""
    cost = figures["cpu_ms_per_frame"]
    assert isinstance(cost, dict)
    assert cost["server"] == pytest.approx(cost["front"] + cost["workers"], abs=0.02)
    assert min(cost["front"], cost["workers"], cost["load_client"]) > 0


def test_the_machine_is_told(figures: dict[str, object]) -> None:
    """Figures without it mean nothing."""
    assert {key: figures[key] for key in bench.machine()} == bench.machine()
    assert figures["cores"] == len(psutil.Process().cpu_affinity())
    assert isinstance(figures["first_frame_ms"], float)


def test_lateness_counts_what_is_late_or_missing() -> None:
    """Over all sessions; late is more than 100 ms."""
    outcomes = [Outcome(lateness_ms=[0.0, 100.0, 100.1], missing=2), Outcome(lateness_ms=[500.0], missing=1)]
    found = bench.lateness(outcomes)
    assert (found["missing_frames"], found["late_frames"]) == (3, 2)
    assert found["lateness_ms"]["max"] == 500.0


def test_the_sample_speech_goes_round() -> None:
    """A piece beyond its end begins again."""
    speech = Speech(np.arange(10, dtype=np.int16), 8_000)
    assert np.frombuffer(speech.piece(8, 4), np.int16).tolist() == [8, 9, 0, 1]
    assert Speech.sample().samples.size > Speech.sample().rate_hz


async def test_paced_speech_takes_its_time(target: str, photo: bytes) -> None:
    """Frames come while the audio is still being sent, a last one for half its audio, and none is missing."""
    began = time.monotonic()
    outcome = await paced_session(target, photo, Speech.sample(), 0.58)
    assert time.monotonic() - began > 0.5
    assert (len(outcome.lateness_ms), outcome.missing) == (15, 0)
    assert 0 < outcome.ready_s <= outcome.first_frame_s < 0.6


async def test_a_session_that_fails_says_why(target: str) -> None:
    """The error is the client's own, in no group."""
    with pytest.raises(AvatarRpcError) as caught:
        await paced_session(target, b"not a picture", Speech.sample(), 0.1)
    assert caught.value.reason == "PORTRAIT_FORMAT"


async def test_a_session_that_is_lost_says_why(photo: bytes) -> None:
    """Likewise within its speech; unless gRPC makes an INTERNAL of its own of a write at that very moment."""
    async with loaded_server("--engine", "fake", "--workers", "1", "--capacity", "1") as server:
        [worker] = server.workers
        asyncio.get_running_loop().call_later(0.5, worker.kill)
        with pytest.raises(AvatarRpcError) as caught:
            await paced_session(server.target, photo, Speech.sample(), 30.0)
        assert caught.value.reason == "WORKER_LOST" or caught.value.code is grpc.StatusCode.INTERNAL


def test_a_server_that_does_not_start_is_one_line() -> None:
    """Told at once, and not after the minute that a slow one is given."""
    began = time.monotonic()
    result = CliRunner().invoke(main, ["bench", "--engine", "zork"])
    assert result.exit_code == 1
    assert "server" in result.stderr
    assert time.monotonic() - began < 20

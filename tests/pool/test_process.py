"""A worker in a process of its own: the same frames, and an end in every case."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from avatar_service.codec.base import Codec, VideoFormat
from avatar_service.engine.fake import FakeEngine
from avatar_service.errors import InvalidArgumentError, SetupError, UnavailableError
from avatar_service.pcm import to_pcm
from avatar_service.pool.carrier import Carrier, ThreadCarrier
from avatar_service.pool.loop import Answer
from avatar_service.pool.messages import Alive, End, Failed, Feed, Open, Opened, Ping, Rendered, SlotKey, Warm, Work
from avatar_service.pool.process import ProcessCarrier

FRAMES = 12
KEY = SlotKey(0, 0)


class Answers:
    """Takes a worker's answers and lets a test wait for them."""

    def __init__(self) -> None:
        self.all: list[Answer] = []
        self._came = asyncio.Event()

    def __call__(self, answers: list[Answer]) -> None:
        """Take a batch."""
        self.all += answers
        self._came.set()

    async def until(self, kind: type, count: int = 1) -> list[Any]:
        """Return the answers of one kind once there are so many."""
        async with asyncio.timeout(10):
            while len(found := [answer for answer in self.all if isinstance(answer, kind)]) < count:
                self._came.clear()
                await self._came.wait()
        return found


@asynccontextmanager
async def running(carrier: Carrier) -> AsyncIterator[tuple[Warm, Answers]]:
    """Run a carrier while the context lasts."""
    answers = Answers()
    warm = await carrier.start(answers)
    try:
        yield warm, answers
    finally:
        await carrier.stop()


def left() -> tuple[int, list[int]]:
    """Return how many files this process has open, and its children."""
    this = psutil.Process()
    return this.num_fds(), [child.pid for child in this.children()]


async def drawn(carrier: Carrier, photo: bytes) -> dict[SlotKey, list[Answer]]:
    """Return all answers to two sessions, one in H.264 and one in two still formats."""
    formats = [(VideoFormat(),), (VideoFormat(codec=Codec.RAW_RGB), VideoFormat(codec=Codec.JPEG, width=64))]
    async with running(carrier) as (_, answers):
        for index, video in enumerate(formats):
            key = SlotKey(index, 7)
            speech = np.random.default_rng(index).uniform(-0.5, 0.5, FRAMES * 640).astype(np.float32)
            carrier.send(Open(key, Work(photo, video=video)))
            carrier.send(Feed(key, 0, to_pcm(speech), 0.0))
            carrier.send(End(key, 0, 0.0))
        await answers.until(Rendered, 2 * FRAMES)
    found: dict[SlotKey, list[Answer]] = {}
    for answer in answers.all:
        assert not isinstance(answer, Warm | Alive)
        found.setdefault(answer.key, []).append(answer)
    return found


async def test_a_process_draws_what_a_thread_draws(photo: bytes) -> None:
    """To the bit, for every session and every format, and in the same order."""
    in_process = await drawn(ProcessCarrier("fake", {"size": "160"}), photo)
    assert in_process == await drawn(ThreadCarrier(lambda: FakeEngine(160)), photo)
    assert [len(answers) for answers in in_process.values()] == [1 + FRAMES] * 2


async def test_the_first_word_says_what_the_engine_declares() -> None:
    """With the options given; sessions are measured only where a head room is."""
    async with running(ProcessCarrier("fake", {"hop_frames": "3"})) as (warm, _):
        assert warm == Warm(FakeEngine(hop_frames=3).spec, 0)
    async with running(ProcessCarrier("fake", {}, 0.5)) as (warm, answers):
        assert warm.sessions >= 1
        assert answers.all == []


async def test_an_error_of_ours_crosses_whole(photo: bytes) -> None:
    """With its class, reason and field."""
    carrier = ProcessCarrier("fake", {})
    async with running(carrier) as (_, answers):
        carrier.send(Open(KEY, Work(photo[:200])))
        (failed,) = await answers.until(Failed)
        assert isinstance(failed.error, InvalidArgumentError)
        assert (failed.error.reason, failed.error.field) == ("PORTRAIT_DAMAGED", "init.portrait")


@pytest.mark.parametrize(("engine", "options"), [("fake", {"zork": "1"}), ("zork", {})])
async def test_an_engine_that_cannot_start_is_told(
    engine: str, options: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    """The log has the story; no child and no open file is left."""
    before = left()
    with pytest.raises(UnavailableError) as caught:
        await ProcessCarrier(engine, options).start(Answers())
    assert caught.value.reason == "WORKER_LOST"
    assert "zork" in capfd.readouterr().err
    assert left() == before


async def test_an_engine_that_the_operator_must_mend_says_how(tmp_path: Path) -> None:
    """The text crosses the border whole: here the weights are missing, or the library that reads them."""
    before = left()
    with pytest.raises(SetupError, match=r"IMTalker weights|lacks renderer|needs torch"):
        await ProcessCarrier("imtalker", {"checkpoint": str(tmp_path)}).start(Answers())
    assert left() == before


async def test_a_start_that_is_called_off_leaves_nothing() -> None:
    """Stopping ends a process that is not warm yet."""
    before = left()
    carrier = ProcessCarrier("fake", {})
    starting = asyncio.create_task(carrier.start(Answers()))
    async with asyncio.timeout(10):
        while not psutil.Process().children():
            await asyncio.wait({starting}, timeout=0.01)
    starting.cancel()
    await asyncio.wait({starting})
    assert starting.cancelled()
    await carrier.stop()
    assert left() == before


@pytest.mark.parametrize("create", [lambda: ProcessCarrier("fake", {}), lambda: ThreadCarrier(FakeEngine)])
async def test_a_carrier_can_be_stopped_in_any_state(create: Callable[[], Carrier]) -> None:
    """Before its start, and twice."""
    await create().stop()
    carrier = create()
    async with running(carrier):
        await carrier.stop()
        async with asyncio.timeout(1):
            await carrier.ended()


async def test_stopping_ends_the_process() -> None:
    """By itself and with exit code 0; no child, open file or task is left."""
    before = left()
    carrier = ProcessCarrier("fake", {})
    async with running(carrier):
        child = psutil.Process(carrier.pid)
        assert child.pid in left()[1]
    assert not child.is_running()
    assert carrier._process is not None
    assert carrier._process.returncode == 0
    assert left() == before
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("fed", [0, 3_000_000], ids=["idle", "with much unread"])
async def test_stopping_ends_a_process_that_stands_still(fed: int, photo: bytes) -> None:
    """By force, however much lies unread between the two."""
    before = left()
    carrier = ProcessCarrier("fake", {})
    async with asyncio.timeout(10):
        async with running(carrier):
            os.kill(carrier.pid, signal.SIGSTOP)
            carrier.send(Open(KEY, Work(photo)))
            carrier.send(Feed(KEY, 0, bytes(2 * fed), 0.0))
        assert carrier._process is not None
        assert carrier._process.returncode == -signal.SIGKILL
    assert left() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signals_to_the_group_do_not_end_a_worker(number: signal.Signals) -> None:
    """It is the front that drains: a worker lives until the front closes the socket."""
    carrier = ProcessCarrier("fake", {})
    async with running(carrier) as (_, answers):
        os.kill(carrier.pid, number)
        for count in range(1, 4):
            carrier.send(Ping())
            await answers.until(Alive, count)


async def test_a_worker_that_is_gone_takes_commands_silently(photo: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Its end is noticed at once, and nothing sent to it afterwards is an error."""
    caplog.set_level(logging.DEBUG, "asyncio")
    carrier = ProcessCarrier("fake", {})
    async with running(carrier):
        os.kill(carrier.pid, signal.SIGKILL)
        for _ in range(20):
            carrier.send(Open(KEY, Work(photo)))
        async with asyncio.timeout(2):
            await carrier.ended()
        for _ in range(20):
            carrier.send(Open(KEY, Work(photo)))
    carrier.send(Ping())
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_carrier_that_was_not_started_takes_commands_silently() -> None:
    """There is nobody to take them."""
    ProcessCarrier("fake", {}).send(Ping())


# A parent that dies ----------------------------------------------------------------------------------------------

IDLE = "pass"
HANGING = """
    carrier.send(Open(SlotKey(0, 0), Work(bytes.fromhex(sys.argv[1]))))
    while Opened not in map(type, answers):
        await asyncio.sleep(0)
    carrier.send(Feed(SlotKey(0, 0), 0, bytes(128_000), 0.0))
    carrier.send(Ping())
    await carrier._writer.drain()
"""
WITHIN_A_MESSAGE = """
    carrier._writer.write(bytes([0, 0, 1, 0]) + b"the beginning of it")
    await carrier._writer.drain()
"""
WITHIN_A_HEADER = """
    carrier._writer.write(bytes(2))
    await carrier._writer.drain()
"""
PARENT = """
import asyncio, sys
import numpy as np
from avatar_service.pool.messages import Feed, Open, Opened, Ping, SlotKey, Work
from avatar_service.pool.process import ProcessCarrier
async def main():
    answers = []
    carrier = ProcessCarrier("fake", {"cost_ms": "60000"})
    await carrier.start(answers.extend)
    %s
    print("up", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.mark.parametrize(
    "doing", [IDLE, HANGING, WITHIN_A_MESSAGE, WITHIN_A_HEADER], ids=["idle", "hanging", "message", "header"]
)
def test_the_parents_death_ends_the_worker(doing: str, photo: bytes) -> None:
    """Within seconds, whatever either was doing: the worker holds the error stream, so its end is the stream's end."""
    command = [sys.executable, "-c", PARENT % doing.strip(), photo.hex()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout is not None
            assert parent.stdout.readline() == "up\n"
            (child,) = psutil.Process(parent.pid).children()
        finally:
            parent.kill()
        try:
            _, said = parent.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            child.kill()
            raise
    assert said == ""


async def test_the_socket_is_no_other_childs(photo: bytes) -> None:
    """A second worker inherits nothing of the first one's, so the end of one is seen while the other lives."""
    first, second = ProcessCarrier("fake", {}), ProcessCarrier("fake", {})
    async with running(first), running(second) as (_, answers):
        os.kill(first.pid, signal.SIGKILL)
        async with asyncio.timeout(2):
            await first.ended()
        second.send(Open(KEY, Work(photo)))
        await answers.until(Opened)

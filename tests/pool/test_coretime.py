"""What a process had of a core."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from avatar_service.pool.coretime import CoreTime

SPINNING = "while True: pass"
WAITING = "print(flush=True); input()"
PINNED = pytest.mark.skipif(not hasattr(psutil.Process, "cpu_affinity"), reason="this system pins nothing to a core")


@contextmanager
def running(code: str) -> Iterator[psutil.Popen]:
    """Run Python on the first of our cores while the context lasts."""
    pipe = subprocess.PIPE
    with psutil.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as process:
        try:
            process.cpu_affinity(psutil.Process().cpu_affinity()[:1])
            yield process
        finally:
            process.kill()


def until_used(process: psutil.Process, seconds: float) -> None:
    """Return once the process has used this much more of a core."""
    enough = sum(process.cpu_times()[:2]) + seconds
    while sum(process.cpu_times()[:2]) < enough:
        pass


def until_it_is(process: psutil.Process, status: str) -> None:
    """Return once the process is in this state."""
    while process.status() != status:
        pass


@PINNED
def test_of_several_that_want_one_core_each_has_a_part() -> None:
    """A third of it each, about; the least of a few looks, for it may wait for something else at the moment of one."""
    with running(SPINNING) as process, running(SPINNING), running(SPINNING):
        core_time = CoreTime(process.pid)
        core_time.share()
        shares = []
        for _ in range(5):
            until_used(process, 0.1)
            shares.append(core_time.share())
    assert min(shares) < 0.7


@PINNED
def test_who_wants_no_core_has_all_of_the_time() -> None:
    """Whether it waits, is stopped or gone: it could work if it would."""
    with running(WAITING) as process:
        core_time = CoreTime(process.pid)
        process.stdout.readline()
        until_it_is(process, psutil.STATUS_SLEEPING)
        assert core_time.share() == 1.0
        process.suspend()
        until_it_is(process, psutil.STATUS_STOPPED)
        assert core_time.share() == 1.0
    assert core_time.share() == 1.0


@PINNED
def test_a_stopped_one_that_was_at_work_has_all_of_the_time() -> None:
    """It is the one who stopped it who keeps it from working, not the machine."""
    with running(SPINNING) as process:
        core_time = CoreTime(process.pid)
        until_used(process, 0.1)
        process.suspend()
        until_it_is(process, psutil.STATUS_STOPPED)
        assert core_time.share() == 1.0

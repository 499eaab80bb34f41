"""What a process had of a core."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from avatar_service.pool.coretime import CoreTime

SPINNING = "while True: pass"
SLEEPING = "import time; print(flush=True); time.sleep(1000)"
LOOK_S = 0.3


@contextmanager
def running(code: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run Python on the first of our cores while the context lasts."""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        try:
            psutil.Process(process.pid).cpu_affinity(psutil.Process().cpu_affinity()[:1])
            yield process
        finally:
            process.kill()


@pytest.mark.skipif(not hasattr(psutil.Process, "cpu_affinity"), reason="this system cannot pin a process to a core")
def test_of_several_that_want_one_core_each_has_a_part() -> None:
    """A third of it each, about; looked at a few times, for it may sleep at the moment of one."""
    with running(SPINNING) as process, running(SPINNING), running(SPINNING):
        time_of_core = CoreTime(process.pid)
        time_of_core.share()
        shares = []
        for _ in range(5):
            time.sleep(LOOK_S)
            shares.append(time_of_core.share())
    assert min(shares) < 0.7


def test_who_wants_no_core_has_all_of_the_time() -> None:
    """Whether asleep, stopped or gone: it could work if it would."""
    with running(SLEEPING) as process:
        assert process.stdout is not None
        process.stdout.readline()
        core_time = CoreTime(process.pid)
        time.sleep(LOOK_S)
        assert core_time.share() == 1.0
        process.send_signal(signal.SIGSTOP)
        time.sleep(LOOK_S)
        assert core_time.share() == 1.0
    assert core_time.share() == 1.0


def test_a_stopped_one_that_was_at_work_has_all_of_the_time() -> None:
    """It is the one who stopped it who keeps it from working, not the machine."""
    with running(SPINNING) as process:
        core_time = CoreTime(process.pid)
        core_time.share()
        process.send_signal(signal.SIGSTOP)
        time.sleep(LOOK_S)
        assert core_time.share() == 1.0

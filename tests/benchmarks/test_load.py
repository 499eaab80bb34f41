"""The load tools: what they promise of bad inputs holds one at a time, and what they report is what was seen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from load.__main__ import PARTS
from load.bad_cases import Sender
from load.bad_grpc import cases as grpc_cases
from load.bad_http import cases as http_cases
from load.bad_sessions import cases as session_cases
from load.bad_takes import cases as take_cases
from load.degradation import Seen, figures
from load.host import hosted
from load.overload import summary
from load.promises import AT_LEAST, AT_MOST, FIGURES, report

if TYPE_CHECKING:
    from tests.conftest import Serve, Service

SLOW = {3, 5, 8, 40}
"""Rows that wait for long or send much; they have tests of their own."""


async def test_the_tables_say_what_the_service_answers(service: Service) -> None:
    """Each row over gRPC gets the answer that it expects."""
    wrong = {}
    async with Sender.connected(service.target, "", 1) as sender:
        for case in grpc_cases():
            if case.row not in SLOW and (answer := await case.send(sender, 0)) != case.expected:
                wrong[case.row, case.name] = answer
    assert not wrong


async def test_the_tables_say_how_sessions_end(serve: Serve) -> None:
    """Each row whose session goes further gets the answer that it expects, of a server that waits less."""
    wrong = {}
    limits = {"idle_timeout_s": 1.0, "slow_reader_timeout_s": 0.3, "capacity": 20}
    async with serve(**limits) as service, Sender.connected(service.target, "", 1) as sender:
        cases = session_cases()
        for case, answer in zip(cases, await asyncio.gather(*(case.send(sender, 1) for case in cases)), strict=True):
            if answer != case.expected:
                wrong[case.row, case.name] = answer
        await service.until_free(20)
    assert not wrong


def test_no_two_rows_are_the_same() -> None:
    """A row that hides another would not be counted."""
    names = [(case.row, case.name) for case in [*grpc_cases(), *session_cases(), *http_cases(), *take_cases()]]
    assert len(set(names)) == len(names)


async def test_tasks_of_a_server_are_told() -> None:
    """A server in a process of its own says how many tasks it has, and where it is reached."""
    async with hosted("fake", 1, 2) as host:
        assert await host.tasks() > 0
        assert host.server.target.startswith("127.0.0.1:")
        assert len(host.server.workers) == 1


def test_refusals_are_summed_up() -> None:
    """Anything but the one right answer is named."""
    found = summary([(1.0, "POOL_FULL"), (5.0, "POOL_FULL"), (3.0, "ADMITTED")])
    assert found == {"count": 3, "wrong": ["ADMITTED"], "refusal_ms": {"p50": 3.0, "p99": 3.0, "max": 5.0}}


def test_frames_of_live_sessions_are_measured_against_their_ticks() -> None:
    """Every second tick is shown; one frame is 30 ms late, and the first second of each session counts for nothing."""
    frames = [(7200 * number, 100.0 + 0.08 * number) for number in range(50)]
    late = [*frames[:30], (frames[30][0], frames[30][1] + 0.03), *frames[31:]]
    early = [(pts, at + 9.0 * (at < 101.0)) for pts, at in frames]
    found = figures([Seen(frames, ["HALF_RATE"]), Seen(late), Seen(early[13:])])
    assert found["fps"] == 12.5
    assert found["longest_gap_ms"] == 80
    assert found["late_frames"] == 0
    assert (found["lateness_ms"]["p50"], found["told"]) == (0.0, ["HALF_RATE"])
    assert 0 < found["lateness_ms"]["p99"] <= 30


def test_figures_of_parts_that_never_ran_are_none() -> None:
    """Nothing is made up."""
    reported = report({"churn": {"churn_sessions": 7, "churn_fds": 0}})
    assert (reported["churn_sessions"], reported["churn_fds"], reported["sessions"]) == (7, 0, None)
    assert reported["missed"] == []


def test_figures_beyond_their_bounds_are_named() -> None:
    """Too few and too much; a bound itself is kept."""
    reported = report({"sessions": {"sessions": 9, "late_frames": 0}, "churn": {"churn_fds": 1, "churn_tasks": 0}})
    assert reported["missed"] == ["sessions", "churn_fds"]


def test_every_bound_is_of_a_figure() -> None:
    """One of a name that nothing reports would hold nobody."""
    assert {*AT_LEAST, *AT_MOST} <= {figure for figures in FIGURES.values() for figure in figures}


@pytest.mark.parametrize("part", list(PARTS))
def test_every_part_reports_something(part: str) -> None:
    """A part without a figure would be forgotten."""
    assert FIGURES[part]

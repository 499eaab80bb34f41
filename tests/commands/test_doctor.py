"""What the doctor says."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from avatar_service.cli import main
from avatar_service.commands.doctor import Finding, Question, examine
from avatar_service.engine.registry import ENGINE_NAMES
from avatar_service.pool import measure


def findings(question: Question) -> dict[str, Finding]:
    """Return the report by subject."""
    return {finding.subject: finding for finding in examine(question)}


def test_it_says_what_is_installed_and_how_many_sessions_that_holds() -> None:
    """Measured, with the head-room that is kept."""
    found = findings(Question("fake", {"cost_ms": "4"}, head_room=0.5))
    assert all(finding.good for finding in found.values())
    assert "numpy 2" in found["libraries"].text
    assert found["engines"].text == ", ".join(ENGINE_NAMES)
    sessions = found["sessions"].text
    assert sessions.startswith("measured ")
    assert "in batches of 4" in sessions
    assert "50% kept free" in sessions


def test_it_says_when_an_engine_is_too_slow_for_a_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what works none the less."""
    monkeypatch.setattr(measure, "_ENOUGH_S", 0.5)
    text = findings(Question("fake", {"cost_ms": "60"}))["sessions"].text
    assert ": 0 at once in real time" in text
    assert "too slow for LIVE" in text


def test_nothing_is_run_if_it_is_told_so() -> None:
    """And nothing is claimed."""
    assert "not measured" in findings(Question("fake", measured=False))["sessions"].text


def test_an_engine_that_cannot_start_is_the_finding(tmp_path: Path) -> None:
    """With what to do, and exit code 1."""
    pytest.importorskip("torch")
    words = ["doctor", "--engine", "imtalker", "--engine-option", f"checkpoint={tmp_path}"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1
    assert "!!  imtalker: " in done.stdout
    assert "renderer.ckpt" in done.stdout
    assert "accelerator: " in done.stdout


def test_an_option_that_there_is_not_is_the_finding() -> None:
    """Not a traceback."""
    found = findings(Question("fake", {"colour": "red"}))
    assert not found["fake"].good
    assert "colour" in found["fake"].text


@pytest.mark.parametrize("words", [["--engine", "zork"], ["--engine-option", "size"], ["--engine-option", "=1"]])
def test_misuse_is_exit_code_2(words: list[str]) -> None:
    """What the user typed wrong is a usage error."""
    assert CliRunner().invoke(main, ["doctor", *words]).exit_code == 2

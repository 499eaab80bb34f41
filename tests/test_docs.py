"""The documents say what the source does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import state_machines

ROOT = Path(__file__).resolve().parent.parent
MADE = re.compile(r"(?:Error|Notice|Warned|refuse|refusal|return problem)\(\s*(?:\d+, )?\"([A-Z][A-Z_]{3,})\"")


def reasons_in_source() -> set[str]:
    """Return every literal reason that an error or a warning is made with."""
    sources = [path.read_text() for path in (ROOT / "avatar_service").rglob("*.py")]
    return {reason for source in sources for reason in MADE.findall(source)}


def reasons_in_docs() -> set[str]:
    """Return the first column of the tables in docs/errors.md."""
    return set(re.findall(r"^\| ([A-Z_]{4,}) \|", (ROOT / "docs" / "errors.md").read_text(), flags=re.MULTILINE))


def test_every_reason_is_documented() -> None:
    """Each reason that the source can give is in docs/errors.md, and each one there can be given."""
    assert reasons_in_source() == reasons_in_docs()


def test_the_state_machines_are_drawn_from_their_tables() -> None:
    """docs/state-machines.md is what its script draws now."""
    assert state_machines.PAGE.read_text(encoding="utf-8") == state_machines.page(), "run make diagram"


def test_the_layers_of_contributing_are_those_that_are_held() -> None:
    """CONTRIBUTING.md lists the layers as pyproject.toml has import-linter hold them."""
    [listed] = re.findall(r"^`(cli > [^`]+)`", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.MULTILINE)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [held] = [one["layers"] for one in contracts if one["name"] == "Imports point down"]
    assert [set(layer.split(", ")) for layer in " ".join(listed.split()).split(" > ")] == [
        set(layer.split(" | ")) for layer in held
    ]


def test_links_between_documents_resolve() -> None:
    """Every relative link in a Markdown file leads to a file of the repository."""
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "clients").rglob("*.md")]
    broken = [
        f"{document.name}: {target}"
        for document in documents
        if "node_modules" not in document.parts
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text())
        if not (document.parent / target).exists()
    ]
    assert broken == []

"""Owns what every result says of its origin: the commit that was measured."""

from __future__ import annotations

import subprocess
from pathlib import Path


def commit() -> str:
    """Return the commit that is measured, or ``unknown`` outside a checkout."""
    command = ["git", "rev-parse", "HEAD"]
    run = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return run.stdout.strip() or "unknown"

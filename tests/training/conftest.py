"""What the tests of training need: the synthesizers, or a skip that says which one is missing."""

from __future__ import annotations

import os
import shutil

import pytest

from training.espeak import espeak

NEEDED = os.environ.get("AVATAR_TESTS_NEED_TOOLS") == "1"


@pytest.fixture(scope="session")
def espeak_installed() -> None:
    """Skip where espeak-ng is not installed."""
    try:
        espeak()
    except OSError as error:
        if NEEDED:
            raise
        pytest.skip(f"espeak-ng is not installed: {error}")


@pytest.fixture(scope="session")
def flite_installed() -> None:
    """Skip where flite is not installed."""
    if shutil.which("flite") is None:
        assert not NEEDED, "flite is not installed"
        pytest.skip("flite is not installed")

"""The names of the engines."""

from __future__ import annotations

import subprocess
import sys

import pytest

from avatar_service.engine.registry import ENGINE_NAMES, create_engine


@pytest.mark.parametrize("name", sorted({*ENGINE_NAMES} - {"imtalker"}))
def test_every_name_makes_an_engine_of_that_name(name: str) -> None:
    """The registry and the engines agree, and the clock divides."""
    engine = create_engine(name)
    assert engine.spec.name == name
    assert engine.spec.frame_samples * engine.spec.fps == 16_000


def test_options_reach_the_engine() -> None:
    """What the command line says is what the engine is made with."""
    assert create_engine("fake", {"hop_frames": "5"}).spec.hop_frames == 5


@pytest.mark.parametrize(("name", "options", "error"), [("none", {}, KeyError), ("fake", {"colour": "1"}, TypeError)])
def test_unknown_names_and_options_are_errors(name: str, options: dict[str, str], error: type[Exception]) -> None:
    """Nothing is guessed."""
    with pytest.raises(error):
        create_engine(name, options)


def test_no_engine_is_imported_before_it_is_asked_for() -> None:
    """Serving imports neither an engine that is not used nor torch."""
    code = (
        "import sys, avatar_service.app;"
        "print([m for m in sys.modules if m.split('.')[0] == 'torch' or 'engine.portrait' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_a_neural_engine_without_its_libraries_says_how_to_get_them() -> None:
    """One line for the operator, and no traceback."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from avatar_service.engine.registry import create_engine\n"
        "from avatar_service.errors import SetupError\n"
        "try: create_engine('imtalker')\n"
        "except SetupError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "the engine imtalker needs torch: pip install 'avatar-service[imtalker]'"

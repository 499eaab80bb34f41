"""What is fuzzed keeps its promises with good examples, with broken ones, and with all that ever failed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz import seeds
from fuzz.__main__ import GUIDES
from fuzz.targets import TARGETS

FAILURES = Path(__file__).parents[1] / "data" / "fuzz"
names = pytest.mark.parametrize("name", list(TARGETS))


@names
def test_good_examples_keep_the_promises(name: str) -> None:
    """Every seed is taken."""
    examples = seeds.of(name)
    assert examples
    for content in examples:
        TARGETS[name](content)


@names
@settings(max_examples=40)
@given(data=st.data())
def test_broken_examples_keep_the_promises(name: str, data: st.DataObject) -> None:
    """Seeds with pieces replaced, cut out, doubled or appended break no promise."""
    content = data.draw(st.sampled_from(seeds.of(name)))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 64)))
        piece = data.draw(st.binary(max_size=16) | st.just(content[start:end] * 2))
        content = content[:start] + piece + content[end:]
    TARGETS[name](content)


@names
def test_what_once_failed_keeps_the_promises(name: str) -> None:
    """Each input that fuzzing found is tried again for ever."""
    for path in sorted(FAILURES.glob(f"{name}-*")):
        TARGETS[name](path.read_bytes())


def test_every_target_is_fuzzed() -> None:
    """What is a target has its seeds and the code that guides it."""
    assert set(TARGETS) == set(GUIDES)

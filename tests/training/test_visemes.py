"""What a face does for a sound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.speech import SILENCE, Phone, Utterance
from training.visemes import NAMES, TABLE, targets, visemes


def face(*names: str, each_s: float = 0.12) -> np.ndarray:
    """Return the targets of phones of the same length, with 0.3 s of silence around them."""
    phones = [Phone(name, 0.3 + each_s * n, 0.3 + each_s * (n + 1)) for n, name in enumerate(names)]
    return targets(Utterance(np.zeros(round(16_000 * (0.6 + each_s * len(names))), np.float32), tuple(phones)))


def peak(name: str, column: str) -> float:
    """Return how far a column goes for a phone between two neutral vowels."""
    return float(face("ə", name, "ə")[:, NAMES.index(column)].max())


@pytest.mark.parametrize("name", ["m", "b", "p"])
def test_bilabials_close_the_lips(name: str) -> None:
    """Fully, also where speech is fast, and the mouth is not open then."""
    rows = face("a", name, "a", each_s=0.06)
    middle = rows[:, NAMES.index("close")].argmax()
    assert rows[middle, NAMES.index("close")] > 0.9
    assert rows[middle, NAMES.index("open")] < 0.15


def test_vowels_differ_as_mouths_do() -> None:
    """An "ah" is the most open, an "ee" the widest, an "oo" the roundest."""
    assert peak("ɑ", "open") > 0.6 > peak("i", "open")
    assert peak("i", "wide") > 0.5 > peak("u", "wide")
    assert peak("u", "round") > 0.8 > peak("ɑ", "round")
    assert peak("f", "fv") > 0.8
    assert peak("s", "teeth") > 0.6


def test_silence_is_a_shut_mouth_at_rest() -> None:
    """Nothing moves."""
    assert not targets(Utterance(np.zeros(16_000, np.float32), (Phone(SILENCE, 0.0, 1.0),))).any()


def test_lips_are_in_place_before_the_sound() -> None:
    """A closure's middle comes before its sound's, by less than 60 ms."""
    rows = face("a", "m", "a")
    close = rows[:, NAMES.index("close")]
    middle_s = float(np.average((np.arange(len(rows)) + 0.5) / 100, weights=close))
    assert 0 < 0.3 + 0.12 + 0.06 - middle_s < 0.06


def test_marks_are_dropped_and_diphthongs_have_two_shapes() -> None:
    """Length and stress change nothing; a glide goes from one shape to the other."""
    assert visemes("iː") == visemes("i") == (TABLE["i"],)
    assert visemes("aɪ") == (TABLE["a"], TABLE["ɪ"])
    assert visemes("ˈ") == ()


@given(names=st.lists(st.sampled_from([*TABLE, "unknown", "?"]), max_size=12), each_s=st.floats(0.01, 0.3))
@settings(max_examples=40, deadline=None)
def test_every_face_is_possible(names: list[str], each_s: float) -> None:
    """Any sequence gives values from 0 to 1, one row for each hundredth of a second begun."""
    rows = face(*names, each_s=each_s)
    assert len(rows) == -(-round(16_000 * (0.6 + each_s * len(names))) // 160)
    assert rows.min() >= 0
    assert rows.max() <= 1

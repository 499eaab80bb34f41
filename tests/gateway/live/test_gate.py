"""Where the segments of a microphone begin and end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from avatar_service.gateway.live.gate import BLOCK, Cut, Gate, Step

PER_S = 48_000


def silence(seconds: float) -> NDArray[np.int16]:
    """Return nothing to hear."""
    return np.zeros(round(seconds * PER_S), np.int16)


def noise(seconds: float, level: float, seed: int = 1) -> NDArray[np.int16]:
    """Return white noise of this share of full scale."""
    return np.asarray(np.random.default_rng(seed).normal(0, level * 2**15, round(seconds * PER_S)), np.int16)


def voice(seconds: float, level: float = 0.2) -> NDArray[np.int16]:
    """Return a tone."""
    return np.asarray(np.sin(np.arange(round(seconds * PER_S)) / 40) * level * 2**15, np.int16)


def push(gate: Gate, *pieces: NDArray[np.int16]) -> list[Cut]:
    """Push piece by piece."""
    return [cut for piece in pieces for cut in gate.push(piece)]


def steps(cuts: list[Cut]) -> list[Step]:
    """Return the steps, those in a row once."""
    found = [cut.step for cut in cuts]
    return [step for at, step in enumerate(found) if not at or step is not found[at - 1] or step is not Step.SPEAK]


def said(cuts: list[Cut]) -> NDArray[np.int16]:
    """Return what was let through."""
    return np.concatenate([np.zeros(0, np.int16), *(cut.samples for cut in cuts)])


def test_silence_is_no_segment() -> None:
    """Nor is the quiet noise of a room, nor a click."""
    click = silence(0.5)
    click[1000:1100] = 20_000
    assert not push(Gate(), silence(2), noise(2, 0.001), click)


def test_an_utterance_is_one_segment() -> None:
    """It opens, goes on through a short pause, and closes after a long one."""
    cuts = push(Gate(), silence(1), voice(1), silence(0.3), voice(1), silence(1.5))
    assert steps(cuts) == [Step.OPEN, Step.SPEAK, Step.CLOSE]
    assert said(cuts).size / PER_S == pytest.approx(2.3 + 0.06 + 0.6, abs=0.03)


def test_two_utterances_are_two_segments() -> None:
    """A pause is between them."""
    cuts = push(Gate(), voice(0.5), silence(1), voice(0.5), silence(1))
    assert steps(cuts) == [Step.OPEN, Step.SPEAK, Step.CLOSE] * 2


def test_the_sound_before_the_gate_opened_is_in_the_segment() -> None:
    """All of the utterance is let through, and a little of what came before."""
    speech = voice(0.5)
    cuts = push(Gate(), silence(1), speech, silence(1))
    whole = said(cuts)
    start = int(np.flatnonzero(whole)[0]) - 1  # a sine begins with 0
    assert 0 < start / PER_S <= 0.08
    assert np.array_equal(whole[start : start + speech.size], speech)


def test_a_loud_room_is_no_speech_but_a_voice_in_it_is() -> None:
    """The threshold follows the noise."""
    gate = Gate()
    push(gate, noise(5, 0.02))
    gate.finish()
    assert not push(gate, noise(2, 0.02, 2))
    assert steps(push(gate, voice(0.5, 0.5))) == [Step.OPEN, Step.SPEAK]


def test_behind_an_interruption_a_pause_is_waited_for() -> None:
    """The rest of the utterance is not let through; the next is."""
    gate = Gate()
    assert gate.push(voice(0.5))
    gate.interrupt()
    assert not gate.push(voice(2))
    assert steps(push(gate, silence(0.3), voice(0.5))) == [Step.OPEN, Step.SPEAK]


def test_an_interruption_of_nobody_changes_nothing() -> None:
    """Who speaks next is heard from his first word."""
    gate = Gate()
    gate.push(silence(0.1))
    gate.interrupt()
    assert steps(gate.push(voice(0.5))) == [Step.OPEN, Step.SPEAK]


def test_a_microphone_that_leaves_ends_its_segment() -> None:
    """Once, and only if there was one."""
    gate = Gate()
    assert not gate.finish()
    gate.push(voice(0.5))
    assert steps(gate.finish()) == [Step.CLOSE]
    assert not gate.finish()


@given(cuts=st.lists(st.integers(1, 4 * BLOCK), min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
def test_it_makes_no_difference_how_the_sound_is_cut(cuts: list[int]) -> None:
    """The same samples are let through, in the same segments."""
    sound = np.concatenate([silence(0.05), voice(0.2), silence(0.7), voice(0.1)])
    whole = Gate().push(sound)
    gate, at, pieces = Gate(), 0, []
    while at < sound.size:
        length = cuts[len(pieces) % len(cuts)]
        pieces.append(sound[at : at + length])
        at += length
    found = push(gate, *pieces)
    assert steps(found) == steps(whole)
    assert np.array_equal(said(found), said(whole))

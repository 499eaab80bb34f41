"""Motion rows become weights: openings are absolute, portraits with special faces are treated gently."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avatar_service.engine.portrait.arrays import floats
from avatar_service.engine.portrait.bases import NAMES
from avatar_service.engine.portrait.lips import Lips
from avatar_service.engine.portrait.rig import OPEN_REACH, WIDTH, Column, MouthShape, mouth_shape, neutral_row, pose_of


def lips(gap: float = 0.0, widths: tuple[float, float] = (40.0, 40.0), smile: float = 0.0) -> Lips:
    """Return lips that are parted by ``gap`` in the middle."""
    line = floats(np.linspace(-1, 1, 9))
    arch = floats(gap / 2 * (1 - line**2))
    return Lips((256.0, 300.0), (1.0, 0.0), widths, 40.0, ((line, -arch), (line, arch)), 1.6, -0.8, smile)


def shape(given: Lips, **columns: float) -> MouthShape:
    """Return what a row of these columns asks of the lips."""
    row = np.zeros(WIDTH, np.float32)
    for name, value in columns.items():
        row[Column[name.upper()]] = value
    return mouth_shape(row, given)


def weight(of: MouthShape, name: str) -> float:
    """Return one base's weight."""
    return float(of.weights[NAMES.index(name)])


def test_neutral_row_changes_nothing() -> None:
    """The neutral row displaces neither lips nor head, whatever the portrait's mouth is like."""
    assert mouth_shape(neutral_row(), lips(0.4)).at_rest
    assert pose_of(neutral_row()).at_rest


def test_zero_opening_shuts_parted_lips() -> None:
    """A portrait with parted lips can close them."""
    assert weight(shape(lips(0.4)), "close") == pytest.approx(1.0)


def test_opening_up_to_the_own_gap_only_closes_less() -> None:
    """The jaw does not move before the portrait's own opening is used up."""
    half = shape(lips(0.31), open=0.25)
    assert weight(half, "jaw") == 0
    assert weight(half, "close") == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("gap", [0.0, 0.2, 0.3])
def test_opening_is_absolute(gap: float) -> None:
    """Portraits with different mouths open to the same gap."""
    wide = shape(lips(gap), open=0.7)
    assert wide.drop + lips(gap).gap == pytest.approx(0.7 * OPEN_REACH, abs=0.01)


def test_slit_between_the_lips_opens_without_a_jump() -> None:
    """Lips that are parted by a dark slit shut at zero and open steadily from there."""
    parted = [shape(lips(0.06), open=amount) for amount in np.linspace(0, 0.4, 41)]
    gaps = [0.06 * (1 - weight(one, "close")) + one.drop for one in parted]
    assert gaps[0] == pytest.approx(0, abs=1e-6)
    assert 0 < np.diff(gaps).min() <= np.diff(gaps).max() < 0.02


@pytest.mark.parametrize("gap", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("close", [0.7, 1.0])
def test_closed_lips_win(gap: float, close: float) -> None:
    """A "b" between open vowels shuts the lips, whatever is left of the vowels around it."""
    shut = shape(lips(gap), open=0.5, close=close, uplip=0.5, lolip=0.5, fv=0.3, rest=0.15)
    assert [weight(shut, name) for name in ("jaw", "uplip", "lolip", "fv")] == pytest.approx([0] * 4, abs=1e-6)
    assert weight(shut, "close") == pytest.approx(1 if gap else 0, abs=1e-6)
    assert weight(shut, "press") == pytest.approx(close)


def test_closing_begins_gradually() -> None:
    """A closure that is only near leaves the mouth as it is, half a closure leaves it narrower, but open."""
    assert shape(lips(), open=0.6, close=0.2).drop == pytest.approx(shape(lips(), open=0.6).drop)
    assert 0 < shape(lips(), open=0.6, close=0.45).drop < shape(lips(), open=0.6).drop


def test_toothy_portraits_do_not_shout() -> None:
    """A portrait that shows its teeth opens at most to 0.8."""
    assert shape(lips(0.3), open=1.0).drop == shape(lips(0.3), open=0.8).drop


def test_rounding_releases_a_smile() -> None:
    """A smiling portrait gives up part of its smile for an "oo"."""
    assert weight(shape(lips(smile=1.0), round=1.0), "smile") == pytest.approx(-0.7)


def test_smile_is_wide_already() -> None:
    """A smiling mouth is drawn less far aside for an "ee" than one that does not smile."""
    assert weight(shape(lips(smile=1.0), wide=1.0), "wide") == pytest.approx(0.4)
    assert weight(shape(lips(), wide=1.0), "wide") == 1


def test_bared_teeth_are_hardly_bared_farther() -> None:
    """Lips that show the teeth already are drawn half as far off them, and not at all in an "oo"."""
    assert weight(shape(lips(0.3), lolip=1.0), "lolip") == 0.5
    assert weight(shape(lips(0.3), lolip=1.0, round=1.0), "lolip") == 0
    assert shape(lips(), lolip=1.0).bared == pytest.approx(0.24)
    assert shape(lips(0.3), lolip=1.0).bared == 0


@pytest.mark.parametrize(("widths", "strength"), [((40, 40), 1.0), ((12, 40), 0.5), ((6, 40), 0.0)])
def test_profiles_move_less(widths: tuple[float, float], strength: float) -> None:
    """The farther a face is turned aside, the less its lips move."""
    moved = shape(replace(lips(), widths=widths), wide=1.0)
    assert weight(moved, "wide") == strength

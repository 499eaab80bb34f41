"""Owns the layout of a motion row: which column means what, and its units.

Lip and brow columns are 0 (as in the portrait, or shut) to 1 (full); angles are radians, translations pixels of a
512-pixel frame.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

import numpy as np

from avatar_service.engine.portrait.arrays import Floats, floats
from avatar_service.engine.portrait.aspect import Aspect, aspect_of
from avatar_service.engine.portrait.bases import NAMES
from avatar_service.engine.portrait.lips import Lips
from avatar_service.engine.portrait.pose import Pose

OPEN_REACH: Final = 0.65
"""Gap between the inner lips at ``open`` 1, in mouth units: the 95th percentile of real speech."""
LEAST_GAP: Final = 0.02
"""Portraits whose lips are closer than this, in mouth units, count as shut."""
SMILE_RELEASE: Final = 0.7
"""How much of a portrait's smile a rounded mouth gives up."""
SMILE_WIDTH: Final = 0.6
"""How much of a full widening a full smile has already."""
OWN_BARED: Final = 0.5
"""How far lips that show their teeth already are drawn off them, of what others are."""
SHOUT_LIMIT: Final = 0.8
"""Widest ``open`` of a portrait that shows its teeth: more looks like shouting out of a smile."""
NEARING_FROM, SHUT_FROM = 0.2, 0.7
"""From the first ``close`` on the lips come nearer, from the second on they touch, whatever the other columns ask."""
BARED_BY: Final = 0.24
"""How far a full ``lolip`` draws the lower lip off the teeth, in mouth units."""


class Column(enum.IntEnum):
    """The columns of a motion row ``[len(Column)]`` float32.

    ``OPEN`` is absolute: 0 is a shut mouth whatever the portrait shows, unless ``REST`` (0-1) keeps that much of
    the portrait's own opening. ``GAZE_X`` and ``GAZE_Y`` are -1 to 1, to the picture's right and down.
    """

    OPEN = 0
    ROUND = 1
    WIDE = 2
    CLOSE = 3
    FV = 4
    PRESS = 5
    UPLIP = 6
    LOLIP = 7
    SMILE = 8
    BROW_LEFT = 9
    BROW_RIGHT = 10
    REST = 11
    TONGUE = 12
    YAW = 13
    PITCH = 14
    ROLL = 15
    X = 16
    Y = 17
    BLINK = 18
    GAZE_X = 19
    GAZE_Y = 20


WIDTH: Final = len(Column)
"""D: columns in a motion row."""


def neutral_row() -> Floats:
    """Return the row that shows the portrait as it is."""
    row = np.zeros(WIDTH, np.float32)
    row[Column.REST] = 1
    return row


def permitted(row: Floats, aspect: Aspect) -> Floats:
    """Return the row with no more head and eye motion than a portrait of this aspect can show."""
    if aspect.frontal:
        return row
    row = row.copy()
    row[Column.YAW] = aspect.turned(float(row[Column.YAW]))
    if not aspect.gazes:
        row[[Column.GAZE_X, Column.GAZE_Y]] = 0
    return row


@dataclass(frozen=True, slots=True)
class MouthShape:
    """What a row asks of one portrait's mouth.

    Attributes:
        weights: of the displacement bases, in the order of ``bases.NAMES``.
        drop: how far the jaw opens beyond the portrait's own gap, in mouth units.
        rounding: 0-1; a rounded mouth is dark inside.
        tongue: 0-1, how far the tongue is raised.
        bared: how far the lower lip is drawn off teeth that the portrait does not show, in mouth units.
    """

    weights: Floats
    drop: float
    rounding: float
    tongue: float
    bared: float

    @property
    def at_rest(self) -> bool:
        """Whether nothing is displaced."""
        return not self.weights.any()


def mouth_shape(row: Floats, lips: Lips) -> MouthShape:
    """Return what ``row`` asks of a portrait with these ``lips``.

    The opening is absolute: up to the portrait's own gap the mouth is closed less and less, beyond it the jaw drops;
    so a smiling portrait can say "mm" and a closed one "aa".
    """
    strength = aspect_of(lips).strength
    value = row.tolist()
    # Closed lips win: a "b" in fast speech is a frame or two between open vowels.
    parted = min(max((SHUT_FROM - value[Column.CLOSE]) / (SHUT_FROM - NEARING_FROM), 0.0), 1.0)
    rounding = min(value[Column.ROUND], 1.0)
    wanted = min(value[Column.OPEN], SHOUT_LIMIT if lips.toothy else 1.0) * OPEN_REACH * parted
    drawn_off = parted
    if lips.toothy:
        drawn_off *= OWN_BARED * (1 - rounding)
    # A slit between lips that show no teeth counts as shut: the jaw opens it from there.
    drop = max(0.0, wanted - lips.gap) if lips.toothy else wanted
    shut = max(0.0, 1 - wanted / lips.gap) * (1 - value[Column.REST] * parted) if lips.gap > LEAST_GAP else 0.0
    weights = {
        "jaw": drop,
        "close": shut,
        "round": value[Column.ROUND],
        "wide": value[Column.WIDE] * (1 - SMILE_WIDTH * lips.smile),
        "press": max(value[Column.PRESS], value[Column.CLOSE]),
        "fv": value[Column.FV] * parted,
        "uplip": value[Column.UPLIP] * drawn_off,
        "lolip": value[Column.LOLIP] * drawn_off,
        "smile": value[Column.SMILE] - SMILE_RELEASE * lips.smile * rounding,
        "brow_left": value[Column.BROW_LEFT],
        "brow_right": value[Column.BROW_RIGHT],
    }
    return MouthShape(
        floats([weights[name] for name in NAMES]) * np.float32(strength),
        drop * strength,
        rounding * strength,
        value[Column.TONGUE] * strength,
        0.0 if lips.toothy else BARED_BY * weights["lolip"] * strength,
    )


def pose_of(row: Floats) -> Pose:
    """Return the head pose of a row."""
    yaw, pitch, roll, x, y = (float(value) for value in row[Column.YAW : Column.Y + 1])
    return Pose(yaw, pitch, roll, x, y)

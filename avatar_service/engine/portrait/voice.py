"""Owns how sound becomes lip motion: what is heard, what the net makes of it, and what lips do then. Knows no faces.

Frame by frame one block of new sound goes through the net, so that the result does not depend on how frames are
grouped. The block ends ``look_ahead`` samples behind the frame: the net has heard that much of what follows when it
says what the face does in the frame's middle.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from avatar_service.engine.base import Preset, Samples
from avatar_service.engine.portrait.arrays import Floats
from avatar_service.engine.portrait.hearing import BLOCK, OVERLAP, Hearing
from avatar_service.engine.portrait.net import ReadOut, net
from avatar_service.plain import Plain

FRAME: Final = BLOCK
"""Samples of one frame: 40 ms."""
LOOK_AHEADS: Final = {Preset.LOWEST_LATENCY: 2 * BLOCK, Preset.BALANCED: 4 * BLOCK, Preset.BEST_QUALITY: 4 * BLOCK}
"""Samples after the frame that are heard: 80 or 160 ms."""
SPEECH_DB: Final = (-66.0, -58.0)
"""Loudest recent level below the first: nobody speaks. From the second on it is the net that decides."""
SPEAKING: Final = (0.35, 0.65)
"""How sure the net must be that somebody speaks before the lips move, and before they move fully."""
RANGE_DB: Final = 30.0
"""Below the peak, where loudness becomes 0."""
LARGEST_OPENING: Final = 0.85
"""Wider looks like shouting."""
LIVELINESS: Final = 1.5
"""How much wider the mouth opens than the net says, which stays on the safe side where it is not sure: without it the
widest 3 % of its openings come to 0.3-0.6, where real speakers' 5 % come to 1 (``rig.OPEN_REACH``)."""
ROUND_NARROWING: Final = 0.5
"""How much less fully rounded lips part than spread ones, for the same jaw."""
TONGUE_RAISING: Final = 0.15
"""How much nearer the lips are for a fully raised tongue, which the jaw goes up with; at most half of the opening."""
OPENED_BY_UPPER_LIP, OPENED_BY_LOWER_LIP = 0.35, 0.39
"""How far a fully raised or lowered lip opens the mouth by itself, in the units of ``open``: from its displacement
basis over the reach of ``open``."""


@dataclass(frozen=True, slots=True)
class Articulation:
    """What the lips do in one frame, 0-1 each, and what the rest of the face may know of the sound."""

    open: float = 0.0
    round: float = 0.0
    wide: float = 0.0
    close: float = 0.0
    fv: float = 0.0
    uplip: float = 0.0
    lolip: float = 0.0
    tongue: float = 0.0
    speaking: float = 0.0
    loudness: float = 0.0


@dataclass(slots=True)
class Voice(Plain):
    """What is remembered of one segment's sound; about 4 KB.

    Attributes:
        look_ahead: one of ``LOOK_AHEADS``.
    """

    look_ahead: int
    _hearing: Hearing = field(default_factory=Hearing)
    _memories: Floats | None = None
    _loudness: list[float] = field(default_factory=list)
    _levels_db: list[float] = field(default_factory=list)

    def articulate(self, sound: Samples) -> Articulation:
        """Return what the lips do in the next frame, and move on by it.

        Args:
            sound: ``[FRAME + look_ahead]`` samples: the frame's and what follows.
        """
        if self._memories is None:
            self._memories = net().silence()
            self._hear(np.concatenate([np.zeros(OVERLAP, np.float32), sound]))
        else:
            self._hear(sound[-BLOCK - OVERLAP :])
        face = net().face(self._memories, self._read_out)
        return articulation(face.tolist(), self._presence(), self._loudness[0])

    @property
    def _read_out(self) -> ReadOut:
        blocks = self.look_ahead // BLOCK
        return next(read_out for read_out in net().read_outs if read_out.blocks == blocks)

    def _hear(self, sound: Samples) -> None:
        """Take new blocks; keep of the past what the frame needs."""
        assert self._memories is not None
        heard, levels = self._hearing.hear(sound)
        for block, level in zip(heard, levels, strict=True):
            self._memories = net().remember(self._memories, block)
            loudest = float(level.max())
            self._levels_db.append(loudest)
            self._loudness.append(_ramp(loudest, self._hearing.peak_db - RANGE_DB, self._hearing.peak_db))
        kept = self.look_ahead // BLOCK + 1
        self._levels_db, self._loudness = self._levels_db[-kept:], self._loudness[-kept:]

    def _presence(self) -> float:
        return _ramp(max(self._levels_db), *SPEECH_DB)


def articulation(face: list[float], presence: float, loudness: float) -> Articulation:
    """Return what lips do; nothing where nobody speaks.

    Args:
        face: what the net says, 0-1 each: open, round, wide, close, fv, tongue, teeth, speaking.
        presence: 0-1, how sure it is by the level alone that somebody speaks.
        loudness: 0-1.
    """
    open_, round_, wide, close, fv, tongue, teeth, speaking = face
    speaking = presence * _ramp(speaking, *SPEAKING)
    if speaking <= 0:
        return Articulation()
    wide *= 1 - round_
    open_ = min(LIVELINESS * open_, 1.0) * (1 - ROUND_NARROWING * round_)
    open_ -= min(TONGUE_RAISING * tongue, open_ / 2)
    uplip, lolip = 0.20 * teeth + 0.30 * fv, 0.30 * teeth + 0.10 * wide
    parted = OPENED_BY_UPPER_LIP * uplip + OPENED_BY_LOWER_LIP * lolip
    return Articulation(
        open=speaking * min(max(open_ - parted * (1 - close), 0.0), LARGEST_OPENING),
        round=speaking * round_,
        wide=speaking * wide,
        close=speaking * close,
        fv=speaking * fv,
        uplip=speaking * uplip * (1 - close),
        lolip=speaking * lolip * (1 - close),
        tongue=speaking * tongue,
        speaking=speaking,
        loudness=speaking * loudness,
    )


def _ramp(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0)

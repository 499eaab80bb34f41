"""Owns where the segments of a microphone begin and end: when speech is heard, and after a pause. Pure.

A microphone never ends. The service's LIVE mode idles between segments and blends into and out of them, so the
sound is cut into utterances: the gate opens when it is louder than the room, and closes once it was quiet for a while.
It works on blocks of 10 ms, counted from the first sample, so it makes no difference how the sound was cut into
pieces.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar_service.gateway.hls.tracks import SOUND_RATE_HZ

Speech = NDArray[np.int16]

BLOCK: Final = SOUND_RATE_HZ // 100
_BLOCKS_PER_S: Final = 100

_OPENS: Final = 2
"""Loud blocks in a row that open the gate; a click is shorter."""
_BEFORE: Final = 8
"""Blocks from before it opened that belong to the segment: quiet consonants. They cost no time, because the first
frame waits longer than that for its look-ahead."""
_HANG_OVER: Final = 60
"""Quiet blocks in a row that close it: longer than the pauses within a sentence."""
_REARMS: Final = 20
"""Quiet blocks behind an interruption after which speech opens it again."""

_ROOM: Final = 3 * _BLOCKS_PER_S
"""Blocks of which the quietest is taken for the noise of the room."""
_ABOVE_ROOM_DB: Final = 10.0
_LOWEST_DB: Final = -45.0
"""Never opens below it, however quiet the room."""
_HIGHEST_DB: Final = -25.0
"""Always opens above it, however loud the room."""
_HYSTERESIS_DB: Final = 5.0
"""The open gate takes this much less for speech."""
_SILENCE_DB: Final = -100.0


class Step(Enum):
    """What happens to the segment."""

    OPEN = "open"
    SPEAK = "speak"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Cut:
    """One step, and the samples that it sends, int16 ``[n]``."""

    step: Step
    samples: Speech


_NOTHING: Final = np.zeros(0, np.int16)


class Gate:
    """The gate of one microphone."""

    def __init__(self) -> None:
        self._rest = _NOTHING
        self._before: deque[Speech] = deque(maxlen=_BEFORE)
        self._room: deque[float] = deque(maxlen=_ROOM)
        self._loud = 0
        self._quiet = 0
        self._is_armed = True
        self.is_open = False

    def push(self, samples: Speech) -> list[Cut]:
        """Take samples at 48 kHz; return what they come to, joined."""
        sound = np.concatenate([self._rest, samples])
        whole = sound.size // BLOCK * BLOCK
        self._rest = sound[whole:]
        cuts: list[Cut] = []
        for block in sound[:whole].reshape(-1, BLOCK):
            self._take(block, cuts)
        return cuts

    def interrupt(self) -> None:
        """Shut the gate until the speaker has paused: the rest of what he is saying is not to be shown."""
        if self.is_open:
            self._shut()
            self._is_armed = False

    def finish(self) -> list[Cut]:
        """End the segment that is open: no more sound comes from here."""
        was_open = self.is_open
        self._shut()
        self._rest = _NOTHING
        return [Cut(Step.CLOSE, _NOTHING)] if was_open else []

    def _take(self, block: Speech, cuts: list[Cut]) -> None:
        level = _level_db(block)
        self._room.append(level)
        if level >= self._threshold_db():
            self._loud, self._quiet = self._loud + 1, 0
        else:
            self._loud, self._quiet = 0, self._quiet + 1
        if not self.is_open:
            self._listen(block, cuts)
        elif self._quiet >= _HANG_OVER:
            self._shut()
            cuts.append(Cut(Step.CLOSE, _NOTHING))
        else:
            _say(cuts, block)

    def _listen(self, block: Speech, cuts: list[Cut]) -> None:
        self._before.append(block)
        self._is_armed = self._is_armed or self._quiet >= _REARMS
        if self._is_armed and self._loud >= _OPENS:
            self.is_open = True
            cuts.append(Cut(Step.OPEN, _NOTHING))
            _say(cuts, np.concatenate(list(self._before)))
            self._before.clear()

    def _shut(self) -> None:
        self.is_open = False
        self._before.clear()
        self._loud = self._quiet = 0

    def _threshold_db(self) -> float:
        threshold = min(max(min(self._room) + _ABOVE_ROOM_DB, _LOWEST_DB), _HIGHEST_DB)
        return threshold - _HYSTERESIS_DB if self.is_open else threshold


def _say(cuts: list[Cut], samples: Speech) -> None:
    if cuts and cuts[-1].step is Step.SPEAK:
        samples = np.concatenate([cuts.pop().samples, samples])
    cuts.append(Cut(Step.SPEAK, samples))


def _level_db(block: Speech) -> float:
    """Return the level in dB of full scale."""
    power = float(np.mean(np.square(block.astype(np.float64))))
    return 10 * math.log10(power / 2**30) if power > 0 else _SILENCE_DB

"""Owns how much of the motion is shown: all of it while somebody speaks, hardly any in silence. Knows no motion.

Models of this kind go on mouthing in pauses. So the motion is drawn towards the portrait's own, which is at rest, by
how surely somebody speaks; that is said by the net of the portrait engine, which learned it from speech and noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from avatar_service.engine.base import Samples
from avatar_service.engine.imtalker.sound import FRAME
from avatar_service.engine.portrait.voice import Voice

OPENING: Final = 0.25
"""Most that the gate opens in a frame. It hears what follows, so it is open when speech begins."""
CLOSING: Final = 0.125
"""Most that it closes: the head comes to rest with the lips, and must not snap back."""
SHUTTING: Final = 0.5
"""The same after speech was cut off: two frames later the lips are shut."""
SWAY: Final = 0.15
"""What is shown of the motion in silence, so that a silent face lives."""
EASE: Final = 5
"""Frames over which the gate closes before the end of a segment at most."""
BLOCKS: Final = (4, 2)
"""Frames of look-ahead that the net can make use of."""


@dataclass(slots=True)
class Gate:
    """One session's gate.

    Attributes:
        voice: what is remembered of the segment's sound; ``None`` holds the gate open.
        ease: frames over which it closes before the end of a segment, if that end is in sight.
        open: how far it is open, 0-1.
    """

    voice: Voice | None
    ease: int
    open: float = 0.0

    @classmethod
    def hearing(cls, look_ahead: int) -> Gate:
        """Return a closed gate that hears so many frames ahead; one that hears too few stays open."""
        blocks = next((blocks for blocks in BLOCKS if blocks <= look_ahead), None)
        return cls.held_open() if blocks is None else cls(Voice(blocks * FRAME), min(EASE, look_ahead))

    @classmethod
    def held_open(cls) -> Gate:
        """Return a gate that stays open."""
        return cls(None, 0, 1.0)

    def renew(self) -> None:
        """Forget the sound: a new segment begins."""
        if self.voice is not None:
            self.voice = Voice(self.voice.look_ahead)

    def listen(self, sound: Samples, remaining: int) -> float:
        """Return how far the gate is open in the next frame of speech, and move on by it.

        Args:
            sound: from the frame's first sample on, with the look-ahead.
            remaining: frames from this one to the end of the segment, as far as that is in sight.
        """
        if self.voice is None:
            return 1.0
        speaking = self.voice.articulate(sound[: FRAME + self.voice.look_ahead]).speaking
        step = min(max(speaking - self.open, -CLOSING), OPENING)
        self.open = min(self.open + step, max(remaining - 1, 0) / self.ease)
        return self.open

    def rest(self, *, cut: bool) -> float:
        """Return how far it is open in the next frame without sound, and move on by it."""
        if self.voice is not None:
            self.open = max(0.0, self.open - (SHUTTING if cut else CLOSING))
        return self.open


def shown(open_: float, liveliness: float) -> float:
    """Return the share of the motion that is shown.

    Args:
        open_: how far the gate is open, 0-1.
        liveliness: how much the head moves by itself, 0-2.
    """
    share = open_ * open_ * (3 - 2 * open_)
    return share + (1 - share) * SWAY * liveliness

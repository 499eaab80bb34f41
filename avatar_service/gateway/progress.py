"""Owns the figures of a session: what it has been fed and has shown, and how late."""

from __future__ import annotations

import math
import statistics
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from avatar_service.gateway.hls.tracks import SOUND_RATE_HZ

if TYPE_CHECKING:
    from avatar_client import Ready, Video

_FRAMES: Final = 250
"""Frames whose lateness is remembered: 10 s."""

_SENDINGS: Final = 4096
_WARNINGS: Final = 16


class Progress:
    """The figures of one session.

    Lateness is the arrival of a frame minus the sending of the last audio that it needs: its own span and the
    engine's look-ahead.

    Args:
        clock: monotonic seconds.

    Attributes:
        created: when the session began.
        first_frame_ms: from the first feed to the first frame; ``None`` before that.
        is_processing: whether the service is at work.
        buffered_s: speech that the service holds.
        warnings: what the service had to remark.
        engine: its name; empty before the first call.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began_s = clock()
        self._fed_s: float | None = None
        self._sendings: deque[tuple[int, float]] = deque(maxlen=_SENDINGS)
        self._sent = 0
        self._look_ahead_s = 0.0
        self._fps = 1
        self._lateness_s: deque[float] = deque(maxlen=_FRAMES)
        self.created = datetime.now(UTC)
        self.first_frame_ms: float | None = None
        self.is_processing = False
        self.buffered_s = 0.0
        self.warnings: deque[str] = deque(maxlen=_WARNINGS)
        self.engine = ""

    @property
    def uptime_s(self) -> float:
        """Seconds since the session began."""
        return self._clock() - self._began_s

    @property
    def lateness_ms(self) -> float | None:
        """Median of the last 10 s; ``None`` before the first frame."""
        return 1000 * statistics.median(self._lateness_s) if self._lateness_s else None

    def begin_call(self, ready: Ready) -> None:
        """A call is open."""
        self.engine = ready.engine
        self._fps = ready.fps
        self._look_ahead_s = ready.look_ahead.ToTimedelta().total_seconds()
        self._sendings.clear()
        self._sent = 0

    def end_call(self) -> None:
        """The call is over, and the service holds nothing."""
        self.is_processing = False
        self.buffered_s = 0.0

    def fed(self) -> None:
        """Speech came from the client."""
        if self._fed_s is None:
            self._fed_s = self._clock()

    def sent(self, samples: int) -> None:
        """So many samples at 48 kHz went to the service."""
        self.is_processing = True  # until it says otherwise
        self._sent += samples
        self._sendings.append((self._sent, self._clock()))

    def seen(self) -> None:
        """A frame of speech came."""
        if self.first_frame_ms is None and self._fed_s is not None:
            self.first_frame_ms = 1000 * (self._clock() - self._fed_s)

    def shown(self, video: Video) -> None:
        """A frame came that was made as soon as it could be, so that its lateness says something."""
        now = self._clock()
        self.seen()
        needed = math.ceil(((video.frame_index + 1) / self._fps + self._look_ahead_s) * SOUND_RATE_HZ)
        while len(self._sendings) > 1 and self._sendings[0][0] < needed:
            self._sendings.popleft()
        if self._sendings:
            self._lateness_s.append(now - self._sendings[0][1])

"""Owns which sound belongs to which frame: to speech the span of the input that it shows, else silence. Pure.

Sound and picture are in step because they are paired before they are sent, and each pair has one time.
"""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from avatar_service.gateway.hls.tracks import SOUND_RATE_HZ
from avatar_service.gateway.live.gate import Speech

if TYPE_CHECKING:
    from avatar_client import Video

TICKS_PER_S: Final = 90_000
_FILLED: Final = 25
"""Frames left out whose sound is still given; behind a longer gap the sound starts afresh."""
_SEGMENTS: Final = 8
"""Segments whose sound is kept: the one that is shown, and what came early."""
_DELAYS: Final = 250


@dataclass(slots=True)
class _Heard:
    """The sound of one segment from sample ``start`` on, and when each piece of it came, by its last sample."""

    start: int = 0
    total: int = 0
    kept: Speech = field(default_factory=lambda: np.zeros(0, np.int16))
    arrivals: deque[tuple[int, float]] = field(default_factory=deque)


@dataclass(frozen=True, slots=True)
class Sound:
    """What is heard with a frame, and with those left out before it.

    Attributes:
        start: its first sample on the session's clock of 48 kHz.
        samples: int16 ``[n]``.
        joins: whether it goes on where the last one ended.
    """

    start: int
    samples: Speech
    joins: bool


class Pairing:
    """The sound of one live session."""

    def __init__(self) -> None:
        self._segments: dict[str, _Heard] = {}
        self._next_pts: int | None = None
        self._delays_s: deque[float] = deque(maxlen=_DELAYS)

    @property
    def delay_ms(self) -> float | None:
        """From the arrival of a frame's last sample to that of the frame, median of the last 10 s of speech."""
        return 1000 * statistics.median(self._delays_s) if self._delays_s else None

    def hear(self, segment_id: str, samples: Speech, now: float | None) -> None:
        """Take sound of a segment that goes to the service now; ``None`` where its delay would say nothing."""
        heard = self._segments.setdefault(segment_id, _Heard())
        heard.kept = np.concatenate([heard.kept, samples])
        heard.total += samples.size
        if now is not None:
            heard.arrivals.append((heard.total, now))
        while len(self._segments) > _SEGMENTS:
            del self._segments[next(iter(self._segments))]

    def forget(self, segment_id: str) -> None:
        """The segment is over."""
        self._segments.pop(segment_id, None)

    def show(self, video: Video, now: float) -> Sound:
        """Return the sound of a frame that came now; frames come once each, in order."""
        missing = 0 if self._next_pts is None else (video.pts - self._next_pts) // video.duration
        joins = self._next_pts is not None and missing <= _FILLED
        missing = missing if joins else 0
        self._next_pts = video.pts + video.duration
        length = video.duration * SOUND_RATE_HZ // TICKS_PER_S
        first = video.frame_index - missing
        heard = self._segments.get(video.segment_id)
        start = (video.pts - missing * video.duration) * SOUND_RATE_HZ // TICKS_PER_S
        if heard is None or not video.segment_id:
            return Sound(start, np.zeros((missing + 1) * length, np.int16), joins)
        end = (video.frame_index + 1) * length
        self._note_delay(heard, end, now)
        return Sound(start, _taken(heard, first * length, end), joins)

    def _note_delay(self, heard: _Heard, end: int, now: float) -> None:
        while len(heard.arrivals) > 1 and heard.arrivals[0][0] < end:
            heard.arrivals.popleft()
        if heard.arrivals:
            self._delays_s.append(now - heard.arrivals[0][1])


def _taken(heard: _Heard, first: int, end: int) -> Speech:
    """Return the samples ``[first, end)``, with silence where there are none, and keep only what is behind them."""
    sound = np.zeros(end - first, np.int16)
    low, high = max(first, heard.start), min(end, heard.total)
    if high > low:
        sound[low - first : high - first] = heard.kept[low - heard.start : high - heard.start]
    drop = max(0, min(end, heard.total) - heard.start)
    heard.kept = heard.kept[drop:]
    heard.start += drop
    return sound

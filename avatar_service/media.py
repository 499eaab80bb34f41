"""Owns the arithmetic of media time: samples, frames and pts. Integers only; the clock is the sample count.

Frame *i* of a segment covers its samples ``[i * 640, (i + 1) * 640)`` at 16 kHz and 25 fps. Nothing here reads
a wall clock.
"""

from __future__ import annotations

from typing import Final

SAMPLE_RATE_HZ: Final = 16_000
"""Sample rate of all audio behind the border, in Hz."""

TIME_BASE_HZ: Final = 90_000
"""Ticks per second of every pts and duration: the clock of RTP video and MPEG-TS."""


def samples_per_frame(fps: int) -> int:
    """Return the samples that one frame covers.

    Raises:
        ValueError: if ``fps`` does not divide the sample rate and the time base, which would make frames uneven.
    """
    if fps <= 0 or SAMPLE_RATE_HZ % fps or TIME_BASE_HZ % fps:
        msg = f"{fps} fps does not divide {SAMPLE_RATE_HZ} Hz and {TIME_BASE_HZ} ticks/s"
        raise ValueError(msg)
    return SAMPLE_RATE_HZ // fps


def frames_for(samples: int, fps: int) -> int:
    """Return how many frames a finished segment of ``samples`` 16 kHz samples has: ``ceil(samples * fps / 16000)``."""
    return -(-samples // samples_per_frame(fps))


def resampled_length(samples: int, rate_hz: int) -> int:
    """Return the 16 kHz samples that stand for ``samples`` at ``rate_hz``: ``ceil(samples * 16000 / rate_hz)``.

    Rounding up keeps the frame count exact: ``ceil(ceil(16000 n / r) / 640) == ceil(25 n / r)``.
    """
    return -(-samples * SAMPLE_RATE_HZ // rate_hz)


def ticks_per_frame(fps: int) -> int:
    """Return the duration of one frame in ticks of 1/90000 s."""
    return TIME_BASE_HZ // fps

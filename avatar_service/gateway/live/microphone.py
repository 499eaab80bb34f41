"""Owns the sound that a peer sends: whatever it comes as, 48 kHz mono leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from av.audio.resampler import AudioResampler

from avatar_service.gateway.hls.tracks import SOUND_RATE_HZ

if TYPE_CHECKING:
    import av

    from avatar_service.gateway.live.gate import Speech

_NOTHING: Final = np.zeros(0, np.int16)


class Microphone:
    """The frames of one peer, joined; where their format changes, the resampling starts afresh."""

    def __init__(self) -> None:
        self._shape: tuple[str, str, int] | None = None
        self._resampler = AudioResampler(format="s16", layout="mono", rate=SOUND_RATE_HZ)

    def hear(self, frame: av.AudioFrame) -> Speech:
        """Return the samples that a frame completes."""
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._shape:
            self._shape = shape
            self._resampler = AudioResampler(format="s16", layout="mono", rate=SOUND_RATE_HZ)
        frame.pts = None  # what was lost on the way is left out
        pieces = [np.asarray(piece.to_ndarray().reshape(-1), np.int16) for piece in self._resampler.resample(frame)]
        return np.concatenate(pieces) if pieces else _NOTHING

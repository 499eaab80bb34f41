"""Owns the sound track: 48 kHz speech in, AAC frames out, one encoder a take.

48 kHz whatever the speech was: an AAC frame has 1024 samples, so it is 21 ms long here and would be 128 ms at 8 kHz,
and the encoder holds two of them back.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

from avatar_service.gateway.hls.fragment import Run, Sample
from avatar_service.gateway.hls.tracks import SOUND_RATE_HZ

FRAME_SAMPLES: Final = 1024
PRIMING: Final = 1024
"""Samples that the encoder puts before the first one of the speech.

They are left out. An edit list could tell players to drop them, but in fragmented files FFmpeg does not heed it and
others do, so that the sound would be 21 ms late in some. What is lost is the overlap with silence: the first 21 ms of
a take fade in.
"""

BITRATE: Final = 64_000

Speech = NDArray[np.int16]


class SoundTrack:
    """The sound of one take.

    Args:
        track: its number in the file.
    """

    def __init__(self, track: int) -> None:
        self._track = track
        self._context = encoder()
        self._frames: deque[Sample] = deque()
        self._decode_time = 0
        self.samples = 0

    def push(self, speech: Speech) -> None:
        """Encode what is spoken next."""
        if not speech.size:
            return
        frame = av.AudioFrame.from_ndarray(
            (speech.astype(np.float32) / np.float32(32768))[np.newaxis], format="fltp", layout="mono"
        )
        frame.sample_rate = SOUND_RATE_HZ
        frame.pts = self.samples
        frame.time_base = Fraction(1, SOUND_RATE_HZ)
        self.samples += speech.size
        self._take(frame)

    def pad(self, samples: int) -> None:
        """Add silence until there are ``samples`` in all."""
        self.push(np.zeros(max(0, samples - self.samples), np.int16))

    def finish(self) -> None:
        """Encode the rest; nothing may follow."""
        if self.samples:
            self._take(None)

    def until(self, samples: int) -> Run | None:
        """Return the frames not returned before that start within the first ``samples`` of the speech."""
        start = self._decode_time
        taken = []
        while self._frames and self._decode_time < samples:
            taken.append(self._frames.popleft())
            self._decode_time += taken[-1].duration
        return Run(self._track, start, tuple(taken)) if taken else None

    def _take(self, frame: av.AudioFrame | None) -> None:
        self._frames.extend(
            Sample(bytes(packet), packet.duration or FRAME_SAMPLES)
            for packet in self._context.encode(frame)
            if packet.pts is None or packet.pts >= 0
        )


def encoder() -> AudioCodecContext:
    """Return an AAC encoder for 48 kHz mono, ready."""
    context = av.CodecContext.create("aac", "w")
    assert isinstance(context, AudioCodecContext)
    context.sample_rate = SOUND_RATE_HZ
    context.layout = "mono"
    context.format = "fltp"
    context.bit_rate = BITRATE
    context.time_base = Fraction(1, SOUND_RATE_HZ)
    context.open()
    return context

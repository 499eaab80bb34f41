"""Owns the sound of a live session as Opus: encoded once, whatever the number of viewers."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from avatar_service.gateway.hls.tracks import SOUND_RATE_HZ
from avatar_service.gateway.live.gate import Speech
from avatar_service.gateway.live.pairing import Sound

PACKET_SAMPLES: Final = SOUND_RATE_HZ // 50
TIME_BASE: Final = Fraction(1, SOUND_RATE_HZ)
_BIT_RATE: Final = 64_000


class OpusStream:
    """One stream of 20 ms packets. The mode without speech prediction delays by 2.5 ms only."""

    def __init__(self) -> None:
        context = av.CodecContext.create("libopus", "w")
        assert isinstance(context, AudioCodecContext)
        context.bit_rate = _BIT_RATE
        context.format = "s16"
        context.layout = "mono"
        context.sample_rate = SOUND_RATE_HZ
        context.time_base = TIME_BASE
        context.options = {"application": "lowdelay", "frame_duration": "20"}
        self._context = context
        self._waiting = np.zeros(0, np.int16)
        self._next = 0

    def push(self, sound: Sound) -> list[av.Packet[av.stream.Stream]]:
        """Return the packets that ``sound`` completes; each has the time of its first sample."""
        if not sound.joins:
            self._waiting = np.zeros(0, np.int16)
            self._next = sound.start
        self._waiting = np.concatenate([self._waiting, sound.samples])
        whole = self._waiting.size // PACKET_SAMPLES * PACKET_SAMPLES
        pieces = self._waiting[:whole].reshape(-1, PACKET_SAMPLES)
        self._waiting = self._waiting[whole:]
        return [self._packet(piece) for piece in pieces]

    def _packet(self, piece: Speech) -> av.Packet[av.stream.Stream]:
        frame = av.AudioFrame.from_ndarray(piece[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = SOUND_RATE_HZ
        (encoded,) = self._context.encode(frame)
        packet = av.Packet(bytes(encoded))
        packet.pts = self._next
        packet.time_base = TIME_BASE
        self._next += PACKET_SAMPLES
        return packet

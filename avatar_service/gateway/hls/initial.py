"""Owns the initialisation segment: what the tracks are, and none of their samples. PyAV's muxer writes it."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from typing import Final

import av
import numpy as np

from avatar_service.gateway.hls.sound import BITRATE, PRIMING
from avatar_service.gateway.hls.tracks import SOUND_RATE_HZ
from avatar_service.media import TIME_BASE_HZ

_OPTIONS: Final = {
    # delay_moov: the parameter sets of the video are only known from its first keyframe.
    "movflags": "+empty_moov+delay_moov+default_base_moof+cmaf+skip_trailer",
    "video_track_timescale": str(TIME_BASE_HZ),
}


def initialisation(keyframe: bytes, width: int, height: int, fps: int) -> bytes:
    """Return ``ftyp`` and ``moov`` of a file with H.264 in track 1 and 48 kHz mono AAC in track 2.

    Args:
        keyframe: an access unit (Annex B) with parameter sets.
        width: pixels.
        height: pixels.
        fps: frames per second.
    """
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", container_options=dict(_OPTIONS)) as container:
        video = container.add_mux_stream("h264", rate=fps, width=width, height=height)
        sound = container.add_stream("aac", rate=SOUND_RATE_HZ, layout="mono")
        sound.bit_rate = BITRATE
        packet = av.Packet(keyframe)
        packet.stream = video
        packet.time_base = Fraction(1, TIME_BASE_HZ)
        packet.pts = packet.dts = 0
        packet.duration = TIME_BASE_HZ // fps
        packet.is_keyframe = True
        container.mux(packet)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 2 * PRIMING), np.float32), format="fltp", layout="mono")
        silence.sample_rate = SOUND_RATE_HZ
        silence.pts = 0
        for heard in (*sound.encode(silence), *sound.encode(None)):
            heard.pts = heard.dts = (heard.pts or 0) + PRIMING  # no priming, so that no edit list declares it
            container.mux(heard)
    return _before_fragments(file.getvalue())


def _before_fragments(content: bytes) -> bytes:
    at = 0
    while content[at + 4 : at + 8] in {b"ftyp", b"moov"}:
        at += struct.unpack_from(">I", content, at)[0]
    return content[:at]

"""The sound that a peer sends."""

from __future__ import annotations

import av
import numpy as np
import pytest

from avatar_service.gateway.live.microphone import Microphone


def frames(rate_hz: int, layout: str, seconds: float) -> list[av.AudioFrame]:
    """Return a tone of 440 Hz in frames of 20 ms."""
    length = rate_hz // 50
    sound = (np.sin(np.arange(round(seconds * rate_hz)) * 2 * np.pi * 440 / rate_hz) * 8000).astype(np.int16)
    channels = 2 if layout == "stereo" else 1
    made = []
    for piece in sound.reshape(-1, length):
        frame = av.AudioFrame.from_ndarray(np.repeat(piece, channels)[np.newaxis], format="s16", layout=layout)
        frame.sample_rate = rate_hz
        made.append(frame)
    return made


@pytest.mark.parametrize(
    ("rate_hz", "layout"), [(48_000, "stereo"), (48_000, "mono"), (16_000, "mono"), (8_000, "mono")]
)
def test_any_rate_becomes_48_khz_mono(rate_hz: int, layout: str) -> None:
    """With the same pitch, loudness and length, but for what the resampling holds back."""
    microphone = Microphone()
    sound = np.concatenate([microphone.hear(frame) for frame in frames(rate_hz, layout, 1.0)]).astype(float)
    assert sound.size == pytest.approx(48_000, abs=200)
    spectrum = np.abs(np.fft.rfft(sound))
    assert np.argmax(spectrum) * 48_000 / sound.size == pytest.approx(440, abs=2)
    assert np.abs(sound[2000:-2000]).max() == pytest.approx(8000, rel=0.05)


def test_a_change_of_format_is_followed() -> None:
    """As when a peer goes over to another codec."""
    microphone = Microphone()
    pieces = [microphone.hear(frame) for frame in frames(48_000, "stereo", 0.2) + frames(8_000, "mono", 0.2)]
    assert sum(piece.size for piece in pieces) == pytest.approx(0.4 * 48_000, abs=300)

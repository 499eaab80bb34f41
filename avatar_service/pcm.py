"""Owns the form that speech has between the front and a worker: 16 kHz mono 16-bit PCM, as bytes. Pure.

Most clients send just that, so it is handed on untouched; what comes with more than 16 bits is rounded.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Pcm: TypeAlias = bytes
"""Mono signed 16-bit little-endian samples; ``PCM_BYTES`` each."""
Samples: TypeAlias = NDArray[np.float32]

PCM: Final = np.dtype("<i2")
PCM_BYTES: Final = PCM.itemsize
_FULL_SCALE: Final = np.float32(32768)


def to_samples(pcm: Pcm) -> Samples:
    """Return the samples ``[n]`` float32 in [-1, 1)."""
    return np.frombuffer(pcm, PCM).astype(np.float32) / _FULL_SCALE


def to_pcm(samples: Samples) -> Pcm:
    """Return samples ``[n]`` in [-1, 1], rounded to 16 bits and clipped to what they can say."""
    return np.asarray(np.clip(np.rint(samples * _FULL_SCALE), -32768, 32767), PCM).tobytes()

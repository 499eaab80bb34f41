"""Owns the noise that motion is made of: numbered by frame, so that it depends on nothing but the seed and the frame.

Overlapping clips of consecutive hops draw the same noise for the frames that they share, results do not depend on how
audio was chunked, and every device gets the same numbers, because they are made on the host.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

WIDTH: Final = 32
"""Numbers a row of motion has."""
_BLOCK: Final = 4
"""Numbers that one value of the counter becomes."""


def frame_noise(seed: int, track: int, first: int, frames: int) -> NDArray[np.float32]:
    """Return standard normal numbers ``[frames, WIDTH]`` float32 for the frames from ``first`` on.

    Philox (Salmon et al. 2011) is a bijection of a counter under a key, so row *i* needs no row before it. Its raw
    stream is fixed for ever, unlike NumPy's way to normal numbers; so that way is ours: Box and Muller 1958.

    Args:
        seed: of the session, below 2**64.
        track: what the frames are numbered in: a session's segment, or its idling.
        first: number of the first frame.
        frames: how many.
    """
    source = np.random.Philox(counter=[first * WIDTH // _BLOCK, 0, track, 0], key=seed)
    uniform = (source.random_raw(frames * WIDTH).reshape(frames, WIDTH) >> np.uint64(11)) * 2.0**-53
    radius = np.sqrt(-2 * np.log1p(-uniform[:, : WIDTH // 2]))
    angle = 2 * np.pi * uniform[:, WIDTH // 2 :]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)

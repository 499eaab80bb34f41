"""Owns the fake engine: cheap, deterministic frames that show what they were made of, with a cost knob.

It ships, because tests, load tests and benchmarks of everything around an engine use it: every frame carries its
own number and a digest of the audio it was made for; idle frames and what was controlled can be told from them too.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from avatar_service import media
from avatar_service.engine.base import (
    EngineSpec,
    Motion,
    MotionStep,
    Notice,
    Parameters,
    Portrait,
    PrepareOptions,
    Preset,
    RenderStep,
    Timing,
)
from avatar_service.frame import Frame, PixelFormat, to_i420
from avatar_service.plain import Plain

_FPS: Final = 25
_CELL: Final = 8
_BITS: Final = 16
_LEVEL: Final = 0
_NUMBER: Final = 1
_DIGEST: Final = 2
_IDLE: Final = 3
_CONTROLS: Final = 4
_COLUMNS: Final = 5
_FALL: Final = 0.2
"""How far the bar falls in an idle frame."""


@dataclass(frozen=True, slots=True)
class FakeAvatar:
    """The portrait, resized to a square."""

    picture: Frame
    frame_size: tuple[int, int]
    notices: tuple[Notice, ...] = ()

    @property
    def nbytes(self) -> int:
        """Memory of the picture."""
        return self.picture.nbytes


@dataclass(slots=True)
class FakeState(Plain):
    """A running digest of all audio that the session's frames were made for.

    Attributes:
        digest: of the audio.
        frames: made for audio.
        idle: frames made without.
        controls: a digest of what was controlled; 0 before that.
        level: of the bar in the last frame.
    """

    digest: int
    frames: int = 0
    idle: int = 0
    controls: int = 0
    level: float = 0.0


class FakeEngine:
    """Draws the sound's level as a bar, and the frame's number and the audio's digest as squares.

    Args:
        size: side of the frames in pixels; even, at least 128.
        hop_frames: frames a motion step makes.
        look_ahead: samples a step sees beyond its hop; half of them with the preset LOWEST_LATENCY.
        cost_ms: time a frame takes to render, spent asleep as a CPU waits for a GPU.
    """

    def __init__(self, size: int = 128, hop_frames: int = 1, look_ahead: int = 1600, cost_ms: float = 0.0) -> None:
        self._size = size
        self._cost_s = cost_ms / 1000
        self.spec = EngineSpec(
            name="fake",
            version="1",
            fps=_FPS,
            hop_frames=hop_frames,
            look_ahead=look_ahead,
            context=media.samples_per_frame(_FPS),
            max_batch=4,
            device="cpu",
            presets={Preset.LOWEST_LATENCY: Timing(hop_frames, look_ahead // 2)},
        )

    def warmup(self) -> FakeAvatar:
        """Load nothing; return a grey avatar."""
        return self.prepare(np.full((self._size, self._size, 3), 127, np.uint8), PrepareOptions())

    def prepare(self, portrait: Portrait, options: PrepareOptions) -> FakeAvatar:  # noqa: ARG002 - the contract's
        """Return the portrait at the engine's size."""
        size = (self._size, self._size)
        picture = cv2.resize(portrait, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        return FakeAvatar(picture, size)

    def open(self, avatar: FakeAvatar, parameters: Parameters) -> FakeState:  # noqa: ARG002 - the contract's
        """Return a state whose digest starts from the seed."""
        return FakeState(digest=parameters.seed & 0xFFFFFFFF)

    def switch(self, state: FakeState, avatar: FakeAvatar) -> FakeState:  # noqa: ARG002 - the contract's
        """Return the same state: it knows of no picture."""
        return state

    def motion(self, steps: Sequence[MotionStep]) -> list[Motion]:
        """Return ``[T, 5]`` rows: level, frames heard, digest of the audio, idle frames, digest of the controls."""
        return [self._rows(step) for step in steps]

    def at_rest(self, state: FakeState) -> bool:
        """Say whether the bar is down."""
        return not state.level

    def _rows(self, step: MotionStep) -> Motion:
        state: FakeState = step.state
        rows = np.zeros((step.frames, _COLUMNS), np.float32)
        if step.controls is not None:
            state.controls = zlib.crc32(repr(step.controls).encode(), state.controls)
        if step.idle:
            state.idle += 1
            state.level = max(0.0, state.level - _FALL)
            rows[0] = (state.level, state.frames, state.digest & 0xFFFF, state.idle, state.controls & 0xFFFF)
            return rows
        for i in range(step.frames):
            start = self.spec.context + i * self.spec.frame_samples
            seen = step.window[start : step.window.size - (step.frames - 1 - i) * self.spec.frame_samples]
            state.digest = zlib.crc32(np.ascontiguousarray(seen).tobytes(), state.digest)
            own = seen[: self.spec.frame_samples]
            state.level = float(np.sqrt(np.mean(own * own)))
            rows[i] = (state.level, state.frames, state.digest & 0xFFFF, 0, state.controls & 0xFFFF)
            state.frames += 1
        return rows

    def render(self, steps: Sequence[RenderStep]) -> list[Frame]:
        """Return one picture per step."""
        if self._cost_s:
            time.sleep(self._cost_s * len(steps))
        return [self._draw(step) for step in steps]

    def _draw(self, step: RenderStep) -> Frame:
        avatar = step.avatar
        assert isinstance(avatar, FakeAvatar)
        frame = avatar.picture.copy()
        bar = round(min(1.0, float(step.motion[_LEVEL]) * 4) * self._size)
        frame[self._size - bar :, -_CELL:] = (255, 64, 64)
        for row, column in enumerate((_NUMBER, _DIGEST, _IDLE, _CONTROLS)):
            number = int(step.motion[column])
            if number or column in {_NUMBER, _DIGEST}:
                _draw_bits(frame, number & 0xFFFF, row * _CELL)
        return to_i420(frame) if step.pixel_format is PixelFormat.I420 else frame


def _draw_bits(frame: Frame, number: int, top: int) -> None:
    side = _CELL - 1
    for bit in range(_BITS):
        frame[top : top + side, bit * side : (bit + 1) * side] = 255 if number >> bit & 1 else 0


def read_number(frame: Frame, row: int = 0) -> int:
    """Return the number drawn in a frame, of 16 bits.

    Row 0 is the frame's own, row 1 the audio's digest; row 2 of an idle frame is which of them it is, from 1; row 3 is
    the digest of the controls, once there were some.

    Args:
        frame: RGB ``[H, W, 3]`` at the engine's own size; survives lossy codecs.
        row: which number.
    """
    side = _CELL - 1
    middle = row * _CELL + side // 2
    return sum((int(frame[middle, bit * side + side // 2].max()) > 127) << bit for bit in range(_BITS))  # noqa: PLR2004


def create(size: str = "128", hop_frames: str = "1", look_ahead: str = "1600", cost_ms: str = "0") -> FakeEngine:
    """Return a fake engine from options as the command line gives them."""
    return FakeEngine(int(size), int(hop_frames), int(look_ahead), float(cost_ms))

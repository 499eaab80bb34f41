"""Owns the portrait engine: the contract's methods over the modules beside it. Knows nothing of sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from avatar_service.assets import asset_path
from avatar_service.engine.base import (
    Avatar,
    EngineSpec,
    Motion,
    MotionStep,
    Parameters,
    Portrait,
    PrepareOptions,
    Preset,
    RenderStep,
    State,
    Timing,
)
from avatar_service.engine.portrait.avatar import PortraitAvatar
from avatar_service.engine.portrait.motion import MotionState, open_motion
from avatar_service.engine.portrait.preparation import Preparation
from avatar_service.engine.portrait.render import render_frame
from avatar_service.engine.portrait.rig import WIDTH, Column
from avatar_service.engine.portrait.voice import FRAME, LOOK_AHEADS
from avatar_service.frame import Frame, PixelFormat

SPEC: Final = EngineSpec(
    name="portrait",
    version="2",
    fps=25,
    hop_frames=1,
    look_ahead=LOOK_AHEADS[Preset.BALANCED],
    context=0,
    max_batch=1,  # a core computes frame by frame, so a batch would only delay the first of them
    device="cpu",
    presets={preset: Timing(hop_frames=1, look_ahead=samples) for preset, samples in LOOK_AHEADS.items()},
)


class PortraitEngine:
    """Animates a photograph on one CPU core; see ``docs/portrait.md``."""

    def __init__(self) -> None:
        self._preparation = Preparation()

    @property
    def spec(self) -> EngineSpec:
        """What the engine declares about itself."""
        return SPEC

    def warmup(self) -> PortraitAvatar:
        """Run every stage once on the sample photograph, so that the first session is as fast as the rest."""
        photograph = cv2.imread(str(asset_path("astronaut.png")), cv2.IMREAD_COLOR_RGB)
        avatar = self.prepare(np.asarray(photograph, np.uint8), PrepareOptions())
        state = self.open(avatar, Parameters())
        window = np.zeros(FRAME + SPEC.look_ahead, np.float32)
        rows = self.motion([MotionStep(state, window, 1, 0, window.size)])
        row = rows[0][0].copy()
        row[[Column.OPEN, Column.BLINK, Column.GAZE_X]] = 0.5
        self.render([RenderStep(avatar, row, pixel_format) for pixel_format in PixelFormat])
        return avatar

    def prepare(self, portrait: Portrait, options: PrepareOptions) -> PortraitAvatar:
        """Make an avatar of a portrait; may run beside ``motion`` and ``render``.

        Raises:
            InvalidArgumentError: ``NO_FACE``, ``SMALL_FACE`` or ``BAD_PICTURE``.
        """
        return self._preparation.prepare(portrait, options)

    def open(self, avatar: Avatar, parameters: Parameters) -> MotionState:
        """Return the fresh state of one session."""
        assert isinstance(avatar, PortraitAvatar)
        return open_motion(parameters)

    def switch(self, state: State, avatar: Avatar) -> MotionState:
        """Return the same state: motion knows of no picture."""
        assert isinstance(state, MotionState)
        assert isinstance(avatar, PortraitAvatar)
        return state

    def motion(self, steps: Sequence[MotionStep]) -> list[Motion]:
        """Advance the states; return ``[step.frames, WIDTH]`` rows for each step, columns as in ``rig.Column``."""
        return [_advanced(step.state, step) for step in steps]

    def at_rest(self, state: State) -> bool:
        """Say whether the lips of the last row had come to rest."""
        assert isinstance(state, MotionState)
        return state.at_rest

    def render(self, steps: Sequence[RenderStep]) -> list[Frame]:
        """Return one frame per step, of the avatar's ``frame_size`` in the layout asked for; a fresh array each."""
        return [_rendered(step) for step in steps]


def _advanced(state: State, step: MotionStep) -> Motion:
    assert isinstance(state, MotionState)
    return state.advance(step)


def _rendered(step: RenderStep) -> Frame:
    assert isinstance(step.avatar, PortraitAvatar)
    assert step.motion.shape == (WIDTH,)
    return render_frame(step.avatar, step.motion, step.pixel_format)


def create() -> PortraitEngine:
    """Return the engine. It keeps OpenCV to one thread: a session has one core, and threads would fight over it."""
    cv2.setNumThreads(1)
    return PortraitEngine()

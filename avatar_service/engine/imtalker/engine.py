"""Owns the imtalker engine: the contract's methods over the modules beside it. Knows nothing of sessions' calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Final

import cv2
import numpy as np
import torch

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
from avatar_service.engine.imtalker.adapter import Adapter, load_adapter
from avatar_service.engine.imtalker.avatar import ImtalkerAvatar
from avatar_service.engine.imtalker.clips import Clips
from avatar_service.engine.imtalker.device import chosen_device, guarded, use_threads
from avatar_service.engine.imtalker.drawing import Drawing
from avatar_service.engine.imtalker.gate import Gate
from avatar_service.engine.imtalker.loading import loaded
from avatar_service.engine.imtalker.memory import NFE, Manner, Memory, StreamState, Terms
from avatar_service.engine.imtalker.model import Model
from avatar_service.engine.imtalker.options import Options
from avatar_service.engine.imtalker.preparation import Preparation
from avatar_service.engine.imtalker.sound import FRAME, PAST
from avatar_service.engine.imtalker.stream import CLIP, Draft, begin
from avatar_service.engine.imtalker.tuning import Tuning
from avatar_service.errors import InvalidArgumentError
from avatar_service.frame import Frame

VERSION: Final = "1"
FPS: Final = 25
CPU_BATCH: Final = 1
"""A CPU computes frame by frame, so a batch would only delay the first of them."""
GPU_BATCH: Final = 16
CPU_STEP_S, GPU_STEP_S = 60.0, 10.0
"""Longest that one call may take. On a CPU a hop's clip alone takes seconds, and a full-size frame two."""
SHORT_HOP: Final = 3
LONG_HOP: Final = 40


class ImtalkerEngine:
    """Animates a portrait by the IMTalker networks; see ``docs/imtalker.md``.

    Args:
        model: loaded.
        tuning: what the operator chose.
        adapters: low-rank adapters of the motion generator by the names that sessions ask for.
    """

    def __init__(self, model: Model, tuning: Tuning, adapters: Mapping[str, Adapter]) -> None:
        self._model = model
        self._tuning = tuning
        self._adapters = adapters
        self._preparation = Preparation(model)
        self._clips = Clips(model, adapters)
        self._drawing = Drawing(model, captured=tuning.captured)
        self._spec = _spec(model, tuning)

    @property
    def spec(self) -> EngineSpec:
        """What the engine declares about itself."""
        return self._spec

    @property
    def traits(self) -> dict[str, str]:
        """What the operator may want to know of the networks."""
        parts = {part: str(dtype).removeprefix("torch.") for part, dtype in _parts(self._model)}
        return {
            "weights": f"generation {self._model.generation}, frames of {self._model.side} pixels",
            "precision": ", ".join(f"{part} {dtype}" for part, dtype in parts.items()),
            "adapters": ", ".join(sorted(self._adapters)) or "none",
        }

    def warmup(self) -> ImtalkerAvatar:
        """Run every stage once on the sample photograph, at the batch sizes of service."""
        photograph = cv2.imread(str(asset_path("astronaut.png")), cv2.IMREAD_COLOR_RGB)
        avatar = self.prepare(np.asarray(photograph, np.uint8), PrepareOptions())
        with guarded():
            self._drawing.capture(avatar.identity, self._spec.max_batch)
        state = self.open(avatar, Parameters())
        window = np.zeros(PAST + FRAME + self._spec.look_ahead, np.float32)
        rows = self.motion([MotionStep(state, window, 1, 0, window.size - PAST)])[0]
        self.render([RenderStep(avatar, rows[0])] * self._spec.max_batch)
        return avatar

    def prepare(self, portrait: Portrait, options: PrepareOptions) -> ImtalkerAvatar:
        """Make an avatar of a portrait; may run beside ``motion`` and ``render``.

        Raises:
            InvalidArgumentError: ``NO_FACE``, ``SMALL_FACE`` or ``BAD_PICTURE``.
            MemoryError: if the device has none left.
        """
        with guarded():
            return self._preparation.prepare(portrait, options)

    def open(self, avatar: Avatar, parameters: Parameters) -> StreamState:
        """Return the fresh state of one session.

        Raises:
            InvalidArgumentError: ``ADAPTER_UNKNOWN``.
        """
        assert isinstance(avatar, ImtalkerAvatar)
        if parameters.adapter and parameters.adapter not in self._adapters:
            known = ", ".join(sorted(self._adapters)) or "none"
            message = f"there is no adapter {parameters.adapter[:64]!r}; this server has {known}"
            raise InvalidArgumentError("ADAPTER_UNKNOWN", message, field="init.generation.adapter")
        look_ahead = self._spec.under(parameters.preset).look_ahead // FRAME
        asks_for_none = parameters.nfe == Parameters().nfe
        terms = Terms(
            reference=avatar.reference,
            seed=parameters.seed,
            nfe=NFE.get(parameters.preset, parameters.nfe) if asks_for_none else parameters.nfe,
            cfg_scale=parameters.cfg_scale,
            look_ahead=look_ahead,
            motion_scale=self._tuning.motion_scale,
            adapter=parameters.adapter,
        )
        gate = Gate.hearing(look_ahead) if self._tuning.gated else Gate.held_open()
        return StreamState(terms, Memory(gate, Manner(parameters)))

    def switch(self, state: State, avatar: Avatar) -> StreamState:
        """Return a state that moves on from the same rows towards another face; motion itself belongs to no face."""
        assert isinstance(state, StreamState)
        assert isinstance(avatar, ImtalkerAvatar)
        return StreamState(replace(state.terms, reference=avatar.reference), state.memory)

    def motion(self, steps: Sequence[MotionStep]) -> list[Motion]:
        """Advance the states; return ``[step.frames, 32]`` rows for each step.

        Raises:
            MemoryError: if the device has none left; no state has changed.
        """
        drafts = [_draft(step, self._spec.context) for step in steps]
        with guarded():
            clips = iter(self._clips.made([draft for draft in drafts if draft.needs_clip]))
        rows = [draft.finish(*(next(clips) if draft.needs_clip else (_NO_ROWS, _NO_ROWS))) for draft in drafts]
        for draft in drafts:
            draft.commit()
        return rows

    def at_rest(self, state: State) -> bool:
        """Say whether the lips of the last row had come to rest."""
        assert isinstance(state, StreamState)
        return state.at_rest

    def render(self, steps: Sequence[RenderStep]) -> list[Frame]:
        """Return one frame per step, of the avatar's ``frame_size`` in the layout asked for; a fresh array each.

        Raises:
            MemoryError: if the device has none left.
            ArithmeticError: if a frame has numbers that are none, as half precision can make them.
        """
        avatars = [_avatar(step) for step in steps]
        rows = np.stack([step.motion for step in steps]).astype(np.float32, copy=False)
        with guarded():
            squares = self._drawing.drawn([avatar.identity for avatar in avatars], torch.from_numpy(rows))
        shown = zip(avatars, squares, steps, strict=True)
        return [avatar.frame(np.array(square), step.pixel_format) for avatar, square, step in shown]


_NO_ROWS: Final = np.empty((0, 32), np.float32)


def create(**words: str) -> ImtalkerEngine:
    """Return the engine with the weights that the options name, loaded and not yet warm.

    Args:
        words: see ``options.Options``.

    Raises:
        TypeError: if there is no such option.
        SetupError: if an option, the weights or an adapter cannot be used; it names the option, or the file and keys.
    """
    options = Options(**words)
    tuning = options.tuning()
    device = chosen_device(options.device)
    use_threads(options.thread_count)
    cv2.setNumThreads(1)
    model = loaded(options, device)
    flow = model.generator.flow
    adapters = {name: load_adapter(file, flow) for name, file in options.adapter_files.items()}
    return ImtalkerEngine(model, tuning, adapters)


def _draft(step: MotionStep, context: int) -> Draft:
    assert isinstance(step.state, StreamState)
    return begin(step.state, step, context)


def _parts(model: Model) -> list[tuple[str, torch.dtype]]:
    return [(part.name, getattr(model.precision, part.name)) for part in fields(model.precision)]


def _avatar(step: RenderStep) -> ImtalkerAvatar:
    assert isinstance(step.avatar, ImtalkerAvatar)
    return step.avatar


def _spec(model: Model, tuning: Tuning) -> EngineSpec:
    on_cpu = model.device.type == "cpu"
    ahead = tuning.look_ahead_frames
    far, near = min(2 * ahead, CLIP - LONG_HOP), max(ahead - 2, 0)
    return EngineSpec(
        name="imtalker",
        version=f"{VERSION}.{model.generation}",
        fps=FPS,
        hop_frames=min(tuning.hop_frames, CLIP - ahead),
        look_ahead=ahead * FRAME,
        context=PAST,
        max_batch=tuning.max_batch or (CPU_BATCH if on_cpu else GPU_BATCH),
        device=str(model.device),
        presets={
            Preset.LOWEST_LATENCY: Timing(SHORT_HOP, near * FRAME),
            Preset.BEST_QUALITY: Timing(LONG_HOP, far * FRAME),
        },
        step_within_s=CPU_STEP_S if on_cpu else GPU_STEP_S,
    )

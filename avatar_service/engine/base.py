"""Owns the engine contract: two stages, because they batch differently.

    audio window + state --motion--> motion rows --render--> frames

An engine is driven by one worker thread, except ``prepare``, which a second thread calls so that an unseen
portrait never delays frames: ``prepare`` must share no mutable thing with ``motion`` and ``render``.
An engine must never know of sessions, queues, asyncio, gRPC or codecs.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from avatar_service import media
from avatar_service.frame import Frame, PixelFormat

Portrait: TypeAlias = NDArray[np.uint8]
"""The source image as given: RGB ``[H, W, 3]`` uint8, upright."""

Samples: TypeAlias = NDArray[np.float32]
"""Mono audio at 16 kHz: ``[n]`` float32 in [-1, 1]."""

Motion: TypeAlias = NDArray[np.float32]
"""What the audio became: ``[T, D]`` float32, one row per frame; D is the engine's own."""

State: TypeAlias = Any
"""An engine's own memory of one session: small, changed only by ``motion``.

Pickled it has at most ``STATE_BYTES``, and goes on in another worker as the state itself would: it holds neither its
avatar nor its engine, random generators with all they remember, and nothing that lies on a device (``__reduce__``
brings that over). A worker pickles it with every hop of a resumable session; see ``plain.Plain``.
"""

STATE_BYTES: Final = 64 * 1024


class Preset(enum.Enum):
    """What a session gives up for what: delay, quality, or neither."""

    LOWEST_LATENCY = "lowest_latency"
    BALANCED = "balanced"
    BEST_QUALITY = "best_quality"


@dataclass(frozen=True, slots=True)
class Timing:
    """What a preset may change of an engine: see the fields of the same names in ``EngineSpec``."""

    hop_frames: int
    look_ahead: int


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What an engine declares about itself.

    Attributes:
        name: the name in the registry.
        version: changes whenever the same input would give other pictures.
        fps: frames per second; divides 16000.
        hop_frames: frames one motion step advances by (at most; ``chunk_duration`` may lower it).
        look_ahead: samples a step must see beyond its hop, lead and smoothing included.
        context: samples a step is shown before its hop (silence at the start of a segment).
        max_batch: most steps one ``motion`` or ``render`` call takes.
        device: ``cpu`` or the accelerator's name.
        presets: timings of the presets that differ; the fields above are those of all others.
        step_within_s: longest that one ``motion`` or ``render`` call may take; an engine that is silent for much longer
            hangs.
    """

    name: str
    version: str
    fps: int
    hop_frames: int
    look_ahead: int
    context: int
    max_batch: int
    device: str
    presets: Mapping[Preset, Timing] = field(default_factory=dict)
    step_within_s: float = 1.0

    @property
    def frame_samples(self) -> int:
        """Samples that one frame covers."""
        return media.samples_per_frame(self.fps)

    def under(self, preset: Preset) -> EngineSpec:
        """Return what holds for a session with this preset."""
        timing = self.presets.get(preset)
        return self if timing is None else replace(self, hop_frames=timing.hop_frames, look_ahead=timing.look_ahead)

    def hop_within(self, chunk_duration_s: float) -> int:
        """Return the frames a hop makes in a session that waits for at most ``chunk_duration_s`` of audio."""
        return max(1, min(self.hop_frames, int(chunk_duration_s * self.fps)))


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """How a portrait becomes an avatar; part of the avatar's cache key.

    Attributes:
        crop: find the face and crop to it; ``False`` says that the face fills the picture already.
        crop_scale: size of the crop relative to the engine's own rule, 0.5-2; larger shows more surroundings.
        paste_back: frames show the whole picture with the animated face in its place (needs ``crop``).
    """

    crop: bool = True
    crop_scale: float = 1.0
    paste_back: bool = False


@dataclass(frozen=True, slots=True)
class Parameters:
    """How a session's motion is generated.

    Attributes:
        seed: of everything random in this session.
        nfe: function evaluations of a flow-matching engine, 5-50; others ignore it.
        cfg_scale: guidance of a flow-matching engine, 1-5; others ignore it.
        pose_style: offset of the head [pitch, yaw, roll] in radians; the engine clamps it to what looks good.
        gaze_style: offset of the gaze [x, y] in radians; clamped likewise.
        preset: with what timing; steps come as ``EngineSpec.under`` says.
        head_motion: how much the head moves by itself, 0 (not at all) to 2; 1 is natural.
        adapter: name of a fine-tuned way to move, of an engine that has some; others ignore it.
    """

    seed: int = 42
    nfe: int = 10
    cfg_scale: float = 2.0
    pose_style: tuple[float, float, float] = (0.0, 0.0, 0.0)
    gaze_style: tuple[float, float] = (0.0, 0.0)
    preset: Preset = Preset.BALANCED
    head_motion: float = 1.0
    adapter: str = ""


class Emotion(enum.Enum):
    """What a face shows beside speech."""

    NEUTRAL = "neutral"
    """As in the portrait."""
    HAPPY = "happy"
    SAD = "sad"
    SURPRISED = "surprised"
    ANGRY = "angry"


@dataclass(frozen=True, slots=True)
class Controls:
    """What to change in a session's motion; ``None`` leaves a thing as it is.

    Attributes:
        pose: offset of the head, as ``Parameters.pose_style``.
        gaze: offset of the gaze, as ``Parameters.gaze_style``.
        emotion: which, and how much of it, 0-1.
        head_motion: as in ``Parameters``.
    """

    pose: tuple[float, float, float] | None = None
    gaze: tuple[float, float] | None = None
    emotion: tuple[Emotion, float] | None = None
    head_motion: float | None = None

    def then(self, later: Controls) -> Controls:
        """Return what both come to, the later one last."""
        changes = {one.name: value for one in fields(later) if (value := getattr(later, one.name)) is not None}
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a caller should know though the call works, e.g. that several faces were found.

    Attributes:
        reason: a stable UPPER_SNAKE_CASE word.
        message: one sentence for a person.
    """

    reason: str
    message: str


class Avatar(Protocol):
    """What an engine prepares once from a portrait: shared by sessions, never mutated."""

    @property
    def frame_size(self) -> tuple[int, int]:
        """Width and height of the frames, in pixels; both even."""

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What the caller should know about this portrait."""

    @property
    def nbytes(self) -> int:
        """Memory that it holds, in bytes; caches within it at their fullest."""


@dataclass(frozen=True, slots=True)
class MotionStep:
    """One hop of one session's audio.

    Attributes:
        state: of the session; advanced by this step.
        window: ``[context + frames * frame_samples + look_ahead]`` samples. Where the segment has none (before its
            start, after its end) there is silence.
        frames: rows to make; the hop, or less at the end of a segment.
        first_frame: index in its segment of the first row; 0 says that a new segment starts, so what the state
            remembers of the sound (not of the pose) is void.
        remaining: real samples from the hop's start to the end of the segment if that end lies within the window,
            else at least the window's length behind the context. Lets an engine close the mouth in time.
        controls: what changes before the first row: eased over some frames, and within what looks good.
        idle: there is no sound to hear, not even silence: the window is empty, the head moves by itself and the lips
            go to rest. What the state remembers of a segment's sound stays as it is, so that speech that goes on
            later is the same however long it was waited for.
        cut: the speech before was cut off: the lips are shut two frames later. Only while ``idle``.
    """

    state: State
    window: Samples
    frames: int
    first_frame: int
    remaining: int
    controls: Controls | None = None
    idle: bool = False
    cut: bool = False


@dataclass(frozen=True, slots=True)
class RenderStep:
    """One frame to draw: an avatar and one row ``[D]`` of its session's motion, and the layout of its pixels."""

    avatar: Avatar
    motion: Motion
    pixel_format: PixelFormat = PixelFormat.RGB


class Engine(Protocol):
    """The contract. Length in = length out, in order; results do not depend on what else is in the batch.

    A call of several steps that raises must have changed no state: its steps are then repeated one by one, and only
    the session whose step raises alone is lost.
    """

    @property
    def spec(self) -> EngineSpec:
        """What the engine declares about itself; constant."""

    def warmup(self) -> Avatar:
        """Load everything and run each stage once, so that the first session is as fast as the rest.

        Returns:
            An avatar as users bring them, for measuring what a session costs.
        """

    def prepare(self, portrait: Portrait, options: PrepareOptions) -> Avatar:
        """Make an avatar of a portrait.

        Raises:
            InvalidArgumentError: if the portrait cannot be animated (``NO_FACE``, ``SMALL_FACE``, ...).
        """

    def open(self, avatar: Avatar, parameters: Parameters) -> State:
        """Return the fresh state of one session."""

    def switch(self, state: State, avatar: Avatar) -> State:
        """Return the state in which a session goes on with another avatar, moving on from where it was.

        Rows of the motion made before may be rendered with the new avatar.
        """

    def motion(self, steps: Sequence[MotionStep]) -> list[Motion]:
        """Advance the states; return ``[step.frames, D]`` rows for each step."""

    def at_rest(self, state: State) -> bool:
        """Say whether the lips of the last row had come to rest."""

    def render(self, steps: Sequence[RenderStep]) -> list[Frame]:
        """Return one frame per step, of the avatar's ``frame_size`` in the layout asked for; a fresh array each."""

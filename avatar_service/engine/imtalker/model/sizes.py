"""Owns the sizes of the networks: those of the public weights are the defaults, tests take smaller ones. No torch."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RendererSizes:
    """From portrait and motion to frames.

    Attributes:
        generation: of the public code: 1 encodes portraits at half the frame's side, 2 at the whole.
        coarse: side of the coarsest feature map, in pixels; each level doubles it.
        widths: channels by level, coarse to fine: 8, 16, 32, 64, 128 and 256 px.
        attended: levels that the motion transfer attends over; the finer ones follow the last of them.
        token: channels of the motion encoder's first map.
        motion: values of a motion row.
        identity: values of the identity vector.
        heads: of every attention.
        window: side of the windows that the finest levels attend within, in pixels.
    """

    generation: int = 2
    coarse: int = 8
    widths: tuple[int, ...] = (512, 512, 256, 128, 64, 32)
    attended: int = 4
    token: int = 64
    motion: int = 32
    identity: int = 512
    heads: int = 8
    window: int = 8

    @property
    def sides(self) -> tuple[int, ...]:
        """Side of the feature maps by level, in pixels."""
        return tuple(self.coarse << level for level in range(len(self.widths)))

    @property
    def side(self) -> int:
        """Side of a frame, in pixels."""
        return 2 * self.sides[-1]

    @property
    def portrait_side(self) -> int:
        """Side of what the encoders take, in pixels."""
        return self.side if self.generation > 1 else self.side // 2

    @property
    def token_widths(self) -> tuple[int, ...]:
        """Channels of the motion encoder's maps, fine to coarse: one more than it has blocks."""
        top = self.widths[0]
        return tuple(min(self.token << step, top) for step in range(len(self.widths)))


@dataclass(frozen=True, slots=True)
class SpeechSizes:
    """Of wav2vec2, as its configuration names them; the kernels and strides are always those of the public one."""

    channels: int = 512
    hidden: int = 768
    layers: int = 12
    heads: int = 12
    inner: int = 3072
    position_kernel: int = 128
    position_groups: int = 16


@dataclass(frozen=True, slots=True)
class GeneratorSizes:
    """From speech to motion.

    Attributes:
        generation: of the public code: 1 adds positions and attends within 5 frames, 2 rotates and attends everywhere.
        motion: values of a motion row.
        condition: values of an embedded condition.
        hidden: channels of a token.
        depth: blocks.
        heads: of each.
        widening: of a block's inner layer.
        waves: values that encode the time of the flow.
        reach: frames that a frame attends to on each side, in generation 1.
        speech: of the audio encoder.
    """

    generation: int = 2
    motion: int = 32
    condition: int = 32
    hidden: int = 512
    depth: int = 8
    heads: int = 8
    widening: int = 4
    waves: int = 256
    reach: int = 5
    speech: SpeechSizes = field(default_factory=SpeechSizes)

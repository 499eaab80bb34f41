"""Owns what the engine keeps of a portrait."""

from __future__ import annotations

from dataclasses import dataclass

from avatar_service.engine.base import Notice
from avatar_service.engine.imtalker.memory import Rows
from avatar_service.engine.imtalker.model import Identity
from avatar_service.engine.portrait.arrays import held_bytes
from avatar_service.engine.portrait.crop import Stitch
from avatar_service.frame import Frame, PixelFormat, to_i420


@dataclass(frozen=True)
class ImtalkerAvatar:
    """A portrait made ready to move.

    Attributes:
        identity: what the renderer needs, on the device.
        reference: the portrait's own motion ``[32]``, on the host.
        side: of the frames that are rendered, in pixels.
        stitch: the way back into the whole picture; ``None`` if frames show the crop alone.
        notices: what the caller should know about the portrait.
    """

    identity: Identity
    reference: Rows
    side: int
    stitch: Stitch | None
    notices: tuple[Notice, ...]

    @property
    def frame_size(self) -> tuple[int, int]:
        """Width and height of the frames, in pixels."""
        if self.stitch is None:
            return self.side, self.side
        height, width = self.stitch.picture.shape[:2]
        return width, height

    @property
    def nbytes(self) -> int:
        """Memory of the identity on the device, and of the whole picture on the host."""
        return self.identity.nbytes + held_bytes(self.stitch)

    def frame(self, square: Frame, pixel_format: PixelFormat) -> Frame:
        """Return the frame that shows a rendered square ``[side, side, 3]``, as a fresh array."""
        shown = square if self.stitch is None else self.stitch.paste(square)
        return to_i420(shown) if pixel_format is PixelFormat.I420 else shown

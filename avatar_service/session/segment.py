"""Owns the counters of one segment: what was received, what was sent, and what that makes played. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from avatar_service import media
from avatar_service.errors import InvalidArgumentError

MAX_ID_CHARACTERS: Final = 128
_REMEMBERED_IDS: Final = 1024


def check_id(segment_id: str, message: str) -> None:
    """Check the id that a client gives in a message of the name ``message``.

    Raises:
        InvalidArgumentError: ``SEGMENT_ID`` if it is too long.
    """
    if len(segment_id) > MAX_ID_CHARACTERS:
        msg = f"a segment_id has {len(segment_id)} characters; use at most {MAX_ID_CHARACTERS}"
        raise InvalidArgumentError("SEGMENT_ID", msg, field=f"{message}.segment_id")


class PastIds:
    """The ids of the last segments that are over, and which of them were cut; memory stays flat over hours."""

    def __init__(self) -> None:
        self._cut: dict[str, bool] = {}

    def __contains__(self, segment_id: str) -> bool:
        return segment_id in self._cut

    def was_cut(self, segment_id: str) -> bool:
        """Say whether this segment was interrupted."""
        return self._cut.get(segment_id, False)

    def add(self, segment_id: str, *, cut: bool) -> None:
        """Remember a segment, and forget the oldest of too many."""
        self._cut[segment_id] = cut
        if len(self._cut) > _REMEMBERED_IDS:
            del self._cut[next(iter(self._cut))]


@dataclass(slots=True)
class Segment:
    """One utterance. Counts are 16 kHz samples and frames.

    Attributes:
        number: unique in the session, growing; what the pool calls the segment.
        id: what the client calls it.
        fps: frames per second.
        samples: received so far.
        ended: no more will come.
        started: ``segment_started`` was sent.
        sent: frames sent.
    """

    number: int
    id: str
    fps: int
    samples: int = 0
    ended: bool = False
    started: bool = False
    sent: int = 0

    @property
    def played(self) -> int:
        """Samples that were shown, without the padding of the last frame."""
        return min(self.sent * media.samples_per_frame(self.fps), self.samples)

    @property
    def unplayed(self) -> int:
        """Samples that were received and not shown."""
        return self.samples - self.played

    def allowed(self, look_ahead: int, hop_frames: int) -> int:
        """Return the frames that the audio so far allows: all once ended, else whole hops with their look-ahead."""
        if self.ended:
            return media.frames_for(self.samples, self.fps)
        hop = hop_frames * media.samples_per_frame(self.fps)
        return max(0, self.samples - look_ahead) // hop * hop_frames

    @property
    def complete(self) -> bool:
        """Whether the last frame was sent."""
        return self.ended and self.sent == media.frames_for(self.samples, self.fps)

"""Owns the segments of a session: their names, and what of each was received, sent and so played. Pure."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

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


@dataclass(slots=True, eq=False)
class Segment:
    """One utterance. Counts are 16 kHz samples and frames.

    Attributes:
        number: unique in the session, growing; what the pool calls the segment.
        id: what the client calls it.
        frame_samples: that one frame covers.
        hop_frames: frames that the engine makes at once.
        look_ahead: samples that it must see beyond them.
        samples: received so far.
        allowed: frames that they allow: whole hops with their look-ahead, all once the segment has ended.
        ended: no more will come.
        started: ``segment_started`` was sent.
        sent: frames sent.
        passed: frames sent or, in LIVE, left out: speech has come so far.
    """

    number: int
    id: str
    frame_samples: int
    hop_frames: int
    look_ahead: int
    samples: int = 0
    allowed: int = 0
    ended: bool = False
    started: bool = False
    sent: int = 0
    passed: int = 0

    @property
    def played(self) -> int:
        """Samples that were shown, without the padding of the last frame."""
        return min(self.passed * self.frame_samples, self.samples)

    @property
    def unplayed(self) -> int:
        """Samples that were received and not shown."""
        return max(0, self.samples - self.passed * self.frame_samples)

    @property
    def complete(self) -> bool:
        """Whether the last frame was sent, or left out."""
        return self.ended and self.passed == self.allowed

    def hear(self, samples: int) -> bool:
        """Count samples that came; say whether they allow a frame more."""
        self.samples += samples
        before = self.allowed
        hops = max(0, self.samples - self.look_ahead) // (self.hop_frames * self.frame_samples)
        self.allowed = hops * self.hop_frames
        return self.allowed > before

    def end(self) -> None:
        """No more will come."""
        self.ended = True
        self.allowed = -(-self.samples // self.frame_samples)


class Segments:
    """The segments of one session that are not over, in order, and the names of those that are.

    Args:
        frame_samples, hop_frames, look_ahead: as in ``Segment``.
    """

    def __init__(self, frame_samples: int, hop_frames: int, look_ahead: int) -> None:
        self._steps = frame_samples, hop_frames, look_ahead
        self._unfinished: deque[Segment] = deque()
        self._past = PastIds()
        self._next_number = 0

    def __len__(self) -> int:
        return len(self._unfinished)

    def __iter__(self) -> Iterator[Segment]:
        return iter(self._unfinished)

    @property
    def first(self) -> Segment | None:
        """The oldest that is not over."""
        return self._unfinished[0] if self._unfinished else None

    @property
    def newest(self) -> Segment:
        """The one that began last, which must not be over."""
        return self._unfinished[-1]

    def begin(self, segment_id: str) -> Segment:
        """Return a new segment; without a name it gets one that is free."""
        segment = Segment(self._next_number, segment_id or self._new_id(), *self._steps)
        self._next_number += 1
        self._unfinished.append(segment)
        return segment

    def find(self, number: int) -> Segment | None:
        """Return the one of this number, unless it is over."""
        return next((segment for segment in self._unfinished if segment.number == number), None)

    def finish(self, segment: Segment, *, cut: bool) -> None:
        """The segment is over; its name is remembered for a while."""
        self._unfinished.remove(segment)
        self._past.add(segment.id, cut=cut)

    def was_cut(self, segment_id: str) -> bool:
        """Say whether a segment of this name was interrupted."""
        return self._past.was_cut(segment_id)

    def is_known(self, segment_id: str) -> bool:
        """Say whether this name was used."""
        return segment_id in self._past or any(segment.id == segment_id for segment in self._unfinished)

    def _new_id(self) -> str:
        names = (f"segment-{number}" for number in itertools.count(self._next_number + 1))
        return next(name for name in names if not self.is_known(name))

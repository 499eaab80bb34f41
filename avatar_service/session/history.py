"""Owns what a client was told, as far as it may have missed it, and the telling of it again. Pure.

Frames are not kept but drawn again from their motion, so that the video goes on with a keyframe. In LIVE the time of a
frame that was missed has passed, so only events are told again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from avatar_service.codec.base import AccessUnit
from avatar_service.errors import InvalidArgumentError, OutOfRangeError
from avatar_service.pool.messages import Rendered
from avatar_service.pool.snapshot import AGAIN, Row
from avatar_service.session.events import EncodedFrame, GoAway, Happening, Ready, ServerEvent, StatusReport

MOST_KEPT: Final = 1024
"""Frames and events that a client may miss: 40 s of video, several times what a connection holds in flight."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame that was sent, without its units, and the motion that it was drawn from; in LIVE there is none."""

    frame: EncodedFrame
    row: Row | None


Said: TypeAlias = Shown | Happening


class History:
    """What one session told its client.

    Args:
        live: whether frames have ticks.
    """

    def __init__(self, *, live: bool) -> None:
        self._live = live
        self._made: deque[Row] = deque()
        self._drawn: deque[tuple[tuple[AccessUnit, ...], Row]] = deque()
        self._said: deque[Said] = deque(maxlen=MOST_KEPT)
        self._count = 0

    def __repr__(self) -> str:
        return f"<History of {self._count}, {len(self._said)} kept>"

    @property
    def nbytes(self) -> int:
        """Memory that motion holds, in bytes."""
        rows = [said.row for said in self._said if isinstance(said, Shown) and said.row is not None]
        return sum(row.motion.nbytes for row in (*rows, *self._made))

    def move(self, rows: Iterable[Row]) -> None:
        """Motion was made."""
        self._made.extend(rows)

    def draw(self, frame: Rendered) -> None:
        """A frame was made of the next motion; motion of a segment that was cut may have been left out before it."""
        while self._made:
            row = self._made.popleft()
            if (row.segment, row.index) == (frame.segment, frame.index):
                if frame.units and not self._live:
                    self._drawn.append((frame.units, row))
                return

    def say(self, event: ServerEvent) -> None:
        """The client is told this next. Frames and events count."""
        match event:
            case EncodedFrame():
                self._said.append(self._shown(event))
            case Ready() | StatusReport() | GoAway():
                return
            case _:
                self._said.append(event)
        self._count += 1

    def since(self, received: int) -> list[Said]:
        """Return what a client lacks that has received so many frames and events.

        Raises:
            InvalidArgumentError: ``OUT_OF_RANGE`` if there were fewer.
            OutOfRangeError: ``RESUME_TOO_LATE`` if more is lacking than is kept.
        """
        lacking = self._count - received
        if lacking < 0:
            msg = f"init.resume.received_messages is {received}; the session has sent {self._count}"
            raise InvalidArgumentError("OUT_OF_RANGE", msg, field="init.resume.received_messages")
        if lacking > len(self._said):
            msg = f"{lacking} frames and events are lacking, of which {len(self._said)} are kept; open a new session"
            raise OutOfRangeError("RESUME_TOO_LATE", msg)
        return list(self._said)[len(self._said) - lacking :]

    def resume(self, again: Iterable[Said], is_alive: Callable[[int], bool]) -> list[Row]:
        """Return the motion that another slot is to draw first: that of ``again``, then what was not sent.

        Args:
            again: what is told again.
            is_alive: says of a segment's number whether frames of it are still wanted.
        """
        waiting = [row for _, row in self._drawn] + [*self._made]
        self._drawn.clear()
        self._made = deque(row for row in waiting if row.segment is None or is_alive(row.segment))
        seen = [said.row for said in again if isinstance(said, Shown) and said.row is not None]
        return [replace(row, segment=AGAIN) for row in seen] + [*self._made]

    def _shown(self, frame: EncodedFrame) -> Shown:
        """Return the frame without what is large; those drawn before it were dropped, for their segment was cut."""
        bare = EncodedFrame(frame.pts, frame.duration, frame.segment_id, frame.index, (), frame.kind)
        while self._drawn:
            units, row = self._drawn.popleft()
            if units is frame.units:
                return Shown(bare, row)
        return Shown(bare, None)


class Retelling:
    """What a call that goes on with a session tells before anything new: ``Ready``, then what the client lacks.

    Args:
        said: what is lacking, in order; nothing for a session's first call, which has nothing to tell.

    Attributes:
        announced: whether ``Ready`` is out, or not to come from here.
    """

    def __init__(self, said: Iterable[Said] | None = None) -> None:
        self.announced = said is None
        self._said: deque[Said | Ready] = deque(one for one in said or () if not isinstance(one, Shown) or one.row)
        self._units: deque[tuple[AccessUnit, ...]] = deque()

    @property
    def complete(self) -> bool:
        """Whether everything is out."""
        return self.announced and not self._said

    def open(self, ready: Ready) -> None:
        """The other slot is there."""
        self._said.appendleft(ready)

    def draw(self, frame: Rendered) -> None:
        """The next of the frames was drawn again."""
        self._units.append(frame.units)

    def next_event(self, now: float) -> ServerEvent | None:  # noqa: ARG002 - as of a session
        """Return what is to be sent next, or ``None`` as long as it is not there."""
        said = self._said[0] if self._said else None
        if isinstance(said, Ready):
            self.announced = True
        elif said is None or not self.announced or (isinstance(said, Shown) and not self._units):
            return None
        self._said.popleft()
        return replace(said.frame, units=self._units.popleft()) if isinstance(said, Shown) else said

"""Owns who watches a live session, and the bounded queues between it and them. A viewer who lags loses frames."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import av

_FRAMES: Final = 25
"""Frames that may wait for a viewer: 1 s. Then he begins anew at a keyframe."""
_PACKETS: Final = 50
"""Packets of sound that may wait: 1 s. Then the oldest are dropped."""
_WORDS: Final = 64
"""Events that may wait; then the oldest are dropped."""

Word = dict[str, Any]
"""An event, as JSON says it."""

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Unit:
    """One encoded frame.

    Attributes:
        packet: with its time in ticks of 1/90000 s.
        is_keyframe: whether a viewer may begin with it.
    """

    packet: av.Packet[av.stream.Stream]
    is_keyframe: bool


class Viewer:
    """What one viewer is to get.

    Args:
        ask_keyframe: asks for one.

    Attributes:
        video_format: number of the format that he can decode.
        ask_keyframe: as given.
        frames: that wait for him.
        packets: of sound, likewise.
        words: likewise.
    """

    def __init__(self, ask_keyframe: Callable[[], None]) -> None:
        self.video_format = 0
        self.ask_keyframe = ask_keyframe
        self.frames: asyncio.Queue[Unit] = asyncio.Queue(_FRAMES)
        self.packets: asyncio.Queue[av.Packet[av.stream.Stream]] = asyncio.Queue(_PACKETS)
        self.words: asyncio.Queue[Word] = asyncio.Queue(_WORDS)
        self._waits = True

    def show(self, unit: Unit) -> None:
        """Take a frame, from a keyframe on."""
        if self.frames.full():
            _empty(self.frames)
            self._waits = True
            self.ask_keyframe()
        if unit.is_keyframe:
            self._waits = False
        if not self._waits:
            self.frames.put_nowait(unit)

    def hear(self, packet: av.Packet[av.stream.Stream]) -> None:
        """Take a packet of sound."""
        _offer(self.packets, packet)

    def tell(self, word: Word) -> None:
        """Take an event."""
        _offer(self.words, word)


class Audience:
    """All viewers of one session."""

    def __init__(self) -> None:
        self._viewers: set[Viewer] = set()

    def __len__(self) -> int:
        return len(self._viewers)

    def __iter__(self) -> Iterator[Viewer]:
        return iter(tuple(self._viewers))

    def add(self, viewer: Viewer) -> None:
        """Let a viewer in, with a keyframe at once."""
        self._viewers.add(viewer)
        viewer.ask_keyframe()

    def discard(self, viewer: Viewer) -> None:
        """A viewer has left."""
        self._viewers.discard(viewer)

    def show(self, video_format: int, unit: Unit) -> None:
        """Give a frame to those who can decode its format."""
        for viewer in self:
            if viewer.video_format == video_format:
                viewer.show(unit)

    def hear(self, packet: av.Packet[av.stream.Stream]) -> None:
        """Give a packet of sound to all."""
        for viewer in self:
            viewer.hear(packet)

    def tell(self, word: Word) -> None:
        """Give an event to all."""
        for viewer in self:
            viewer.tell(word)


def _empty(queue: asyncio.Queue[Unit]) -> None:
    while not queue.empty():
        queue.get_nowait()


def _offer(queue: asyncio.Queue[_Item], item: _Item) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(item)

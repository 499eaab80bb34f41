"""Owns what a slot was told, as far as another slot would have to be told it again, and the audio that it needs. Pure.

A snapshot says which commands it knows of and how far the audio is heard; what lies before that is forgotten.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from avatar_service.engine.base import EngineSpec
from avatar_service.pcm import PCM_BYTES
from avatar_service.pool.messages import Command, Feed, SlotKey, Switch, Told
from avatar_service.pool.snapshot import Resumption, Row, SegmentAudio, SegmentMark, Snapshot

MOST_ENTRIES: Final = 4096
"""Commands that may wait for a snapshot. A worker that lives makes one far sooner."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A command, its number, and of audio the sample of its segment behind it."""

    number: int
    command: Told
    end: int = 0


class Journal:
    """What one session's slots were told.

    Args:
        spec: of the engine.
    """

    def __init__(self, spec: EngineSpec) -> None:
        self._spec = spec
        self._entries: deque[_Entry] = deque()
        self._told = 0
        self._segment = -1
        self._fed = 0
        self._snapshot: Snapshot | None = None
        self._is_lost = False

    def __repr__(self) -> str:
        return f"<Journal of {self._told} commands, {len(self._entries)} kept>"

    @property
    def is_lost(self) -> bool:
        """Whether so much was said without a snapshot that no other slot can go on."""
        return self._is_lost

    @property
    def shown(self) -> str | None:
        """Id of the avatar that was switched to and is shown, as far as the snapshot knows."""
        return None if self._snapshot is None else self._snapshot.avatar_id

    @property
    def avatars(self) -> set[str]:
        """Ids of the avatars that another slot may have to show: that one, and those that were asked for since."""
        asked = {entry.command.avatar.avatar_id for entry in self._entries if isinstance(entry.command, Switch)}
        return asked if self.shown is None else asked | {self.shown}

    @property
    def nbytes(self) -> int:
        """Memory that audio and snapshot hold, in bytes."""
        audio = sum(len(entry.command.pcm) for entry in self._entries if isinstance(entry.command, Feed))
        return audio + (0 if self._snapshot is None else len(self._snapshot.state))

    def tell(self, command: Command) -> None:
        """Note a command that goes to the slot."""
        if not isinstance(command, Told) or self._is_lost:
            return
        self._told += 1
        end = 0
        if isinstance(command, Feed):
            end = self._fed = (self._fed if command.segment == self._segment else 0) + len(command.pcm) // PCM_BYTES
            self._segment = command.segment
        self._entries.append(_Entry(self._told, command, end))
        if len(self._entries) > MOST_ENTRIES:
            self._is_lost = True
            self._entries.clear()

    def move(self, snapshot: Snapshot) -> None:
        """Forget what this snapshot makes superfluous."""
        self._snapshot = snapshot
        needed = {mark.number: self._first_sample(mark) for mark in snapshot.segments}
        while self._entries and self._entries[0].number <= snapshot.told:
            entry = self._entries[0]
            if isinstance(entry.command, Feed) and entry.end > needed.get(entry.command.segment, entry.end):
                break
            self._entries.popleft()

    def resumption(self, rows: Iterable[Row], is_alive: Callable[[int], bool], now: float) -> Resumption | None:
        """Return what another slot goes on from; nothing if there was no snapshot yet.

        Args:
            rows: motion that is to be drawn first.
            is_alive: says of a segment's number whether frames of it are still wanted.
            now: monotonic seconds.
        """
        if self._snapshot is None:
            return None
        audio = {mark.number: self._audio(mark) for mark in self._snapshot.segments}
        dead = frozenset(number for number in audio if not is_alive(number))
        return Resumption(self._snapshot, tuple(rows), audio, dead, now)

    def rest(self, key: SlotKey) -> list[Told]:
        """Return what the snapshot does not know of, addressed to another slot."""
        return [replace(entry.command, key=key) for entry in self._entries if self._is_news(entry)]

    def _is_news(self, entry: _Entry) -> bool:
        return self._snapshot is None or entry.number > self._snapshot.told

    def _first_sample(self, mark: SegmentMark) -> int:
        return mark.frames_made * self._spec.frame_samples - self._spec.context

    def _audio(self, mark: SegmentMark) -> SegmentAudio:
        """Return what the snapshot knows of a segment's audio, from where its next hop looks at it."""
        pieces = [
            (entry.end, entry.command.pcm)
            for entry in self._entries
            if isinstance(entry.command, Feed)
            and entry.command.segment == mark.number
            and not self._is_news(entry)
            and entry.end > self._first_sample(mark)
        ]
        if not pieces:
            return SegmentAudio(mark.total, b"")
        end, first = pieces[0]
        return SegmentAudio(end - len(first) // PCM_BYTES, b"".join([pcm for _, pcm in pieces]))

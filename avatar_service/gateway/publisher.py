"""Owns the publication of a take: at the pace at which it plays, to playlists and to live viewers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from avatar_service.gateway.hls.playlist import Playlist, Readiness
from avatar_service.gateway.pace import Pace

_FIRST_VIEWER_S: Final = 10.0
"""How long the first part waits for somebody to ask for the media, so that he misses nothing."""

_VIEWER_PARTS: Final = 25
"""Parts that a live viewer may lag behind: 5 s; then he is sent away."""


@dataclass(frozen=True, slots=True)
class Cue:
    """A part, by its place.

    Attributes:
        segment: number of its segment.
        index: its number in the segment.
        start_s: time of its first frame in the take.
        duration_s: its length.
    """

    segment: int
    index: int
    start_s: float
    duration_s: float


class Publisher:
    """Publishes what was made; ``run`` does it until the take has ended.

    Args:
        window_s: media that the playlist lists.
        clock: monotonic seconds.
        is_paced: wait until the media is due; otherwise it is published as it is made.

    Attributes:
        playlist: of what is published.
    """

    def __init__(self, window_s: float, clock: Callable[[], float] = time.monotonic, *, is_paced: bool = True) -> None:
        self._clock = clock
        self._is_paced = is_paced
        self._pace = Pace()
        self._made: deque[Cue | None] = deque()
        self._more = asyncio.Event()
        self._watched = asyncio.Event()
        self._watched_s = clock()
        self._changed = asyncio.Condition()
        self._viewers: set[asyncio.Queue[Cue | None]] = set()
        self._is_complete = False
        self._epoch = datetime.now(UTC) - timedelta(seconds=clock())
        self.playlist = Playlist(window_s)

    def add(self, cue: Cue | None) -> None:
        """Take what was made next: a part, or ``None`` where a segment ends."""
        self._made.append(cue)
        self._more.set()

    def end(self) -> None:
        """Say that nothing more is made."""
        self._is_complete = True
        self._more.set()

    @property
    def is_busy(self) -> bool:
        """Whether anything that was made is not published yet."""
        return bool(self._made)

    @property
    def unwatched_s(self) -> float:
        """Seconds since somebody last asked for media; 0 while somebody watches one endless file."""
        return 0.0 if self._viewers else self._clock() - self._watched_s

    async def run(self) -> None:
        """Publish until the take has ended and all of it is out."""
        while True:
            if self._made:
                await self._publish()
            elif self._is_complete:
                break
            else:
                self._more.clear()
                await self._more.wait()
        await self.close()

    async def close(self) -> None:
        """End the playlist, and let the viewers go."""
        async with self._changed:
            if not self.playlist.ended:
                self.playlist.end()
                for queue in self._viewers:
                    _offer(queue, None)
            self._changed.notify_all()

    async def _publish(self) -> None:
        cue = self._made[0]
        if cue is not None and self._is_paced:
            await self._await_due(cue)
        self._made.popleft()
        async with self._changed:
            if cue is None:
                self.playlist.close_segment()
            else:
                self.playlist.add_part(cue.duration_s, self._date(cue))
                for queue in list(self._viewers):
                    _offer(queue, cue)
            # A segment's end is published with its last part.
            if self._made and self._made[0] is None:
                self._made.popleft()
                self.playlist.close_segment()
            self._changed.notify_all()

    async def _await_due(self, cue: Cue) -> None:
        if not self._pace.is_running:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FIRST_VIEWER_S):
                    await self._watched.wait()
        due = self._pace.due(cue.start_s, self._clock())
        await asyncio.sleep(max(0.0, due - self._clock()))

    def _date(self, cue: Cue) -> datetime:
        return self._epoch + timedelta(seconds=self._pace.due(cue.start_s, self._clock()))

    async def first_segment(self, timeout_s: float) -> bool:
        """Wait for the first segment, or the end; say whether the playlist holds any.

        Asking for it is what starts the publication. A part would not do: players take a list without a segment for
        an empty one.
        """
        self._note_viewer()
        await self._until(lambda: self.playlist.has_segment(0) or self.playlist.ended, timeout_s)
        return self.playlist.has_segment(0)

    async def reached(self, segment: int, part: int | None, timeout_s: float) -> Readiness:
        """Wait until the playlist holds a segment, or a part of it."""
        return await self._ready(lambda: self.playlist.readiness(segment, part), timeout_s)

    async def part(self, segment: int, part: int, timeout_s: float) -> Readiness:
        """Wait until a part can be fetched that was hinted at."""
        self._note_viewer()
        return await self._ready(lambda: self.playlist.has_part(segment, part), timeout_s)

    async def segment(self, segment: int) -> bool:
        """Wait until a segment is published, however long; say whether it is, for the take may have ended."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.playlist.has_segment(segment) or self.playlist.ended)
        return self.playlist.has_segment(segment)

    async def _ready(self, look: Callable[[], Readiness], timeout_s: float) -> Readiness:
        await self._until(lambda: look() is not Readiness.COMING, timeout_s)
        return look()

    async def _until(self, is_true: Callable[[], bool], timeout_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(is_true)

    async def watch(self) -> AsyncIterator[Cue]:
        """Yield the parts as they are published, from a keyframe on; ends with the take, or if the viewer lags."""
        queue: asyncio.Queue[Cue | None] = asyncio.Queue(_VIEWER_PARTS)
        self._viewers.add(queue)
        self._note_viewer()
        started = False
        try:
            while not self.playlist.ended or not queue.empty():
                cue = await queue.get()
                if cue is None:
                    break
                started = started or cue.index == 0
                if started:
                    yield cue
        finally:
            self._viewers.discard(queue)
            self._note_viewer()

    def _note_viewer(self) -> None:
        self._watched.set()
        self._watched_s = self._clock()


def _offer(queue: asyncio.Queue[Cue | None], cue: Cue | None) -> None:
    """Give a viewer the next part; one that has not fetched the last ones is told that it is over."""
    if queue.full():
        while not queue.empty():
            queue.get_nowait()
        cue = None
    queue.put_nowait(cue)

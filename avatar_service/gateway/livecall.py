"""Owns one call of a session whose video goes on while nobody speaks: speech as segments, and idling between them.

Each frame comes with its sound, paired by ``Pairing``: to speech the span that it shows, else silence. While nobody
watches and nothing is spoken, no frame is made, and after a while the slot is given back.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import numpy as np
from avatar_client import Control

from avatar_service.gateway.call import Call
from avatar_service.gateway.hls.tracks import SOUND_RATE_HZ
from avatar_service.gateway.live.pairing import TICKS_PER_S, Pairing

if TYPE_CHECKING:
    from avatar.v1.event_pb2 import Event
    from avatar_client import AvatarStream, Video

    from avatar_service.config import GatewaySettings
    from avatar_service.gateway.progress import Progress
    from avatar_service.gateway.speech import SpeechQueue
    from avatar_service.gateway.store import Folder
    from avatar_service.gateway.take import Take

_LATE_S: Final = 0.15
"""How late the next chunk of a segment may come: the first one is held back that much longer."""
_LONG_S: Final = 0.5
"""The longest chunk that is waited for behind a shorter one, once one was as long: it comes when it was spoken."""
_NOTICE_S: Final = 0.08
"""How long before it is needed the end of a segment is sent: it travels, and whoever it is for may be busy. Were it
late, the mouth would close, and open once more for the last frames: they wait for speech to look ahead to, or its end.
"""
_AHEAD_S: Final = 2.0
"""How far ahead of its time speech is sent; the rest waits on disk."""
_LOOK_EVERY_S: Final = 0.25
_PAUSED_SHARE: Final = 1 / 3
"""Of the time after which the slot is given back: then no more frames are made."""


class LiveCall(Call):
    """One call in mode LIVE; arguments as of ``Call``."""

    def __init__(
        self, speech: SpeechQueue, take: Take, progress: Progress, folder: Folder, settings: GatewaySettings
    ) -> None:
        super().__init__(speech, take, progress, folder, settings)
        self._pairing = Pairing()
        self._segments = 0
        self._spoke_s = time.monotonic()
        self._is_paused = False
        self._length = 1

    async def _send(self, stream: AvatarStream) -> None:
        """Send speech as it is fed, until the final chunk, or until nobody has fed or watched for a while."""
        idle_s = self._idle_s(stream)
        while not self._speech.is_spent and self._unused_s < idle_s:
            if piece := await self._speech.take(_LOOK_EVERY_S):
                await self._pause(stream, paused=False)
                await self._utter(stream, piece)
            await self._pause(stream, paused=self._unused_s > _PAUSED_SHARE * idle_s)
        await self._leave(stream)

    @property
    def _unused_s(self) -> float:
        return min(self._take.unwatched_s, time.monotonic() - self._spoke_s)

    async def _pause(self, stream: AvatarStream, *, paused: bool) -> None:
        if paused != self._is_paused:
            self._is_paused = paused
            await stream.control(Control(paused=paused))

    async def _utter(self, stream: AvatarStream, piece: bytes) -> None:
        """Send speech as one segment, until more must have come for it to go on.

        That is earlier than the end of its sound by the engine's look-ahead, which it sees beyond each frame until it
        is told that the segment has ended.
        """
        self._segments += 1
        segment_id = f"speech-{self._segments}"
        notice_s = stream.ready.look_ahead.ToTimedelta().total_seconds() + _NOTICE_S
        await asyncio.sleep(notice_s + _LATE_S + self._shortfall_s(piece))
        heard_s = time.monotonic()
        while piece:
            speech = np.frombuffer(piece, np.int16)
            self._pairing.hear(segment_id, speech, time.monotonic())
            await stream.send_audio(piece, segment_id)
            self._progress.sent(speech.size)
            heard_s = max(heard_s, time.monotonic()) + speech.size / SOUND_RATE_HZ
            await asyncio.sleep(heard_s - _AHEAD_S - time.monotonic())
            piece = await self._speech.take(max(0.0, heard_s - notice_s - time.monotonic()))
        await stream.end_segment(segment_id)
        self._spoke_s = time.monotonic()

    def _shortfall_s(self, piece: bytes) -> float:
        """Return by how much what was fed is shorter than a chunk that may follow."""
        fed = np.frombuffer(piece, np.int16).size + len(self._speech)
        return max(0.0, min(self._speech.longest / SOUND_RATE_HZ, _LONG_S) - fed / SOUND_RATE_HZ)

    def _show(self, video: Video) -> None:
        """Take a frame: with the sound of those that were left out before it, as far as it can be shown for them."""
        if not video.format:
            sound = self._pairing.show(video, time.monotonic()).samples
            span = video.duration * SOUND_RATE_HZ // TICKS_PER_S
            self._length = min(sound.size // span, self._take.part_frames)
            self._take.hear(sound[-self._length * span :])
            if video.segment_id:
                self._progress.seen()
        self._take.show(video, self._length)

    def _note(self, event: Event) -> None:
        super()._note(event)
        if event.HasField("segment_finished"):
            self._pairing.forget(event.segment_finished.segment_id)

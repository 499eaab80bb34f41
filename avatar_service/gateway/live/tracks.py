"""Owns what a viewer's WebRTC connection reads from: aiortc's tracks over the viewer's queues. Encodes nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from avatar_service.gateway.hls.tracks import SOUND_RATE_HZ
from avatar_service.gateway.live.opus import PACKET_SAMPLES

if TYPE_CHECKING:
    import av

    from avatar_service.gateway.live.audience import Viewer

_PACKET_S: Final = PACKET_SAMPLES / SOUND_RATE_HZ


class VideoTrack(MediaStreamTrack):
    """The frames as they come."""

    kind = "video"

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer

    async def recv(self) -> av.Packet[av.stream.Stream]:
        """Return the next frame, once it is there."""
        if self.readyState != "live":
            raise MediaStreamError
        unit = await self._viewer.frames.get()
        return unit.packet


class SoundTrack(MediaStreamTrack):
    """The packets of sound.

    Two come with a frame, and the second leaves 20 ms after the first: receivers put sound and picture in step by the
    times at which packets leave, and what comes in bursts waits longer in their buffers.
    """

    kind = "audio"

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._next_at_s = 0.0

    async def recv(self) -> av.Packet[av.stream.Stream]:
        """Return the next packet, once it is there and due."""
        if self.readyState != "live":
            raise MediaStreamError
        packet = await self._viewer.packets.get()
        loop = asyncio.get_running_loop()
        wait_s = self._next_at_s - loop.time()
        if wait_s > 0 and self._viewer.packets.empty():
            await asyncio.sleep(wait_s)
        self._next_at_s = loop.time() + _PACKET_S
        return packet

"""Owns one call of a session to the service, from its admission to its last frame."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from avatar.v1.event_pb2 import SESSION_STATE_PROCESSING
from avatar_client import AvatarRpcError

from avatar_service.errors import ResourceExhaustedError

if TYPE_CHECKING:
    from avatar.v1 import event_pb2
    from avatar.v1.event_pb2 import Event
    from avatar_client import AvatarStream, StreamAvatarResponse, Video

    from avatar_service.config import GatewaySettings
    from avatar_service.gateway.progress import Progress
    from avatar_service.gateway.speech import SpeechQueue
    from avatar_service.gateway.store import Folder
    from avatar_service.gateway.take import Take

_SHARE_OF_IDLE_LIMIT: Final = 0.8
"""A session leaves its slot before the service would take it."""


class Call:
    """One call: sends the speech that is fed, and hands what comes back to the take.

    Args:
        speech: what is to be sent.
        take: what is made of it.
        progress: the session's figures.
        folder: of the session, whose size is bounded.
        settings: bounds.

    Attributes:
        is_leaving: whether no more speech is sent.
    """

    def __init__(
        self, speech: SpeechQueue, take: Take, progress: Progress, folder: Folder, settings: GatewaySettings
    ) -> None:
        self._speech = speech
        self._take = take
        self._progress = progress
        self._folder = folder
        self._settings = settings
        self.is_leaving = False

    async def run(self, stream: AvatarStream) -> None:
        """Send and receive until the last frame has come.

        Raises:
            AvatarRpcError: if the service ends the call.
            AvatarError: if what comes cannot be taken.
            OSError: if the disk is full.
        """
        sending = asyncio.create_task(self._send(stream))
        try:
            async for response in stream:
                self._receive(response)
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, AvatarRpcError):
                await sending

    def _idle_s(self, stream: AvatarStream) -> float:
        """Return how long a session keeps its slot that does not need it."""
        limit_s = stream.ready.limits.idle_timeout.ToTimedelta().total_seconds()
        return min(self._settings.idle_slot_s, _SHARE_OF_IDLE_LIMIT * limit_s)

    async def _send(self, stream: AvatarStream) -> None:
        """Send speech as it is fed, until the final chunk, or until nothing was fed for a while."""
        idle_s = self._idle_s(stream)
        while piece := await self._speech.take(idle_s):
            speech = np.frombuffer(piece, np.int16)
            self._take.hear(speech)
            await stream.send_audio(piece)
            self._progress.sent(speech.size)
        await self._leave(stream)

    async def _leave(self, stream: AvatarStream) -> None:
        """Say that no more speech follows; there are frames to come: the last ones see beyond what was sent."""
        self.is_leaving = True
        self._take.near_end()
        await stream.end_audio()

    def _receive(self, response: StreamAvatarResponse) -> None:
        match response.WhichOneof("message"):
            case "video":
                self._show(response.video)
                if self._folder.size > self._settings.take_bytes:
                    raise ResourceExhaustedError("TAKE_FULL", "the session has made as much as may be stored of it")
            case "status":
                self._progress.is_processing = response.status.state == SESSION_STATE_PROCESSING
                self._progress.buffered_s = response.status.buffered_audio.ToTimedelta().total_seconds()
            case "event":
                self._note(response.event)
            case _:
                pass

    def _show(self, video: Video) -> None:
        self._take.show(video)
        self._progress.shown(video)

    def _note(self, event: Event) -> None:
        if event.HasField("warning"):
            warning = cast("event_pb2.Warning", event.warning)  # mypy takes it for the built-in one
            self._progress.warnings.append(warning.message)

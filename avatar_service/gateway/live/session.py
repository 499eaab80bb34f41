"""Owns one live session of the gateway: a LIVE call of the service, the microphone before it, and its viewers."""

from __future__ import annotations

import asyncio
import logging
import time
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import av
from avatar_client import AvatarRpcError, Control

from avatar_service.errors import ResourceExhaustedError
from avatar_service.gateway.live import words
from avatar_service.gateway.live.audience import Audience, Unit, Viewer
from avatar_service.gateway.live.opus import OpusStream
from avatar_service.gateway.live.pairing import TICKS_PER_S, Pairing
from avatar_service.gateway.live.voice import Voice
from avatar_service.gateway.order import SPEECH
from avatar_service.log import REQUEST_ID_HEADER, request_id

if TYPE_CHECKING:
    from avatar.v1.event_pb2 import Event, SessionStatus
    from avatar_client import AvatarClient, AvatarStream, Ready, Video

    from avatar_service.gateway.live.gate import Speech
    from avatar_service.gateway.live.voice import Sending
    from avatar_service.gateway.order import Order

_log = logging.getLogger(__name__)

_TICK: Final = Fraction(1, TICKS_PER_S)
_OUTBOX: Final = 100
"""Messages that wait for the service to read: 2 s of speech. Then speech is dropped, and the segment ends."""
_KEYFRAME_APART_S: Final = 0.25
"""A viewer who asks more often gets no more keyframes than this."""


class LiveSession:
    """One session.

    Args:
        session_id: minted by the server.
        order: how it is to be made.
        client: of the service.
        resume_s: how long a lost engine or connection is waited for.

    Attributes:
        id: as given.
        audience: who watches.
        speaker: whose microphone is heard.
        failure: why the service ended it, if it did.
        unwatched_s: since when nobody watches, in monotonic seconds; ``None`` while somebody does.
    """

    def __init__(self, session_id: str, order: Order, client: AvatarClient, resume_s: float) -> None:
        self.id = session_id
        self.audience = Audience()
        self.speaker: object | None = None
        self.failure: AvatarRpcError | None = None
        self.unwatched_s: float | None = time.monotonic()
        self.ended = asyncio.Event()
        self._order = order
        self._client = client
        self._resume_s = resume_s
        self._pairing = Pairing()
        self._voice = Voice(self._pairing, self._post)
        self._opus = OpusStream()
        self._outbox: asyncio.Queue[Sending] = asyncio.Queue(_OUTBOX)
        self._frames = 0
        self._keyframe_at_s = 0.0
        self._keyframe_due: asyncio.TimerHandle | None = None
        self._calling: asyncio.Task[None] | None = None
        self.ready: Ready

    # What a peer does ------------------------------------------------------------------------------------------------

    def viewer(self) -> Viewer:
        """Return a viewer, who is to join once media can flow."""
        return Viewer(self._ask_keyframe)

    def join(self, viewer: Viewer) -> None:
        """Let a viewer in, with a keyframe at once."""
        if not len(self.audience):
            self._post(lambda stream: stream.control(Control(paused=False)))
        self.audience.add(viewer)
        self.unwatched_s = None

    def leave(self, viewer: Viewer) -> None:
        """A viewer has left; while nobody watches no frame is made."""
        self.audience.discard(viewer)
        if not len(self.audience) and self.unwatched_s is None:
            self.unwatched_s = time.monotonic()
            self._post(lambda stream: stream.control(Control(paused=True)))

    def hear(self, samples: Speech) -> None:
        """Take sound of the microphone at 48 kHz, as it comes."""
        self._voice.hear(samples)

    def hush(self) -> None:
        """The microphone is gone: the segment ends with what was heard."""
        self._voice.hush()

    def say(self, samples: Speech) -> str:
        """Say what a text has become, 48 kHz int16; return the segment's id.

        Raises:
            ResourceExhaustedError: ``TOO_MUCH_TEXT``.
        """
        return self._voice.say(samples)

    def interrupt(self) -> None:
        """Stop speaking at once; what is said behind the next pause is shown again.

        Raises:
            ResourceExhaustedError: ``TOO_MANY_MESSAGES``.
        """
        unsent = self._voice.interrupt()
        self._demand(lambda stream: stream.interrupt())
        for segment_id in unsent:
            self.audience.tell(words.unsaid(segment_id))

    def control(self, changes: Control) -> None:
        """Change how the avatar looks.

        Raises:
            ResourceExhaustedError: ``TOO_MANY_MESSAGES``.
        """
        self._demand(lambda stream: stream.control(changes))

    def standing(self) -> dict[str, object]:
        """Return the figures of the session."""
        delay_ms = self._pairing.delay_ms
        return {
            "frames": self._frames,
            "viewers": len(self.audience),
            "delay_ms": None if delay_ms is None else round(delay_ms, 1),
        }

    # The call --------------------------------------------------------------------------------------------------------

    async def open(self, portrait: bytes) -> None:
        """Take a slot of the service, which prepares the portrait.

        Raises:
            AvatarRpcError: if the service refuses.
        """
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._calling = asyncio.create_task(self._converse(portrait, opened))
        try:
            await asyncio.wait([opened, self._calling], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._calling.cancel()
            raise
        await (opened if opened.done() else self._calling)  # raises what went wrong

    async def close(self) -> None:
        """Give the slot back, and tell the viewers."""
        if self._keyframe_due is not None:
            self._keyframe_due.cancel()
        if self._calling is not None:
            self._calling.cancel()
            await asyncio.wait([self._calling])
        self.ended.set()

    async def _converse(self, portrait: bytes, opened: asyncio.Future[None]) -> None:
        stream = self._client.stream(
            portrait,
            avatar_id=self._order.avatar_id,
            audio=SPEECH,
            video=self._order.live_video(),
            engine=self._order.engine,
            mode=self._order.mode,
            degradation_preference=self._order.degradation_preference,
            generation=self._order.generation(),
            metadata=[(REQUEST_ID_HEADER, request_id.get())],
            resume_s=self._resume_s,
        )
        try:
            async with stream:
                self.ready = stream.ready
                opened.set_result(None)
                await self._run(stream)
        except AvatarRpcError as error:
            if not opened.done():
                opened.set_exception(error)
                return
            _log.warning("a live session failed: %s", error.reason or error)
            self.failure = error
        finally:
            reason = self.failure.reason if self.failure else ""
            self.audience.tell({"type": "ended", "reason": reason})
            self.ended.set()

    async def _run(self, stream: AvatarStream) -> None:
        tasks = [asyncio.create_task(self._send(stream)), asyncio.create_task(self._voice.recite())]
        try:
            async for response in stream:
                match response.WhichOneof("message"):
                    case "video":
                        self._show(response.video)
                    case "event":
                        self._tell(response.event)
                    case "status":
                        self._report(response.status)
                    case _:
                        pass
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _send(self, stream: AvatarStream) -> None:
        while True:
            await (await self._outbox.get())(stream)

    def _post(self, sending: Sending) -> bool:
        """Put a message into the outbox; say whether it had room."""
        if self._outbox.full():
            return False
        self._outbox.put_nowait(sending)
        return True

    def _demand(self, sending: Sending) -> None:
        if not self._post(sending):
            raise ResourceExhaustedError("TOO_MANY_MESSAGES", "the service takes no more just now", retry_after_s=1.0)

    # Frames ----------------------------------------------------------------------------------------------------------

    def _show(self, video: Video) -> None:
        packet = av.Packet(video.data)
        packet.pts = video.pts
        packet.time_base = _TICK
        packet.is_keyframe = video.keyframe
        self.audience.show(video.format, Unit(packet, video.keyframe))
        if video.format:
            return
        self._frames += 1
        for sound in self._opus.push(self._pairing.show(video, time.monotonic())):
            self.audience.hear(sound)

    def _tell(self, event: Event) -> None:
        if event.HasField("segment_finished"):
            self._voice.finished(event.segment_finished.segment_id)
        self.audience.tell(words.told(event))

    def _report(self, status: SessionStatus) -> None:
        uptime_s = status.uptime.ToTimedelta().total_seconds()
        self.audience.tell({"type": "status", "uptime_s": round(uptime_s, 3), **self.standing()})

    def _ask_keyframe(self) -> None:
        """Ask the service for a keyframe, at once or as soon as the last one is long enough ago."""
        if self._keyframe_due is not None:
            return
        wait_s = max(0.0, self._keyframe_at_s + _KEYFRAME_APART_S - time.monotonic())
        self._keyframe_due = asyncio.get_running_loop().call_later(wait_s, self._force_keyframe)

    def _force_keyframe(self) -> None:
        self._keyframe_due = None
        self._keyframe_at_s = time.monotonic()
        self._post(lambda stream: stream.control(Control(force_keyframe=True)))

"""Owns one WebRTC connection to a live session: its answer, its media and its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Final

import av
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.sdp import SessionDescription

from avatar_service.errors import InvalidArgumentError, ResourceExhaustedError, UnavailableError
from avatar_service.gateway.live import words
from avatar_service.gateway.live.audience import Word
from avatar_service.gateway.live.microphone import Microphone
from avatar_service.gateway.live.offer import Offer, refusal
from avatar_service.gateway.live.tracks import SoundTrack, VideoTrack

if TYPE_CHECKING:
    from aiortc import RTCIceServer, RTCRtpCodecCapability

    from avatar_service.config import GatewaySettings
    from avatar_service.gateway.live.session import LiveSession

_log = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 0.5
_MIME_TYPES: Final = ("video/h264", "video/vp8")
"""Of a live session's formats, in their order."""
_RETRANSMISSION: Final = {"video/rtx", "audio/rtx"}
_MAX_UNSENT_BYTES: Final = 64 * 1024
"""Of the data channel: a peer who does not read it misses events."""
_CLOSE_WITHIN_S: Final = 2.0


class Peer:
    """One connection.

    Args:
        session: that is watched.
        servers: of ICE.
        settings: bounds.
    """

    def __init__(self, session: LiveSession, servers: list[RTCIceServer], settings: GatewaySettings) -> None:
        self._session = session
        self._settings = settings
        self._viewer = session.viewer()
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._connection.on("connectionstatechange", self._note_state)
        self._connection.on("track", self._note_track)
        self._connection.on("datachannel", self._note_channel)
        self._sound: MediaStreamTrack | None = None
        self._channel: RTCDataChannel | None = None
        self._settled = asyncio.Event()
        self._leaving = asyncio.Event()
        self._video: RTCRtpSender

    async def answer(self, offer: Offer) -> str:
        """Return the answer to ``offer``, as SDP.

        Raises:
            InvalidArgumentError: ``BAD_SDP``, or ``NO_COMMON_CODEC``.
            UnavailableError: ``ICE_TIMEOUT``.
        """
        self._check_codecs(offer)
        try:
            async with asyncio.timeout(self._settings.connect_within_s):
                return await self._negotiate(offer)
        except TimeoutError:
            await self._close()
            raise UnavailableError("ICE_TIMEOUT", "no way to this server was found in time") from None
        except OperationError:
            await self._close()
            raise _no_common_codec() from None
        except (ValueError, LookupError, InvalidStateError, InvalidAccessError, InternalError):
            await self._close()
            raise refusal("BAD_SDP", "the offer cannot be answered") from None
        except BaseException:
            await self._close()
            raise

    def _check_codecs(self, offer: Offer) -> None:
        formats = len(self._session.ready.video)
        if not set(_MIME_TYPES[:formats]) & set(offer.codecs):
            raise _no_common_codec()

    async def _negotiate(self, offer: Offer) -> str:
        connection = self._connection
        video = connection.addTransceiver(VideoTrack(self._viewer), "sendonly")
        video.setCodecPreferences(_capabilities("video", _MIME_TYPES[: len(self._session.ready.video)]))
        self._video = video.sender
        # aiortc encodes frames anew on a picture loss; what is passed through it does not know how to ask for.
        self._video._send_keyframe = self._viewer.ask_keyframe  # type: ignore[method-assign]  # noqa: SLF001
        if offer.has_sound:
            sound = connection.addTransceiver(SoundTrack(self._viewer), "sendrecv")
            sound.setCodecPreferences(_capabilities("audio", ("audio/opus",)))
        await connection.setRemoteDescription(RTCSessionDescription(offer.text, "offer"))
        await connection.setLocalDescription()
        text = connection.localDescription.sdp
        media = next(each for each in SessionDescription.parse(text).media if each.kind == "video")
        self._viewer.video_format = _MIME_TYPES.index(media.rtp.codecs[0].mimeType.lower())
        return text

    def leave(self) -> None:
        """Have the connection end, also one that is not established yet."""
        self._settled.set()
        self._leaving.set()

    async def run(self) -> None:
        """Serve the peer until it leaves, is gone, or the session has ended."""
        try:
            await self._connect()
            if self._connection.connectionState == "connected":
                await self._serve()
        finally:
            await self._close()

    async def _close(self) -> None:
        """Close the connection; aioice asks a relay that died for 40 s to free its place: that goes on alone."""
        await asyncio.wait([asyncio.create_task(self._connection.close())], timeout=_CLOSE_WITHIN_S)

    async def _connect(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.connect_within_s):
                await self._settled.wait()

    async def _serve(self) -> None:
        tasks = [asyncio.create_task(self._talk())]
        if self._sound is not None:
            tasks.append(asyncio.create_task(self._listen(self._sound)))
        self._session.join(self._viewer)
        try:
            await self._until_gone()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self._session.leave(self._viewer)
            if self._session.speaker is self:
                self._session.speaker = None
                self._session.hush()

    async def _until_gone(self) -> None:
        heard_bytes, heard_s = -1, time.monotonic()
        while not self._leaving.is_set() and not self._session.ended.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._leaving.wait()
            received = await self._received_bytes()
            if received != heard_bytes:
                heard_bytes, heard_s = received, time.monotonic()
            elif time.monotonic() - heard_s > self._settings.peer_silence_s:
                _log.info("a peer vanished")
                break

    async def _received_bytes(self) -> int:
        report = await self._video.getStats()
        return sum(each.bytesReceived for each in report.values() if each.type == "transport")

    # Media and words -------------------------------------------------------------------------------------------------

    async def _listen(self, track: MediaStreamTrack) -> None:
        """Hear the microphone, unless another one is heard in this session."""
        microphone = Microphone()
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                assert isinstance(frame, av.AudioFrame), "aiortc decodes what it receives"
                samples = microphone.hear(frame)
                if self._session.speaker is None:
                    self._session.speaker = self
                if self._session.speaker is self:
                    self._session.hear(samples)

    async def _talk(self) -> None:
        while True:
            word = await self._viewer.words.get()
            self._say(word)

    def _say(self, word: Word) -> None:
        channel = self._channel
        if channel is not None and channel.readyState == "open" and channel.bufferedAmount < _MAX_UNSENT_BYTES:
            channel.send(words.written(word))

    def _obey(self, text: str | bytes) -> None:
        try:
            changes = words.read(text)
            if changes is None:
                self._session.interrupt()
            else:
                self._session.control(changes)
        except (InvalidArgumentError, ResourceExhaustedError) as error:
            self._say(words.refusal(error))

    # What aiortc reports ---------------------------------------------------------------------------------------------

    def _note_state(self) -> None:
        if self._connection.connectionState in {"connected", "failed", "closed"}:
            self._settled.set()
        if self._connection.connectionState in {"failed", "closed"}:
            self._leaving.set()

    def _note_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            self._sound = track

    def _note_channel(self, channel: RTCDataChannel) -> None:
        if self._channel is None:
            self._channel = channel
            channel.on("message", self._obey)


def _capabilities(kind: str, mime_types: tuple[str, ...]) -> list[RTCRtpCodecCapability]:
    """Return what aiortc can do of these codecs, in their order, and retransmission."""
    found = RTCRtpSender.getCapabilities(kind).codecs
    wanted = [each for name in mime_types for each in found if each.mimeType.lower() == name]
    return wanted + [each for each in found if each.mimeType.lower() in _RETRANSMISSION]


def _no_common_codec() -> InvalidArgumentError:
    msg = "offer H.264 with packetization-mode 1 and Opus; or open the session with vp8=true, and offer VP8"
    return refusal("NO_COMMON_CODEC", msg)

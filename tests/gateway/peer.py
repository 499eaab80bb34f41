"""A WebRTC peer under test: aiortc, as a browser would use the gateway."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from fractions import Fraction
from typing import Any

import av
import httpx
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

RATE_HZ = 48_000
PIECE = RATE_HZ // 50


class Voice(MediaStreamTrack):
    """A microphone: silence, and what it is told to say, 20 ms at a time by the clock."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._pieces: deque[NDArray[np.int16]] = deque()
        self._sent = 0
        self._began_s: float | None = None

    def say(self, samples: NDArray[np.int16]) -> None:
        """Say this next."""
        whole = np.pad(samples, (0, -samples.size % PIECE))
        self._pieces.extend(whole.reshape(-1, PIECE))

    async def recv(self) -> av.AudioFrame:
        """Return the next 20 ms."""
        loop = asyncio.get_running_loop()
        self._began_s = self._began_s or loop.time()
        await asyncio.sleep(max(0.0, self._began_s + self._sent / RATE_HZ - loop.time()))
        piece = self._pieces.popleft() if self._pieces else np.zeros(PIECE, np.int16)
        frame = av.AudioFrame.from_ndarray(piece[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        frame.pts, frame.time_base = self._sent, Fraction(1, RATE_HZ)
        self._sent += PIECE
        return frame


class Peer:
    """One connection.

    Attributes:
        voice: its microphone.
        pictures: time in seconds and RGB of each frame that came.
        sounds: time in seconds and samples of each packet that came.
        words: what the data channel said.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        codec: str = "",
        speaks: bool = True,
        configuration: RTCConfiguration | None = None,
    ) -> None:
        self._http = http
        self.connection = RTCPeerConnection(configuration or RTCConfiguration(iceServers=[]))
        self.voice = Voice()
        self.pictures: list[tuple[float, NDArray[np.uint8]]] = []
        self.sounds: list[tuple[float, NDArray[np.int16]]] = []
        self.words: list[dict[str, Any]] = []
        self.location = ""
        self._tasks: list[asyncio.Task[None]] = []
        video = self.connection.addTransceiver("video", "recvonly")
        if codec:
            found = RTCRtpSender.getCapabilities("video").codecs
            video.setCodecPreferences([each for each in found if each.mimeType.lower() == codec])
        if speaks:
            self.connection.addTransceiver(self.voice, "sendrecv")
        else:
            self.connection.addTransceiver("audio", "recvonly")
        self._channel = self.connection.createDataChannel("control")
        self._channel.on("message", lambda text: self.words.append(json.loads(text)))
        self.connection.on("track", self._note)

    def _note(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.create_task(self._collect(track)))

    async def _collect(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                time_s = float(frame.pts * frame.time_base)
                if isinstance(frame, av.VideoFrame):
                    self.pictures.append((time_s, frame.to_ndarray(format="rgb24")))
                else:
                    self.sounds.append((time_s, frame.to_ndarray().reshape(-1, 2)[:, 0].copy()))
        except MediaStreamError:
            return

    async def offer(self) -> str:
        """Return an offer, with all candidates in it."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def connect(self, session_id: str) -> httpx.Response:
        """Connect to a session."""
        answer = await self._http.post(
            f"/api/webrtc/{session_id}", content=await self.offer(), headers={"Content-Type": "application/sdp"}
        )
        assert answer.status_code == 201, answer.text
        self.location = answer.headers["location"]
        await self.connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        return answer

    def send(self, word: object) -> None:
        """Send a message through the data channel."""
        self._channel.send(word if isinstance(word, str) else json.dumps(word))

    def told(self, kind: str) -> list[dict[str, Any]]:
        """Return the messages of a type that came."""
        return [word for word in self.words if word["type"] == kind]

    async def until_told(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Wait for a message of this type."""
        async with asyncio.timeout(20):
            while len(self.told(kind)) < count:
                await asyncio.sleep(0.01)
        return self.told(kind)[count - 1]

    async def until_pictures(self, count: int) -> None:
        """Wait until so many frames came."""
        async with asyncio.timeout(20):
            while len(self.pictures) < count:
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        """End the connection."""
        try:
            await self.connection.close()
        finally:
            for task in self._tasks:
                task.cancel()

"""Measures all three ways in at once: paced sessions over gRPC, takes over HLS and a conversation over WebRTC.

The HLS player only reads playlists and checks them against the rules; the WebRTC viewer decodes all that comes. Both
are in this process, so the lateness of the gRPC sessions includes what they take of the machine.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from fractions import Fraction
from typing import Any, Final

import av
import httpx
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from gateway import API, check, opened, speak
from hls_rules import Reloads

from avatar_service.commands.bench import lateness
from avatar_service.commands.load import LATE_MS, Speech, loaded_server, paced_session
from load.plan import Plan, gateway, portrait

SESSIONS: Final = 4
SECONDS: Final = 60.0
FPS: Final = 25
TICKS_PER_FRAME: Final = 3600
PIECE_S: Final = 0.02


async def mix(plan: Plan) -> dict[str, Any]:
    """Return what each of them saw; two of the sessions are the gateway's, one of each kind."""
    count, seconds = max(1, (plan.sessions or SESSIONS) - 2), plan.seconds or SECONDS
    async with (
        loaded_server("--engine", plan.engine, "--capacity", str(count + 2)) as server,
        gateway(server.target) as (base, _),
        httpx.AsyncClient(base_url=base, timeout=60) as http,
        asyncio.TaskGroup() as tasks,
    ):
        hls = tasks.create_task(_hls(http, seconds))
        webrtc = tasks.create_task(_webrtc(http, seconds))
        paced = [
            tasks.create_task(paced_session(server.target, portrait(), Speech.sample(), seconds, delay_s=k / count))
            for k in range(count)
        ]
        await asyncio.gather(hls, webrtc, *paced)
    outcomes = [task.result() for task in paced]
    return {
        "engine": plan.engine,
        "grpc_sessions": count,
        "grpc": lateness(outcomes),
        "hls": hls.result(),
        "webrtc": webrtc.result(),
        "mix_frames_missing": sum(one.missing for one in outcomes)
        + hls.result()["missing"]
        + webrtc.result()["missing"],
        "mix_late_frames": sum(ms > LATE_MS for one in outcomes for ms in one.lateness_ms),
    }


async def _hls(http: httpx.AsyncClient, seconds: float) -> dict[str, Any]:
    session, reloads = await opened(http, portrait()), Reloads()
    checking = asyncio.create_task(check(http, session["hls_url"], reloads))
    await speak(http, session["session_id"], seconds)
    async with asyncio.timeout(60):
        while (standing := (await http.get(f"{API}/status/{session['session_id']}")).json())["status"] != "complete":
            await asyncio.sleep(0.1)
        await checking
    missing = math.ceil(seconds * FPS - 1e-6) - standing["total_frames_generated"]
    return {"missing": missing, "reloads": reloads.count, "violations": reloads.violations}


async def _webrtc(http: httpx.AsyncClient, seconds: float) -> dict[str, Any]:
    answer = await http.post("/api/live", files={"image": ("portrait", portrait())}, data={"preset": "lowest_latency"})
    answer.raise_for_status()
    viewer = Viewer()
    async with asyncio.timeout(seconds + 30):
        await viewer.connect(http, answer.json()["webrtc_url"])
        await viewer.seen.wait()
        await asyncio.sleep(seconds)
    await viewer.connection.close()
    steps = [round((after - before) / TICKS_PER_FRAME) for before, after in itertools.pairwise(viewer.times)]
    return {"frames": len(viewer.times), "missing": sum(step - 1 for step in steps)}


class Viewer:
    """A WebRTC peer that speaks and watches.

    Attributes:
        connection: its own.
        times: RTP time of each frame that came.
        seen: set once one has.
    """

    def __init__(self) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.times: list[int] = []
        self.seen = asyncio.Event()
        self._watching: list[asyncio.Task[None]] = []
        self.connection.addTransceiver("video", "recvonly")
        self.connection.addTransceiver(Microphone(Speech.sample()), "sendrecv")
        self.connection.on("track", lambda track: self._watching.append(asyncio.create_task(self._watch(track))))

    async def connect(self, http: httpx.AsyncClient, url: str) -> None:
        """Offer, and take the answer."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        offer = self.connection.localDescription.sdp
        answer = await http.post(url, content=offer, headers={"Content-Type": "application/sdp"})
        answer.raise_for_status()
        await self.connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))

    async def _watch(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                if isinstance(frame, av.VideoFrame):
                    self.times.append(int(frame.pts))
                    self.seen.set()
        except MediaStreamError:
            return


class Microphone(MediaStreamTrack):
    """Says the speech, round and round, 20 ms at a time by the clock."""

    kind = "audio"

    def __init__(self, speech: Speech) -> None:
        super().__init__()
        self._speech = speech
        self._count = round(speech.rate_hz * PIECE_S)
        self._sent = 0
        self._began_s: float | None = None

    async def recv(self) -> av.AudioFrame:
        """Return the next 20 ms."""
        loop = asyncio.get_running_loop()
        self._began_s = self._began_s or loop.time()
        await asyncio.sleep(max(0.0, self._began_s + self._sent / self._speech.rate_hz - loop.time()))
        samples = np.frombuffer(self._speech.piece(self._sent, self._count), np.int16)
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = self._speech.rate_hz
        frame.pts, frame.time_base = self._sent, Fraction(1, self._speech.rate_hz)
        self._sent += self._count
        return frame

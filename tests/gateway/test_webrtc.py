"""Live sessions over WebRTC: aiortc as the peer, the gateway, and the service with the fake engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import av
import httpx
import numpy as np
import psutil
import pytest
from aiortc import RTCRtpSender
from numpy.typing import NDArray

from avatar_service.gateway.live.audience import Viewer
from tests.gateway.conftest import Client, Run, tone
from tests.gateway.peer import Peer

pytestmark = [pytest.mark.alone, pytest.mark.timeout(60)]

SDP = {"Content-Type": "application/sdp"}


@pytest.fixture
async def peer(client: Client) -> AsyncIterator[Peer]:
    """A peer that is connected to a new session."""
    made = Peer(client.http)
    await made.connect(await client.live())
    try:
        yield made
    finally:
        await made.close()


def spoken(seconds: float) -> NDArray[np.int16]:
    """Return a tone as a microphone sends it."""
    return tone(seconds, 48_000)


def sweep() -> NDArray[np.int16]:
    """Return a second of sound as a microphone sends it, whose pitch tells how much of it has passed."""
    time_s = np.arange(48_000) / 48_000
    return (np.sin(2 * np.pi * (400 * time_s + 1_000 * time_s**2)) * 9_000).astype(np.int16)


def passed_s(packet: NDArray[np.int16]) -> float:
    """Return which moment of ``sweep`` is amid a packet, to some milliseconds."""
    spectrum = np.abs(np.fft.rfft(packet * np.hanning(packet.size), 48_000))
    return (float(np.argmax(spectrum)) - 400) / 2_000


async def free_sessions(client: Client) -> int:
    """Return how many sessions the service would admit."""
    body = (await client.http.get("/health")).json()
    free: int = body["free_sessions"]
    return free


async def until_free(client: Client, count: int) -> None:
    """Wait until so many slots are free."""
    async with asyncio.timeout(20):
        while await free_sessions(client) != count:
            await asyncio.sleep(0.02)


# Media ---------------------------------------------------------------------------------------------------------------


async def test_a_peer_sees_an_idle_avatar_at_25_fps_with_exact_times(peer: Peer) -> None:
    """Each frame is 40 ms after the last one, on the wire's clock of 90 kHz."""
    await peer.until_pictures(50)
    times = np.array([time for time, _ in peer.pictures])
    assert np.allclose(np.diff(times), 0.04, atol=1e-9)


async def test_the_sound_goes_on_without_a_gap(peer: Peer) -> None:
    """Each packet is 20 ms after the last one, also while nobody speaks."""
    await peer.until_pictures(50)
    times = np.array([time for time, _ in peer.sounds])
    assert times.size > 50
    assert np.allclose(np.diff(times), 0.02, atol=1e-9)


async def test_what_is_said_comes_back_with_the_frames_that_show_it(peer: Peer) -> None:
    """The sound is what was said: all of it, in order and once, with holes only where it came too late."""
    await peer.until_pictures(10)
    peer.voice.say(sweep())
    started = await peer.until_told("segment_started")
    finished = await peer.until_told("segment_finished")
    assert not finished["interrupted"]
    assert finished["played_s"] == pytest.approx(1.0 + 0.6, abs=0.15)  # with the pause that ends it
    assert started["segment_id"] == finished["segment_id"]
    levels = np.array([np.std(samples) for _, samples in peer.sounds])
    moments = [passed_s(samples) for (_, samples), level in zip(peer.sounds, levels, strict=True) if level > 4_000]
    assert moments[0] < 0.04
    assert moments[-1] > 0.96
    assert np.allclose(np.diff(moments), 0.02, atol=0.004)
    beginnings = np.count_nonzero(np.diff((levels > 1_000).astype(int)) == 1)
    assert beginnings <= 1 + len(peer.told("underrun"))


async def test_sound_and_picture_are_in_step(client: Client) -> None:
    """Frame by frame, the level that is drawn is the level that is heard in the same 40 ms of the clock they share."""
    session_id = await client.live()
    session = client.live_sessions.get(session_id)
    viewer = session.viewer()
    session.join(viewer)
    drawn: dict[int, float] = {}
    heard: dict[int, float] = {}
    watching = [asyncio.create_task(_draw(viewer, drawn)), asyncio.create_task(_hear(viewer, heard))]
    peer = Peer(client.http)
    await peer.connect(session_id)
    for _ in range(3):
        peer.voice.say(np.concatenate([spoken(0.4), np.zeros(48_000, np.int16)]))
    await peer.until_told("segment_finished", 2)
    await peer.close()
    for task in watching:
        task.cancel()
    times = sorted(set(drawn) & set(heard))
    levels = np.array([(drawn[time], heard[time]) for time in times])
    shifts = [np.corrcoef(levels[2:-2, 0], np.roll(levels[:, 1], shift)[2:-2])[0, 1] for shift in (-2, -1, 0, 1, 2)]
    assert len(times) > 60
    assert np.argmax(shifts) == 2
    assert shifts[2] > 0.9


async def _draw(viewer: Viewer, drawn: dict[int, float]) -> None:
    """Note the length of the fake engine's bar by the number of the frame on the clock."""
    decoder = av.CodecContext.create("h264", "r")
    while True:
        unit = await viewer.frames.get()
        for frame in decoder.decode(av.Packet(bytes(unit.packet))):
            picture = frame.to_ndarray(format="rgb24")[:, -4:].astype(int)
            drawn[unit.packet.pts // 3600] = float((picture[..., 0] - picture[..., 1] > 100).mean())


async def _hear(viewer: Viewer, heard: dict[int, float]) -> None:
    """Note the level of the sound likewise."""
    decoder = av.CodecContext.create("libopus", "r")
    while True:
        packet = await viewer.packets.get()
        for frame in decoder.decode(av.Packet(bytes(packet))):
            level = float(np.sqrt(np.mean(np.square(frame.to_ndarray().astype(float)))))
            heard[packet.pts // 1920] = heard.get(packet.pts // 1920, 0.0) + level


async def test_a_peer_without_opus_is_refused(client: Client) -> None:
    """The sound is encoded once, as Opus, which every browser must have."""
    peer = Peer(client.http)
    offer = (await peer.offer()).replace("opus/48000/2", "L16/44100/2")
    answer = await client.http.post(f"/api/webrtc/{await client.live()}", content=offer, headers=SDP)
    await peer.close()
    assert answer.status_code == 400
    assert answer.json()["reason"] == "NO_COMMON_CODEC"


async def test_vp8_is_there_where_it_was_asked_for(client: Client) -> None:
    """A peer without H.264 gets the session's second format."""
    peer = Peer(client.http, codec="video/vp8")
    answer = await peer.connect(await client.live(vp8="true"))
    assert "VP8/90000" in answer.text
    await peer.until_pictures(20)
    times = np.array([time for time, _ in peer.pictures])
    await peer.close()
    assert np.allclose(np.diff(times), 0.04, atol=1e-9)


async def test_a_peer_without_a_common_codec_is_told_what_to_do(client: Client) -> None:
    """A session without VP8 has nothing for a peer without H.264."""
    peer = Peer(client.http, codec="video/vp8")
    session_id = await client.live()
    answer = await client.http.post(f"/api/webrtc/{session_id}", content=await peer.offer(), headers=SDP)
    await peer.close()
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["reason"] == "NO_COMMON_CODEC"
    assert "vp8=true" in answer.json()["detail"]


# Viewers -------------------------------------------------------------------------------------------------------------


async def test_two_viewers_share_one_encode_and_the_second_begins_at_once(client: Client) -> None:
    """Both get the same bytes; the late one does not wait for the next keyframe of the interval."""
    session_id = await client.live()
    first, second = Peer(client.http), Peer(client.http, speaks=False)
    await first.connect(session_id)
    await first.until_pictures(30)
    frames_before = (await client.http.get(f"/api/live/{session_id}")).json()["frames"]
    await second.connect(session_id)
    await second.until_pictures(25)
    standing = (await client.http.get(f"/api/live/{session_id}")).json()
    await first.close()
    await second.close()
    assert standing["viewers"] == 2
    assert standing["frames"] - frames_before < 25 * 3
    assert (await free_sessions(client)) == 3


async def test_a_lost_picture_is_answered_by_a_keyframe(client: Client) -> None:
    """A PLI of the peer reaches the encoder: aiortc itself would not pass it on."""
    session_id = await client.live()
    peer = Peer(client.http)
    await peer.connect(session_id)
    await peer.until_pictures(20)
    viewer = client.live_sessions.get(session_id).viewer()
    client.live_sessions.get(session_id).audience.add(viewer)
    await _keyframe(viewer.frames)
    receiver = next(each for each in peer.connection.getReceivers() if each.track.kind == "video")
    (ssrc,) = receiver._RTCRtpReceiver__active_ssrc  # type: ignore[attr-defined]
    await receiver._send_rtcp_pli(ssrc)
    await _keyframe(viewer.frames)
    await peer.close()


async def _keyframe(frames: asyncio.Queue) -> None:  # type: ignore[type-arg]
    async with asyncio.timeout(5):
        while not (await frames.get()).is_keyframe:
            pass


def test_aiortc_still_asks_the_method_that_we_replace() -> None:
    """The sender's only way to ask for a keyframe, which is not public."""
    assert callable(RTCRtpSender._send_keyframe)


async def test_there_are_no_more_viewers_than_may_be(run_gateway: Run) -> None:
    """The next one is told to come again."""
    async with run_gateway(max_viewers=1) as client:
        session_id = await client.live()
        first, second = Peer(client.http), Peer(client.http)
        await first.connect(session_id)
        answer = await client.http.post(f"/api/webrtc/{session_id}", content=await second.offer(), headers=SDP)
        await first.close()
        await second.close()
    assert answer.status_code == 429
    assert answer.json()["reason"] == "TOO_MANY_VIEWERS"
    assert answer.headers["retry-after"]


async def test_a_killed_engine_makes_the_picture_stand_and_go_on(run_gateway: Run) -> None:
    """Viewers stay connected; behind the gap, which is as long as it took, what is said comes back again."""
    async with run_gateway({"workers": 1, "capacity": 2}, create=None) as client:
        peer = Peer(client.http)
        await peer.connect(await client.live())
        await peer.until_pictures(25)
        [worker] = psutil.Process().children()
        worker.kill()
        await peer.until_pictures(75)
        peer.voice.say(spoken(1.0))
        await peer.until_told("segment_started")
        await peer.close()
    times = np.array([time for time, _ in peer.pictures])
    assert (np.diff(times) > 0).all()
    assert np.allclose(np.diff(times) / 0.04, np.rint(np.diff(times) / 0.04), atol=1e-6)
    assert not peer.told("ended")


# Control -------------------------------------------------------------------------------------------------------------


async def test_an_interruption_cuts_what_is_said(peer: Peer) -> None:
    """It is answered, the segment finishes as interrupted, and silence follows though the speaker goes on."""
    await peer.until_pictures(10)
    peer.voice.say(spoken(3.0))
    await peer.until_told("segment_started")
    peer.send({"type": "interrupt"})
    interrupted = await peer.until_told("interrupted")
    finished = await peer.until_told("segment_finished")
    heard = len(peer.sounds)
    assert finished["interrupted"]
    assert finished["segment_id"] in interrupted["segment_ids"]
    await peer.until_pictures(len(peer.pictures) + 30)
    assert all(np.abs(samples).max() < 1000 for _, samples in peer.sounds[heard + 15 :])


async def test_behind_a_pause_an_interrupted_speaker_is_heard_again(peer: Peer) -> None:
    """The next utterance is a segment of its own."""
    peer.voice.say(spoken(0.6))
    await peer.until_told("segment_started")
    peer.send({"type": "interrupt"})
    await peer.until_told("interrupted")
    peer.voice.say(np.zeros(48_000 // 2, np.int16))
    peer.voice.say(spoken(0.4))
    again = await peer.until_told("segment_started", 2)
    assert again["segment_id"] != peer.told("segment_started")[0]["segment_id"]
    assert not (await peer.until_told("segment_finished", 2))["interrupted"]


async def test_a_control_changes_the_picture(peer: Peer) -> None:
    """The fake engine shows a digest of what was controlled."""
    await peer.until_pictures(20)
    before = peer.pictures[-1][1].astype(int)
    peer.send({"type": "control", "pose": [0.1, 0.0, 0.0], "gaze": [0.1, 0.1], "emotion": "happy", "head_motion": 0.5})
    await peer.until_pictures(len(peer.pictures) + 15)
    changes = np.abs(peer.pictures[-1][1].astype(int) - before)
    assert changes.max() > 60
    assert not peer.told("error")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"type": "dance"}', '{"type": "control", "pose": [1]}', "x" * 5000])
async def test_a_message_that_cannot_be_read_is_answered(peer: Peer, text: str) -> None:
    """And the connection goes on."""
    await peer.until_told("status")
    peer.send(text or " ")
    assert (await peer.until_told("error"))["reason"] == "BAD_MESSAGE"
    await peer.until_pictures(len(peer.pictures) + 5)


# Ends ----------------------------------------------------------------------------------------------------------------


async def test_a_deleted_connection_ends_and_the_session_goes_on_for_a_while(client: Client) -> None:
    """The peer's connection closes; another may come to the same session."""
    session_id = await client.live()
    first, second = Peer(client.http), Peer(client.http)
    await first.connect(session_id)
    await first.until_pictures(5)
    assert (await client.http.delete(first.location)).status_code == 200
    async with asyncio.timeout(10):
        while first.connection.connectionState == "connected":
            await asyncio.sleep(0.02)
    assert (await client.http.delete(first.location)).status_code == 404
    await second.connect(session_id)
    await second.until_pictures(5)
    await first.close()
    await second.close()


async def test_a_deleted_session_sends_its_viewers_away(client: Client) -> None:
    """They are told, the slot is free, and the session is gone."""
    session_id = await client.live()
    peer = Peer(client.http)
    await peer.connect(session_id)
    await peer.until_told("status")
    assert (await client.http.delete(f"/api/live/{session_id}")).status_code == 200
    await peer.until_told("ended")
    await until_free(client, 4)
    assert (await client.http.get(f"/api/live/{session_id}")).status_code == 410
    await peer.close()


async def test_a_peer_that_vanishes_frees_the_slot(run_gateway: Run) -> None:
    """From one whose network is gone nothing comes: he is let go, and then the session that nobody watches."""
    async with run_gateway(peer_silence_s=1.0, unwatched_s=0.5) as client:
        peer = Peer(client.http)
        await peer.connect(await client.live())
        await peer.until_pictures(5)
        assert await free_sessions(client) == 3
        for transceiver in peer.connection.getTransceivers():
            transceiver.receiver.transport.transport._connection._nominated.clear()  # a cable that is cut
        await until_free(client, 4)
        await peer.close()


async def test_ice_that_never_completes_is_closed_and_the_slot_freed(run_gateway: Run) -> None:
    """A peer that answers no check is let go when its time is over."""
    async with run_gateway(connect_within_s=1.0, unwatched_s=1.5) as client:
        peer = Peer(client.http)
        offer = await peer.offer()
        await peer.close()
        answer = await client.http.post(f"/api/webrtc/{await client.live()}", content=offer, headers=SDP)
        assert answer.status_code == 201
        assert len(client.peers) == 1
        async with asyncio.timeout(8):
            while len(client.peers):
                await asyncio.sleep(0.02)
        await until_free(client, 4)


async def test_a_session_that_nobody_ever_watches_ends(run_gateway: Run) -> None:
    """Its slot is free again."""
    async with run_gateway(unwatched_s=0.3) as client:
        session_id = await client.live()
        await until_free(client, 4)
        assert (await client.http.get(f"/api/live/{session_id}")).status_code == 410


# Bad offers ----------------------------------------------------------------------------------------------------------


async def refused(client: Client, content: bytes | str, kind: str = "application/sdp") -> httpx.Response:
    """Return the answer to an offer that is none."""
    answer = await client.http.post(
        f"/api/webrtc/{await client.live()}", content=content, headers={"Content-Type": kind}
    )
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(client.peers) == 0
    return answer


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        b"\xff\xfe\x00",
        b"v=0\r\n",
        b"v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n",
        b"v=0\r\nm=video\r\n",
        b"v=0\r\na=fingerprint:x\r\nm=video 9 x y\r\n",
        b"v=0\r\n" + b"m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * 900,
        b"v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n" + b"a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n" * 100,
        b"v=0\r\n" + b"a=" + b"x" * 40_000,
    ],
)
async def test_garbage_is_refused(client: Client, content: bytes) -> None:
    """With the reason and the field, and no connection is kept."""
    answer = await refused(client, content)
    assert (answer.status_code, answer.json()["reason"]) == (400, "BAD_SDP")
    assert answer.json()["field"] == "sdp"


async def test_a_huge_offer_is_not_read(client: Client) -> None:
    """As any other body that is too large."""
    answer = await refused(client, b"v=0\r\n" + b"x" * 100_000)
    assert answer.status_code == 413


async def test_another_content_type_is_refused(client: Client) -> None:
    """An offer says that it is one."""
    answer = await refused(client, "v=0", "application/json")
    assert (answer.status_code, answer.json()["reason"]) == (415, "NOT_SDP")


async def test_an_offer_whose_lines_are_damaged_never_fails_the_server(run_gateway: Run) -> None:
    """Each line left out, cut, or changed: a 201 or a 400 that says why, and nothing is left of it."""
    async with run_gateway(max_viewers=1000) as client:
        session_id = await client.live()
        peer = Peer(client.http)
        lines = (await peer.offer()).splitlines()
        await peer.close()
        damaged = [lines[:at] + change + lines[at + 1 :] for at in range(len(lines)) for change in _damages(lines[at])]
        seen = set()
        for each in damaged:
            answer = await client.http.post(
                f"/api/webrtc/{session_id}", content="\r\n".join(each) + "\r\n", headers=SDP
            )
            assert answer.status_code in {201, 400}, (each, answer.text)
            seen.add(answer.status_code)
            if answer.status_code == 201:
                assert (await client.http.delete(answer.headers["location"])).status_code == 200
        async with asyncio.timeout(5):
            while len(client.peers):
                await asyncio.sleep(0.02)
        assert seen == {201, 400}


def _damages(line: str) -> list[list[str]]:
    return [[], [line[: len(line) // 2]], [line[:5] + "\u00e9" + line[5:]]]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_unknown_session_is_not_found(client: Client, method: str) -> None:
    """The same for all that names one."""
    answer = await client.http.request(method, "/api/live/nobody")
    assert (answer.status_code, answer.json()["reason"]) == (404, "SESSION_UNKNOWN")
    assert (await client.http.post("/api/webrtc/nobody", content="v=0", headers=SDP)).status_code == 404
    assert (await client.http.delete("/api/webrtc/nobody/x")).json()["reason"] == "PEER_UNKNOWN"


async def test_a_full_service_refuses_a_live_session(client: Client) -> None:
    """As it refuses any other."""
    for _ in range(4):
        await client.live()
    files = {"image": ("portrait.png", client.photo, "image/png")}
    answer = await client.http.post("/api/live", files=files)
    assert (answer.status_code, answer.json()["reason"]) == (429, "POOL_FULL")
    assert answer.headers["retry-after"]


async def test_a_session_that_may_be_halved_finds_room_and_shows_every_second_frame(client: Client) -> None:
    """Four have a place each; a fifth one halves those that allow it, with exact times, until it is gone."""
    modest = {"degradation_preference": "maintain_resolution"}
    peer = Peer(client.http)
    try:
        await peer.connect(await client.live(**modest))
        for _ in range(3):
            await client.live()
        await peer.until_pictures(5)
        another = await client.live(**modest)
        assert (await peer.until_told("degraded"))["reason"] == "HALF_RATE"
        seen = len(peer.pictures) + 5
        await peer.until_pictures(seen + 10)
        times = [at for at, _ in peer.pictures[seen:]]
        assert np.diff(times) == pytest.approx(0.08)
        await client.http.delete(f"/api/live/{another}")
        assert (await peer.until_told("recovered"))["reason"] == "HALF_RATE"
    finally:
        await peer.close()


async def test_an_unknown_preference_is_refused(client: Client) -> None:
    """With the field, and what there is."""
    files = {"image": ("portrait.png", client.photo, "image/png")}
    answer = await client.http.post("/api/live", files=files, data={"degradation_preference": "balanced"})
    assert (answer.status_code, answer.json()["field"]) == (400, "degradation_preference")
    assert "disabled, maintain_resolution" in answer.json()["detail"]


async def test_a_server_that_drains_opens_no_live_session(client: Client) -> None:
    """As none of the others."""
    client.doors.close()
    files = {"image": ("portrait.png", client.photo, "image/png")}
    answer = await client.http.post("/api/live", files=files)
    assert (answer.status_code, answer.json()["reason"]) == (503, "DRAINING")


async def test_ice_servers_are_handed_to_the_peer(run_gateway: Run) -> None:
    """In the session's answer, and as WHIP's Link header."""
    servers = ("stun:127.0.0.1:9", "turn:me:p%40ss@127.0.0.1:9?transport=udp")
    async with run_gateway(ice_servers=servers, connect_within_s=1.0) as client:
        files = {"image": ("portrait.png", client.photo, "image/png")}
        body = (await client.http.post("/api/live", files=files)).json()
    assert body["ice_servers"] == [
        {"urls": "stun:127.0.0.1:9", "username": "", "credential": ""},
        {"urls": "turn:127.0.0.1:9?transport=udp", "username": "me", "credential": "p@ss"},
    ]

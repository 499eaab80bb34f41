"""What fails beneath the gateway costs only the sessions that it fails, and is said."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psutil
import pytest

from tests.gateway.conftest import API, Client, Movie, Run, tone, wav
from tests.gateway.test_app import free_port, health, running

pytestmark = pytest.mark.alone


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond ``size`` bytes: the error is that of a full disk but for its number."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


async def test_a_disk_too_full_for_the_portrait_is_507_and_leaves_nothing(client: Client) -> None:
    """Row 55: init says that the server cannot store; the slot is free again."""
    with disk_of(100):
        answers = [await client.try_init() for _ in range(6)]
    assert {(answer.status_code, answer.json()["reason"]) for answer in answers} == {(507, "DISK")}
    await client.finished(wav(tone(0.2)))


async def test_a_disk_too_full_for_a_chunk_costs_that_session(client: Client) -> None:
    """Row 55: the chunk is refused, the session has failed, another one goes on."""
    failing, other = await client.init(), await client.init()
    with disk_of(100_000):
        answer = await client.try_feed(failing, wav(tone(2)))
        await client.feed(other, wav(tone(0.2)), is_final_chunk="true")
    assert (answer.status_code, answer.json()["reason"]) == (507, "DISK")
    assert (await client.until(failing, "error"))["error"]
    assert (await client.until(other, "complete"))["total_frames_generated"] == 5


async def test_a_disk_too_full_for_a_segment_costs_that_session(client: Client) -> None:
    """Row 55: the take ends with what was stored before, and its playlist with ENDLIST."""
    failing, other = await client.init(), await client.init()
    await client.feed(other, wav(tone(0.2)), is_final_chunk="true")
    await client.until(other, "complete")
    await client.feed(failing, wav(tone(4)))
    with disk_of(9_000):
        standing = await client.until(failing, "error")
    assert "stored" in standing["error"]
    await _playlist_ends(client, failing)
    assert len((await client.download(other)).pictures) == 5


async def test_a_hundred_at_once_get_what_is_free(run_gateway: Run) -> None:
    """Row 35: as many sessions as there are slots, 429 with Retry-After for the others, and all slots back."""
    async with run_gateway({"capacity": 4}) as client:
        answers = await asyncio.gather(*[client.try_init() for _ in range(100)])
        taken = [answer for answer in answers if answer.status_code == 200]
        refused = [answer for answer in answers if answer.status_code != 200]
        assert len(taken) == 4
        assert {answer.status_code for answer in refused} == {429}
        assert all("retry-after" in answer.headers for answer in refused)
        for answer in taken:
            await client.http.delete(f"/api/audio-driven/chunked/session/{answer.json()['session_id']}")
        for _ in range(4):
            await client.init()


async def test_a_service_that_is_killed_fails_its_sessions_and_is_found_again(run_gateway: Run) -> None:
    """Rows 52 and 54: what was made can be watched to its end; once a service answers again, sessions open."""
    port = free_port()
    service = ("serve", "--host", "127.0.0.1", "--port", str(port), "--no-gateway", "--workers", "0")
    async with run_gateway(server=f"127.0.0.1:{port}") as client:
        with running(*service, "--engine", "fake") as server:
            session_id = await _opened(client)
            await client.feed(session_id, wav(tone(3)))
            await client.until(session_id, "waiting_for_audio")
            server.kill()
        assert (await client.until(session_id, "error"))["total_frames_generated"]
        assert (await client.try_init()).status_code == 503
        await _playlist_ends(client, session_id)
        with running(*service, "--engine", "fake"):
            session_id = await _opened(client)
            await client.feed(session_id, wav(tone(0.2)), is_final_chunk="true")
            assert (await client.until(session_id, "complete"))["total_frames_generated"] == 5


async def test_a_killed_engine_is_not_seen(run_gateway: Run) -> None:
    """Row 52: the take goes on in the engine that replaces it, complete and in one piece."""
    async with run_gateway({"workers": 1, "capacity": 2}, create=None) as client:
        session_id = await client.init()
        await client.feed(session_id, wav(tone(2)))
        await client.until(session_id, "waiting_for_audio")
        [worker] = psutil.Process().children()
        worker.kill()
        await client.feed(session_id, wav(tone(2)), is_final_chunk="true")
        assert (await client.until(session_id, "complete"))["total_frames_generated"] == 100
        assert len((await client.download(session_id)).pictures) == 100


async def _opened(client: Client) -> str:
    """Ask for a session until the service is there."""
    async with asyncio.timeout(30):
        while (answer := await client.try_init()).status_code != 200:
            assert answer.status_code == 503
            await asyncio.sleep(0.1)
    session_id: str = answer.json()["session_id"]
    return session_id


async def _playlist_ends(client: Client, session_id: str) -> None:
    """Reload the playlist until its end, which comes when all that was made has been published."""
    async with asyncio.timeout(20):
        while not (await client.http.get(f"/hls/{session_id}/playlist.m3u8")).text.endswith("#EXT-X-ENDLIST\n"):
            await asyncio.sleep(0.05)


async def test_a_stopped_server_lets_its_takes_play_to_their_end(photo: bytes) -> None:
    """SIGTERM while a take plays: no session more is opened, and whoever watches gets all of it."""
    grpc_port, port = free_port(), free_port()
    options = ("--host", "127.0.0.1", "--port", str(grpc_port), "--gateway-port", str(port), "--workers", "0")
    with running("serve", *options, "--engine", "fake") as server:
        await asyncio.to_thread(health, port)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            image = {"image": ("portrait.png", photo)}
            session_id = (await http.post(f"{API}/init", files=image)).json()["session_id"]
            form = {"session_id": session_id, "is_final_chunk": "true"}
            await http.post(f"{API}/feed", data=form, files={"audio_chunk": ("a.wav", wav(tone(3)))})
            watching = asyncio.create_task(http.get(f"/live/{session_id}.mp4"))
            await _takes_part(http, session_id)
            server.terminate()
            seen = Movie.decode((await watching).content)
            refused = await http.post(f"{API}/init", files=image)
        assert len(seen.pictures) == 75
        assert (refused.status_code, refused.json()["reason"]) == (503, "DRAINING")
        assert await asyncio.to_thread(server.wait, 30) == 0


async def _takes_part(http: httpx.AsyncClient, session_id: str) -> None:
    """Wait until some of a take is published, and not yet all."""
    answer = await http.get(f"/hls/{session_id}/playlist.m3u8")
    assert "#EXTINF" in answer.text
    assert "#EXT-X-ENDLIST" not in answer.text


async def test_a_stopped_server_ends_a_stream_that_goes_on(photo: bytes) -> None:
    """SIGTERM while one is watched that has no end of its own: the film ends between two parts, not in one."""
    grpc_port, port = free_port(), free_port()
    options = ("--host", "127.0.0.1", "--port", str(grpc_port), "--gateway-port", str(port), "--workers", "0")
    with running("serve", *options, "--engine", "fake") as server:
        await asyncio.to_thread(health, port)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            opened = await http.post(f"{API}/init", files={"image": ("portrait.png", photo)}, data={"mode": "live"})
            session_id = opened.json()["session_id"]
            watching = asyncio.create_task(http.get(f"/live/{session_id}.mp4"))
            await _takes_part(http, session_id)
            server.terminate()
            seen = Movie.decode((await watching).content)  # which raises if the answer was cut off
        assert len(seen.pictures) >= 15
        assert await asyncio.to_thread(server.wait, 30) == 0

"""Sessions of the REST API with mode=live: the video goes on while nobody speaks, in step with its sound."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_service.gateway import livecall
from tests.gateway.conftest import Client, Movie, Run, tone, wav

pytestmark = pytest.mark.alone

SECOND = wav(tone(1.0))
RATE_HZ = 48_000
SPAN = RATE_HZ // 25


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that leaves more time to who is late: the rules are tested here, on machines that may be busy."""
    monkeypatch.setattr(livecall, "_LATE_S", 1.0)
    monkeypatch.setattr(livecall, "_NOTICE_S", 0.3)


async def until_frames(client: Client, session_id: str, count: int) -> dict[str, Any]:
    """Ask until the session has made so many frames."""
    async with asyncio.timeout(30):
        while (standing := await client.status(session_id))["total_frames_generated"] < count:
            await asyncio.sleep(0.02)
    return standing


async def watch(client: Client, session_id: str) -> httpx.Response:
    """Ask for the playlist, as a player does."""
    return await client.http.get(f"/hls/{session_id}/playlist.m3u8")


def loud_pictures(movie: Movie) -> NDArray[np.bool_]:
    """Say of each picture whether the fake engine drew the bar of the tone in it."""
    side = movie.pictures[0].shape[0]
    bars = [picture[side - 20 : side - 10, -6:-2].astype(int) for picture in movie.pictures]
    return np.array([bar[..., 0].mean() > 200 and bar[..., 1].mean() < 120 for bar in bars])


def loud_spans(movie: Movie) -> NDArray[np.bool_]:
    """Say of each picture whether the tone is heard while it is shown."""
    starts = [round((time_s - movie.sound_start_s) * RATE_HZ) for time_s in movie.times_s]
    spans = [movie.sound[max(0, start) : start + SPAN] for start in starts]
    return np.array([span.size > 0 and float(np.sqrt(np.mean(np.square(span)))) > 0.05 for span in spans])


def edges(loud: NDArray[np.bool_]) -> int:
    """Return how often it becomes loud."""
    return int(np.sum(np.diff(np.concatenate([[False], loud]).astype(int)) == 1))


@pytest.mark.usefixtures("patient")
async def test_the_video_goes_on_while_nobody_speaks(client: Client) -> None:
    """Before, between and behind two utterances there are pictures every 40 ms, with silence; speech has its sound."""
    session_id = await client.init(mode="live", preset="lowest_latency")
    assert (await watch(client, session_id)).status_code == 200
    before = await until_frames(client, session_id, 10)
    assert before["status"] == "waiting_for_audio"
    await client.feed(session_id, SECOND)
    await client.until(session_id, "processing")
    between = await client.until(session_id, "waiting_for_audio")
    await until_frames(client, session_id, between["total_frames_generated"] + 15)
    await client.feed(session_id, SECOND, is_final_chunk="true")
    over = await client.until(session_id, "complete")
    movie = await client.download(session_id)
    assert len(movie.pictures) == over["total_frames_generated"]
    assert np.diff(movie.times_s).min() > 0.039
    assert abs(movie.times_s[-1] + 0.04 - movie.sound_start_s - movie.sound.size / RATE_HZ) < 0.06
    pictures, spans = loud_pictures(movie), loud_spans(movie)
    assert edges(pictures) == edges(spans) == 2
    assert np.mean(pictures == spans) > 0.95
    assert 45 <= pictures.sum() <= 52
    assert not pictures[:8].any()


@pytest.mark.usefixtures("patient")
async def test_chunks_that_come_as_they_are_spoken_are_one_utterance(client: Client) -> None:
    """A chunk that comes a little late leaves no hole."""
    session_id = await client.init(mode="live")
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for number in range(6):
        await asyncio.sleep(began_s + 0.2 * number + (0.15 if number % 2 else 0.0) - loop.time())
        await client.feed(session_id, wav(tone(0.2)))
    await client.feed(session_id, None, is_final_chunk="true")
    await client.until(session_id, "complete")
    assert edges(loud_spans(await client.download(session_id))) == 1


async def test_long_chunks_behind_a_short_one_are_waited_for_once_there_was_one(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each comes when it was spoken; the second utterance of the kind leaves no hole."""
    monkeypatch.setattr(livecall, "_LATE_S", 0.4)
    monkeypatch.setattr(livecall, "_LONG_S", 0.9)
    session_id = await client.init(mode="live")
    loop = asyncio.get_running_loop()
    for _ in range(2):
        said_s = loop.time()
        for length_s in (0.1, 0.9):
            said_s += length_s
            await asyncio.sleep(said_s - loop.time())
            await client.feed(session_id, wav(tone(length_s)))
        await client.until(session_id, "waiting_for_audio")
    await client.feed(session_id, None, is_final_chunk="true")
    await client.until(session_id, "complete")
    loud = loud_spans(await client.download(session_id))
    ends = np.flatnonzero(np.diff(loud.astype(int)) == -1)
    assert loud[ends[-1] - 23 : ends[-1] + 1].all()


async def test_the_stream_is_published_as_it_is_made(client: Client) -> None:
    """A viewer who comes late gets what is made now: the playlist is no more than a part behind."""
    session_id = await client.init(mode="live")
    await until_frames(client, session_id, 40)
    assert (await watch(client, session_id)).status_code == 200
    session = client.sessions.get(session_id)
    assert session.segments.count * 15 >= session.take.frames - 20
    assert session.publisher.playlist.has_segment(session.segments.count - 1)


async def test_two_formats_go_on_too(client: Client) -> None:
    """Adaptive takes have both pictures of every frame."""
    session_id = await client.init(mode="live", abr="true")
    await client.feed(session_id, SECOND, is_final_chunk="true")
    await client.until(session_id, "complete")
    assert len(client.sessions.get(session_id).take.shapes) == 2
    assert 45 <= loud_pictures(await client.download(session_id)).sum() + 20 <= 52


async def test_nothing_is_made_while_nobody_watches_or_speaks(run_gateway: Run) -> None:
    """After a while no frame comes; a viewer has them made again; the take leaves the time between out."""
    async with run_gateway(idle_slot_s=1.5) as client:
        session_id = await client.init(mode="live")
        last = -1
        async with asyncio.timeout(10):
            while (frames := (await client.status(session_id))["total_frames_generated"]) != last:
                last = frames
                await asyncio.sleep(0.2)
        assert client.sessions.get(session_id).take.frames < 25
        await watch(client, session_id)
        await until_frames(client, session_id, last + 5)
        await client.feed(session_id, None, is_final_chunk="true")
        await client.until(session_id, "complete")
        movie = await client.download(session_id)
        assert np.diff(movie.times_s).max() < 0.201


async def test_a_slot_that_is_not_needed_is_given_back_and_taken_again(run_gateway: Run) -> None:
    """Unwatched and unfed, the session leaves the service; speech opens a new call, and the take goes on."""
    async with run_gateway({"capacity": 1}, idle_slot_s=0.5) as client:
        session_id = await client.init(mode="live")
        async with asyncio.timeout(10):
            while not (await client.http.get("/health")).json()["free_sessions"]:
                await asyncio.sleep(0.05)
        frames = (await client.status(session_id))["total_frames_generated"]
        await client.feed(session_id, SECOND, is_final_chunk="true")
        over = await client.until(session_id, "complete")
        assert over["total_frames_generated"] >= frames + 25
        assert len((await client.download(session_id)).pictures) == over["total_frames_generated"]


async def test_a_viewer_keeps_the_slot(run_gateway: Run) -> None:
    """While somebody watches the endless file, frames are made for as long as it takes."""
    async with run_gateway(idle_slot_s=0.5) as client:
        session_id = await client.init(mode="live")
        seen = 0
        async with client.http.stream("GET", f"/live/{session_id}.mp4") as video:
            async for content in video.aiter_bytes():
                seen += len(content)
                if client.sessions.get(session_id).take.frames > 40:
                    break
        assert seen > 10_000


async def test_delete_ends_it_at_once(client: Client) -> None:
    """The slot is free and the files are gone, whoever watched."""
    session_id = await client.init(mode="live")
    await watch(client, session_id)
    assert (await client.http.get(f"/api/hls/{session_id}/download")).status_code == 409
    assert (await client.http.delete(f"/api/audio-driven/chunked/session/{session_id}")).status_code == 200
    assert (await watch(client, session_id)).status_code == 410
    health = (await client.http.get("/health")).json()
    assert health["free_sessions"] == health["capacity_sessions"]


@pytest.mark.parametrize("mode", ["", "sometimes", "live\0"])
async def test_an_unknown_mode_is_refused(client: Client, mode: str) -> None:
    """With the names of those that there are."""
    answer = await client.try_init(mode=mode)
    if mode:
        assert (answer.status_code, answer.json()["reason"]) == (400, "UNKNOWN_VALUE")
        assert "on_audio" in answer.json()["detail"]

"""The four endpoints of the chunked API, as existing clients use them."""

from __future__ import annotations

import asyncio
import json
import math
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from avatar_service.engine.fake import read_number
from tests.gateway.conftest import API, Movie, tone, wav

if TYPE_CHECKING:
    from tests.gateway.conftest import Client, Run


async def test_a_session_from_init_to_delete(client: Client) -> None:
    """All answers have the fields that existing clients read, and ours."""
    answer = await client.try_init(crop="True", seed="7", nfe="12", cfg_scale="2.5", chunk_duration="0.5")
    opened = answer.json()
    session_id = opened["session_id"]
    assert opened | {"message": ""} == {
        "status": "success",
        "session_id": session_id,
        "hls_url": f"/hls/{session_id}/playlist.m3u8",
        "live_url": f"/live/{session_id}.mp4",
        "download_url": f"/api/hls/{session_id}/download",
        "message": "",
        "chunk_duration": 0.5,
        "audio_sample_rate": 24000,
    }
    assert (await client.status(session_id))["status"] == "waiting_for_audio"
    fed = await client.feed(session_id, wav(tone(1)))
    assert fed["status"] == "success"
    assert fed["session_status"] in {"processing", "waiting_for_audio"}
    assert fed["buffer_samples"] >= 0
    assert fed["frames_generated"] >= 0
    await client.feed(session_id, wav(tone(0.5)), is_final_chunk="true")
    standing = await client.until(session_id, "complete")
    assert standing["total_frames_generated"] == math.ceil(1.5 * 25)
    assert standing["buffer_samples"] == 0
    assert standing["error"] is None
    assert standing["uptime_seconds"] > 0
    assert datetime.fromisoformat(standing["created_at"]).tzinfo is not None
    assert (standing["engine"], standing["width"], standing["height"], standing["fps"]) == ("fake", 128, 128, 25)
    assert standing["first_frame_ms"] > 0
    assert standing["lateness_ms_p50"] > 0
    assert (await client.http.delete(f"{API}/session/{session_id}")).json()["status"] == "success"
    gone = await client.http.get(f"{API}/status/{session_id}")
    assert (gone.status_code, gone.json()["reason"]) == (410, "SESSION_ENDED")


@pytest.mark.parametrize("text", ["True", "true", "1", "False", "false", "0"])
async def test_flags_are_read_as_clients_write_them(client: Client, text: str) -> None:
    """Python's, JavaScript's and the shell's words for yes and no."""
    assert (await client.try_init(crop=text)).status_code == 200


async def test_styles_are_json_arrays(client: Client) -> None:
    """Angles as JSON; null and an empty field mean none."""
    fields = {"pose_style": json.dumps([0.1, -0.1, 0]), "gaze_style": "[[0.2, 0]]"}
    assert (await client.try_init(**fields)).status_code == 200
    assert (await client.try_init(pose_style="null", gaze_style="")).status_code == 200


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000])
async def test_the_number_of_frames_is_exact_at_every_rate(client: Client, rate_hz: int) -> None:
    """Chunks of odd lengths make ceil(25 T) frames of all their samples, at their own rate."""
    session_id = await client.init()
    lengths = (rate_hz // 3 * 2, 2, rate_hz // 7 * 2)
    for length in lengths:
        await client.feed(session_id, wav(tone(1, rate_hz)[:length], rate_hz))
    await client.feed(session_id, None, is_final_chunk="true")
    standing = await client.until(session_id, "complete")
    assert standing["total_frames_generated"] == math.ceil(25 * sum(lengths) / rate_hz)


async def test_chunks_give_the_same_pictures_as_the_whole(client: Client) -> None:
    """The digest of the audio that each frame shows is the same, however the audio was cut."""
    speech = np.random.default_rng(1).integers(-9000, 9000, 22_050).astype(np.int16)
    whole = await client.download(await client.finished(wav(speech, 22_050)))
    session_id = await client.init()
    for piece in np.split(speech, [700, 701, 9_000]):
        await client.feed(session_id, wav(piece, 22_050))
    await client.feed(session_id, None, is_final_chunk="1")
    await client.until(session_id, "complete")
    parts = await client.download(session_id)
    assert [read_number(each, 1) for each in parts.pictures] == [read_number(each, 1) for each in whole.pictures]


async def test_overlapping_feeds_are_taken_in_order(client: Client) -> None:
    """Chunks with numbers that are sent all at once, the largest first, are heard in the order of their numbers."""
    pieces = [tone(0.4 - 0.04 * i, hz=200 + 100 * i) for i in range(8)]
    session_id = await client.init()
    feeds = [client.feed(session_id, wav(piece), seq=i + 1) for i, piece in reversed(list(enumerate(pieces)))]
    await asyncio.gather(*feeds)
    await client.feed(session_id, None, is_final_chunk="true")
    await client.until(session_id, "complete")
    overlapping = await client.download(session_id)
    expected = await client.download(await client.finished(wav(np.concatenate(pieces))))
    assert [read_number(each, 1) for each in overlapping.pictures] == [
        read_number(each, 1) for each in expected.pictures
    ]


async def test_a_repeated_number_is_taken_once(client: Client) -> None:
    """The same bytes again are harmless, other bytes are a conflict, a gap and an old number are refused."""
    session_id = await client.init()
    await client.feed(session_id, wav(tone(0.2)), seq=1)
    assert (await client.feed(session_id, wav(tone(0.2)), seq=1))["message"] == "already fed"
    reused = await client.try_feed(session_id, wav(tone(0.3)), seq=1)
    assert (reused.status_code, reused.json()["reason"]) == (409, "SEQUENCE_CONFLICT")
    await client.feed(session_id, wav(tone(0.2)), seq=2)
    old = await client.try_feed(session_id, wav(tone(0.2)), seq=1)
    assert (old.status_code, old.json()["reason"]) == (400, "SEQUENCE_OLD")
    await client.feed(session_id, None, is_final_chunk="true")
    assert (await client.until(session_id, "complete"))["total_frames_generated"] == 10


async def test_a_number_that_is_repeated_too_soon_is_taken_once(client: Client) -> None:
    """A client whose connection broke sends a chunk again, though its first request is still dealt with."""
    session_id = await client.init()
    answers = await asyncio.gather(*(client.feed(session_id, wav(tone(0.2)), seq=1) for _ in range(3)))
    assert sorted(answer["message"] for answer in answers) == ["already fed", "already fed", "chunk taken"]
    await client.feed(session_id, None, is_final_chunk="true")
    assert (await client.until(session_id, "complete"))["total_frames_generated"] == 5


async def test_final_twice_is_harmless_and_a_feed_after_final_is_not(client: Client) -> None:
    """200 and 409."""
    session_id = await client.init()
    await client.feed(session_id, wav(tone(0.2)), is_final_chunk="true")
    await client.feed(session_id, None, is_final_chunk="true")
    late = await client.try_feed(session_id, wav(tone(0.2)))
    assert (late.status_code, late.json()["reason"]) == (409, "FEED_AFTER_FINAL")


async def test_a_session_without_audio_can_be_ended(client: Client) -> None:
    """It is complete with no frame, and its playlist says that there is none."""
    session_id = await client.init()
    await client.feed(session_id, None, is_final_chunk="true")
    assert (await client.until(session_id, "complete"))["total_frames_generated"] == 0
    answer = await client.http.get(f"/hls/{session_id}/playlist.m3u8")
    assert (answer.status_code, answer.json()["reason"]) == (404, "TAKE_EMPTY")


async def test_an_empty_chunk_is_no_audio(client: Client) -> None:
    """No samples are taken, and nothing fails."""
    session_id = await client.init()
    await client.feed(session_id, b"", "audio/pcm")
    await client.feed(session_id, wav(tone(0)))
    await client.feed(session_id, None, is_final_chunk="true")
    assert (await client.until(session_id, "complete"))["total_frames_generated"] == 0


async def test_a_full_pool_is_429_with_retry_after(run_gateway: Run) -> None:
    """The refusal names its reason and when to try again; a deleted session makes room."""
    async with run_gateway({"capacity": 1}) as client:
        session_id = await client.init()
        refused = await client.try_init()
        assert (refused.status_code, refused.json()["reason"]) == (429, "POOL_FULL")
        assert int(refused.headers["retry-after"]) >= 1
        await client.http.delete(f"{API}/session/{session_id}")
        async with asyncio.timeout(10):
            while (await client.try_init()).status_code == 429:
                pass


async def test_an_idle_session_gives_its_slot_back_and_goes_on_at_its_next_feed(run_gateway: Run) -> None:
    """Its take is one: pictures and sound go on where they were, without a gap."""
    async with run_gateway({"capacity": 1}, idle_slot_s=0.2) as client:
        session_id = await client.init()
        await client.feed(session_id, wav(tone(0.5)))
        other = await _init_when_free(client)
        full = await client.try_feed(session_id, wav(tone(0.5)))
        assert (full.status_code, full.json()["reason"]) == (429, "POOL_FULL")
        await client.http.delete(f"{API}/session/{other}")
        async with asyncio.timeout(10):
            while (await client.try_feed(session_id, wav(tone(0.5)), is_final_chunk="true")).status_code != 200:
                pass
        standing = await client.until(session_id, "complete")
        assert standing["total_frames_generated"] == 13 + 13
        movie = await client.download(session_id)
    assert np.allclose(np.diff(movie.times_s), 0.04, atol=1e-4)
    assert abs(len(movie.sound) / 48_000 - 26 / 25) < 0.03


async def _init_when_free(client: Client) -> str:
    async with asyncio.timeout(10):
        while (answer := await client.try_init()).status_code == 429:
            await asyncio.sleep(0.05)
    session_id: str = answer.json()["session_id"]
    return session_id


async def test_more_than_the_spool_holds_is_429_with_retry_after(run_gateway: Run) -> None:
    """What does not fit is refused as a whole; the session goes on."""
    async with run_gateway(spool_s=1.0) as client:
        session_id = await client.init()
        refused = await client.try_feed(session_id, wav(tone(1.5)))
        assert (refused.status_code, refused.json()["reason"]) == (429, "SPOOL_FULL")
        assert refused.headers["retry-after"] == "2", "when as much has played"
        await client.feed(session_id, wav(tone(0.5)), is_final_chunk="true")
        assert (await client.until(session_id, "complete"))["total_frames_generated"] == 13


async def test_sound_and_pictures_belong_together(client: Client) -> None:
    """In the take, a burst of sound is heard while the frames are shown that were made for it, within 20 ms."""
    speech = np.zeros(3 * 24_000, np.int16)
    bursts = [10, 30, 61]
    for frame in bursts:
        speech[frame * 960 : (frame + 2) * 960] = tone(0.08)
    movie = await client.download(await client.finished(wav(speech)))
    assert len(movie.pictures) == 75
    assert _bursts_seen(movie) == pytest.approx([each / 25 for each in bursts], abs=0.001)
    assert _bursts_heard(movie) == pytest.approx([each / 25 for each in bursts], abs=0.010)


def _bursts_seen(movie: Movie) -> list[float]:
    """Return when the bar of the level rises."""
    red = [picture[60:70, -4, 0].mean() > picture[60:70, -4, 1].mean() + 90 for picture in movie.pictures]
    return [at for at, before, now in zip(movie.times_s[1:], red, red[1:], strict=False) if now and not before]


def _bursts_heard(movie: Movie) -> list[float]:
    """Return when silence ends."""
    loud = np.flatnonzero(np.abs(movie.sound) > 0.1)
    first = loud[np.flatnonzero(np.diff(loud, prepend=-48_000) > 4800)]
    return [movie.sound_start_s + at / 48_000 for at in first.tolist()]


@pytest.mark.parametrize("frames", [25, 29, 30])
async def test_the_sound_is_what_was_fed(client: Client, frames: int) -> None:
    """The take's sound matches the fed one to its end, sample by sample, as well as AAC can tell."""
    rng, size = np.random.default_rng(3), frames * 1920
    speech = (np.convolve(rng.normal(size=size), np.ones(24) / 24, "same") * 9000).astype(np.int16)
    movie = await client.download(await client.finished(wav(speech, 48_000)))
    start = round(movie.sound_start_s * 48_000)
    heard = movie.sound[: size - start]
    assert len(heard) == size - start
    fed = speech[start:] / 32768
    assert np.abs(heard[-480:]).max() > 0.05
    assert np.corrcoef(heard, fed)[0, 1] > 0.97
    shifted = [np.corrcoef(heard[64:-64], np.roll(fed, shift)[64:-64])[0, 1] for shift in range(-40, 41)]
    assert int(np.argmax(shifted)) - 40 == 0


async def test_two_formats_come_of_one_call(run_gateway: Run) -> None:
    """`abr=true` gives a master playlist; both formats have the same parts, and the service one session."""
    async with run_gateway({"capacity": 1}) as client:
        session_id = await client.finished(wav(tone(1)), abr="true")
        master = (await client.http.get(f"/hls/{session_id}/playlist.m3u8")).text
        assert "RESOLUTION=512x512" in master
        assert "RESOLUTION=256x256" in master
        texts = [(await client.http.get(f"/hls/{session_id}/v{n}/playlist.m3u8")).text for n in range(2)]
        widths = []
        for number in range(2):
            init = (await client.http.get(f"/hls/{session_id}/v{number}/init.mp4")).content
            segment = (await client.http.get(f"/hls/{session_id}/v{number}/0.m4s")).content
            widths.append(Movie.decode(init + segment).pictures[0].shape[1])
    assert _numbers(texts[0]) == _numbers(texts[1])
    assert widths == [512, 256]


def _numbers(text: str) -> set[str]:
    return {line for line in text.splitlines() if line.endswith(".m4s")}


@pytest.mark.parametrize(("preset", "status"), [("lowest_latency", 200), ("BEST_QUALITY", 200), ("best", 400)])
async def test_presets_have_names(client: Client, preset: str, status: int) -> None:
    """In any case; others are refused."""
    assert (await client.try_init(preset=preset)).status_code == status

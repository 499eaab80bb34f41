"""Whole takes: all of the audio in, an MP4 out; and the download of a session's take."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import av
import pytest

from avatar_service.assets import FOLDER
from avatar_service.engine.fake import read_number
from tests.gateway.conftest import Movie, tone, wav

if TYPE_CHECKING:
    from tests.gateway.conftest import Client, Run


async def test_a_portrait_says_a_whole_file(client: Client) -> None:
    """The answer is an MP4 with all frames and the sound, and no session is left."""
    files = {"image": ("p.png", client.photo), "audio": ("s.wav", (FOLDER / "speech.wav").read_bytes())}
    answer = await client.http.post("/api/audio-driven", files=files)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")
    movie = Movie.decode(answer.content)
    assert [read_number(each) for each in movie.pictures] == list(range(191))
    assert abs(len(movie.sound) / 48_000 - 191 / 25) < 0.03
    assert not client.sessions._sessions


@pytest.mark.parametrize(("field", "value"), [("mode", "live"), ("abr", "true"), ("vp8", "true")])
async def test_what_a_film_cannot_be_is_refused(client: Client, field: str, value: str) -> None:
    """One in LIVE may lack what the service left out, and there is one picture, in H.264; no session is left."""
    files = {"image": ("p.png", client.photo), "audio": ("s.wav", wav(tone(0.2)))}
    answer = await client.http.post("/api/audio-driven", files=files, data={field: value})
    body = answer.json()
    assert (answer.status_code, body["reason"], body["field"]) == (400, "INVALID_FIELD", field)
    assert "leave out" in body["detail"] or "leave it out" in body["detail"]
    assert not client.sessions._sessions


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"audio": ("s.wav", wav(tone(0.2)))}, "PORTRAIT_MISSING"),
        ({"image": ("p.png", b"x"), "audio": ("s.wav", wav(tone(0.2)))}, "PORTRAIT_FORMAT"),
        ({"image": ("p.png", b"x")}, "AUDIO_MISSING"),
        ({"image": ("p.png", b"x"), "audio": ("s.wav", wav(tone(0)))}, "AUDIO_EMPTY"),
        ({"image": ("p.png", b"x"), "audio": ("s.wav", b"x")}, "AUDIO_UNREADABLE"),
    ],
)
async def test_what_is_missing_is_named(client: Client, files: dict[str, tuple[str, bytes]], reason: str) -> None:
    """A refusal is a problem, not a broken video, and leaves no session."""
    answer = await client.http.post("/api/audio-driven", files=files)
    assert answer.json()["reason"] == reason
    assert not client.sessions._sessions


async def test_audio_that_is_too_long_is_refused(run_gateway: Run) -> None:
    """What the spool cannot hold."""
    async with run_gateway(spool_s=1.0) as client:
        files = {"image": ("p.png", client.photo), "audio": ("s.wav", wav(tone(1.5)))}
        answer = await client.http.post("/api/audio-driven", files=files)
    assert (answer.status_code, answer.json()["reason"]) == (413, "AUDIO_TOO_LONG")


async def test_the_download_is_a_plain_mp4_of_the_same_access_units(client: Client) -> None:
    """Its index is in front, ranges of it can be asked for, and its pictures are byte by byte those of the segments."""
    session_id = await client.finished(wav(tone(1)))
    answer = await client.http.get(f"/api/hls/{session_id}/download")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.content.index(b"moov") < answer.content.index(b"mdat")
    head = await client.http.head(f"/api/hls/{session_id}/download")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(answer.content)))
    part = await client.http.get(f"/api/hls/{session_id}/download", headers={"Range": "bytes=0-99"})
    assert (part.status_code, part.content) == (206, answer.content[:100])
    segments = client.sessions.get(session_id).segments
    fragmented = segments.initialisation(0) + b"".join(segments.segment(0, n) for n in range(segments.count))
    assert _packets(answer.content) == _packets(fragmented)


def _packets(content: bytes) -> list[bytes]:
    with av.open(io.BytesIO(content)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


async def test_a_running_take_cannot_be_downloaded_yet(client: Client) -> None:
    """409 while it is made, 404 if it came to nothing."""
    session_id = await client.init()
    running = await client.http.get(f"/api/hls/{session_id}/download")
    assert (running.status_code, running.json()["reason"]) == (409, "TAKE_RUNNING")
    await client.feed(session_id, None, is_final_chunk="true")
    await client.until(session_id, "complete")
    empty = await client.http.get(f"/api/hls/{session_id}/download")
    assert (empty.status_code, empty.json()["reason"]) == (404, "TAKE_EMPTY")

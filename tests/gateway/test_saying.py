"""The endpoints that take text, in front of the real service with the fake engine."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from avatar_service.recording import read_recording
from tests.gateway.conftest import Client, Run
from tests.gateway.peer import Peer

pytestmark = pytest.mark.alone


@pytest.fixture(autouse=True)
def _needs_espeak() -> None:
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")


async def test_a_sound_file_can_be_had_and_fed(client: Client) -> None:
    """What a text becomes is speech like any other."""
    answer = await client.http.post("/api/speech", data={"text": "Hello there."})
    assert answer.headers["content-type"] == "audio/wav"
    recording = read_recording(answer.content)
    session_id = await client.finished(answer.content)
    frames = (await client.status(session_id))["total_frames_generated"]
    assert frames == -(-len(recording.samples) * 25 // recording.sample_rate_hz)


async def test_voices_are_listed(client: Client) -> None:
    """With the bound on texts."""
    listed = (await client.http.get("/api/speech")).json()
    assert (listed["available"], listed["reason"], listed["max_characters"]) == (True, "", 500)
    assert {"language": "de", "name": "German"} in listed["voices"]


async def test_a_live_session_says_a_text(client: Client) -> None:
    """A viewer hears it, sees it, and is told of its beginning and end; the microphone comes after."""
    session_id = await client.live()
    peer = Peer(client.http)
    await peer.connect(session_id)
    await peer.until_pictures(5)
    answer = await client.http.post(f"/api/live/{session_id}/say", data={"text": "Good morning to you."})
    said = answer.json()
    assert (answer.status_code, said["segment_id"]) == (200, "text-1")
    started, finished = await peer.until_told("segment_started"), await peer.until_told("segment_finished")
    assert started["segment_id"] == finished["segment_id"] == "text-1"
    assert finished["played_s"] == pytest.approx(said["duration_s"], abs=0.001)
    assert not finished["interrupted"]
    sound = np.concatenate([samples for _, samples in peer.sounds])
    assert np.abs(sound).max() > 2000
    await peer.close()


async def test_an_interruption_ends_a_text(client: Client) -> None:
    """All that waits, too; then there is room for another."""
    session_id = await client.live()
    peer = Peer(client.http)
    await peer.connect(session_id)
    await peer.until_pictures(5)
    for _ in range(2):
        answer = await client.http.post(f"/api/live/{session_id}/say", data={"text": "One, two, three. " * 12})
        assert answer.status_code == 200, answer.text
    full = await client.http.post(f"/api/live/{session_id}/say", data={"text": "One, two, three. " * 12})
    assert (full.status_code, full.json()["reason"]) == (429, "TOO_MUCH_TEXT")
    assert full.headers["retry-after"]
    await peer.until_told("segment_started")
    peer.send({"type": "interrupt"})
    await peer.until_told("segment_finished", 2)
    assert all(word["interrupted"] for word in peer.told("segment_finished"))
    again = await client.http.post(f"/api/live/{session_id}/say", data={"text": "Again."})
    assert again.status_code == 200
    assert not (await peer.until_told("segment_finished", 3))["interrupted"]
    await peer.close()


@pytest.mark.parametrize(
    ("form", "status", "reason"),
    [
        ({}, 400, "TEXT_EMPTY"),
        ({"text": ""}, 400, "TEXT_EMPTY"),
        ({"text": "?!"}, 400, "TEXT_EMPTY"),
        ({"text": "x" * 501}, 400, "TEXT_TOO_LONG"),
        ({"text": "hello", "voice": "--help"}, 400, "VOICE"),
        ({"text": "hello", "voice": "x" * 100}, 400, "INVALID_FIELD"),
    ],
)
async def test_what_cannot_be_said_is_refused(client: Client, form: dict[str, str], status: int, reason: str) -> None:
    """By both endpoints, as a problem with its field."""
    session_id = await client.live()
    for path in ("/api/speech", f"/api/live/{session_id}/say"):
        answer = await client.http.post(path, data=form)
        assert (answer.status_code, answer.json()["reason"]) == (status, reason)
        assert answer.json()["field"] in {"text", "voice"}


async def test_an_unknown_session_says_nothing(client: Client) -> None:
    """Nor one that has ended."""
    session_id = await client.live()
    await client.http.delete(f"/api/live/{session_id}")
    for unknown, status in (("nobody", 404), (session_id, 410)):
        answer = await client.http.post(f"/api/live/{unknown}/say", data={"text": "hello"})
        assert answer.status_code == status


async def test_without_a_synthesiser_text_is_refused(run_gateway: Run) -> None:
    """And why is said, for the page to tell."""
    async with run_gateway(synthesiser="") as client:
        listed = (await client.http.get("/api/speech")).json()
        assert (listed["available"], listed["voices"]) == (False, [])
        assert "operator" in listed["reason"]
        answer = await client.http.post("/api/speech", data={"text": "hello"})
        assert (answer.status_code, answer.json()["reason"]) == (409, "NO_SYNTHESISER")

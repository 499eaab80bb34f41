"""Avatars that the service keeps, over HTTP: created, listed, named in place of an image, and deleted."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from chunked_streaming_client import ChunkedStreamingClient

from tests.gateway.conftest import API, tone, wav

if TYPE_CHECKING:
    from tests.gateway.conftest import Client, Run

AVATARS = "/api/avatars"
JS_CLIENT = Path(__file__).parents[2] / "clients" / "js" / "src" / "index.js"
JS_SCRIPT = f"""
import {{ ChunkedStreamingClient }} from "{JS_CLIENT.as_uri()}";
const [, url, avatar_id] = process.argv;
console.log((await new ChunkedStreamingClient(url).initSession(null, {{ avatar_id }})).session_id);
"""


async def create(client: Client, image: bytes | None = None, **fields: Any) -> httpx.Response:
    """Ask for an avatar."""
    files = {"image": ("portrait.png", client.photo if image is None else image, "image/png")}
    return await client.http.post(AVATARS, files=files, data=fields)


async def test_what_was_created_is_listed_until_it_is_deleted(client: Client) -> None:
    """201 with what it is; deleted it is 404."""
    answer = await create(client, display_name="Ada", crop_scale=1.5)
    assert answer.status_code == 201
    made = answer.json()
    assert (made["display_name"], made["engine"], made["width"], made["warnings"]) == ("Ada", "fake", 128, [])
    assert abs(datetime.now(UTC) - datetime.fromisoformat(made["created_at"])) < timedelta(minutes=1)
    assert (await client.http.get(AVATARS)).json() == {"avatars": [made]}
    gone = await client.http.delete(f"{AVATARS}/{made['avatar_id']}")
    assert (gone.status_code, gone.json()) == (200, {"status": "success", "avatar_id": made["avatar_id"]})
    assert (await client.http.get(AVATARS)).json() == {"avatars": []}
    again = await client.http.delete(f"{AVATARS}/{made['avatar_id']}")
    assert (again.status_code, again.json()["reason"]) == (404, "AVATAR_UNKNOWN")


@pytest.mark.parametrize(
    ("image", "fields", "status", "reason", "field"),
    [
        (b"", {}, 400, "PORTRAIT_MISSING", "image"),
        (b"rubbish", {}, 415, "PORTRAIT_FORMAT", "image"),
        (bytes(10 * 1024 * 1024 + 1), {}, 413, "PORTRAIT_TOO_LARGE", ""),
        (None, {"crop_scale": 3}, 400, "INVALID_FIELD", "crop_scale"),
        (None, {"crop": "false", "paste_back": "true"}, 400, "PASTE_BACK_NEEDS_CROP", "paste_back"),
        (None, {"engine": "imaginary"}, 400, "ENGINE", "engine"),
        (None, {"display_name": "x" * 129}, 400, "INVALID_FIELD", "display_name"),
        (None, {"display_name": "Ada\nBob"}, 400, "OUT_OF_RANGE", "display_name"),
    ],
)
async def test_what_cannot_be_kept_is_refused(
    client: Client, *, image: bytes | None, fields: dict[str, Any], status: int, reason: str, field: str
) -> None:
    """With a problem that names the form's own field."""
    answer = await create(client, image, **fields)
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (answer.status_code, body["reason"], body.get("field", "")) == (status, reason, field)
    assert (await client.http.get(AVATARS)).json() == {"avatars": []}


async def test_a_service_that_keeps_no_more_is_507(run_gateway: Run) -> None:
    """Trying again cannot help, so nothing says when."""
    async with run_gateway({"max_avatars": 0}) as client:
        answer = await create(client)
        assert (answer.status_code, answer.json()["reason"]) == (507, "AVATARS_FULL")
        assert "retry-after" not in answer.headers


async def test_a_session_may_name_an_avatar(client: Client) -> None:
    """What it makes is what the image would have made."""
    avatar_id = (await create(client)).json()["avatar_id"]
    speech = wav(tone(0.6))
    given = await client.download(await client.finished(speech))
    answer = await client.http.post(f"{API}/init", data={"avatar_id": avatar_id})
    assert answer.status_code == 200, answer.text
    session_id = answer.json()["session_id"]
    await client.feed(session_id, speech, is_final_chunk="true")
    await client.until(session_id, "complete")
    named = await client.download(session_id)
    assert len(named.pictures) == 15
    np.testing.assert_array_equal(named.pictures, given.pictures)


@pytest.mark.parametrize("path", [f"{API}/init", "/api/live", "/api/audio-driven"])
async def test_every_form_with_an_image_takes_an_avatar_instead(client: Client, path: str) -> None:
    """One of both: neither both, nor none, nor one that is not kept; a refusal holds no slot."""
    avatar_id = (await create(client)).json()["avatar_id"]
    files: dict[str, Any] = {"audio": ("speech.wav", wav(tone(0.2)), "audio/wav")}
    image = {"image": ("portrait.png", client.photo, "image/png")}
    for fields, more, status, reason in (
        ({"avatar_id": avatar_id}, image, 400, "PORTRAIT_OR_AVATAR"),
        ({"avatar_id": avatar_id, "crop": "true"}, {}, 400, "AVATAR_IS_PREPARED"),
        ({"avatar_id": ""}, {}, 400, "PORTRAIT_MISSING"),
        ({"avatar_id": "nobody"}, {}, 404, "AVATAR_UNKNOWN"),
        ({"avatar_id": "x" * 65}, {}, 400, "INVALID_FIELD"),
    ):
        answer = await client.http.post(path, data=fields, files={**files, **more})
        assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    answer = await client.http.post(path, data={"avatar_id": avatar_id}, files=files)
    assert answer.status_code == 200, answer.text


async def test_the_python_rest_client_may_name_an_avatar(client: Client) -> None:
    """In place of a picture."""
    avatar_id = (await create(client)).json()["avatar_id"]

    def speak() -> int:
        with ChunkedStreamingClient(str(client.http.base_url)) as rest:
            rest.init_session(None, avatar_id=avatar_id)
            rest.feed_audio_chunk(wav(tone(0.2)), is_final=True)
            while (standing := rest.get_status())["status"] != "complete":
                pass
            return standing["total_frames_generated"]

    assert await asyncio.to_thread(speak) == 5


async def test_the_javascript_client_may_name_an_avatar(client: Client) -> None:
    """Likewise."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    avatar_id = (await create(client)).json()["avatar_id"]
    command = (node, "--input-type=module", "--eval", JS_SCRIPT, str(client.http.base_url), avatar_id)
    page = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await page.communicate()
    await client.feed(said.decode().strip(), wav(tone(0.2)), is_final_chunk="true")
    assert (await client.until(said.decode().strip(), "complete"))["total_frames_generated"] == 5


async def test_what_is_said_of_a_missing_picture_or_avatar_fits(client: Client) -> None:
    """Only forms that take an avatar speak of one, and who deletes one is not told to create it."""
    nothing = (await client.http.post(AVATARS)).json()["detail"]
    assert "avatar" not in nothing
    assert "avatar_id" in (await client.http.post(f"{API}/init")).json()["detail"]
    assert "send" not in (await client.http.delete(f"{AVATARS}/nobody")).json()["detail"]

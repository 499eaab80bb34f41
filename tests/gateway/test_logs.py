"""What is logged of a request: enough to follow it through both processes, and nothing that is somebody's own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from avatar_service.log import request_id
from tests.gateway.conftest import API, tone, wav

if TYPE_CHECKING:
    from tests.gateway.conftest import Client


async def test_a_request_can_be_followed_into_the_service(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """The service's line on a refused portrait has the id that the caller gave to the gateway."""
    seen: list[tuple[str, str]] = []

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append((record.name, request_id.get()))

    watch = Watch()
    logging.getLogger("avatar_service").addHandler(watch)
    try:
        with caplog.at_level(logging.INFO, "avatar_service"):
            await client.http.post(
                f"{API}/init", files={"image": ("x", b"hello")}, headers={"X-Request-Id": "follow-me"}
            )
    finally:
        logging.getLogger("avatar_service").removeHandler(watch)
    assert {name for name, identifier in seen if identifier == "follow-me"} >= {
        "avatar_service.rpc.interceptors",
        "avatar_service.gateway.border",
    }


async def test_no_log_line_holds_a_session_id_a_portrait_or_audio(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """A session's id is the key to it, so not even the path is logged, only its pattern."""
    with caplog.at_level(logging.DEBUG, "avatar_service"):
        session_id = await client.finished(wav(tone(0.3)))
        await client.http.get(f"/hls/{session_id}/playlist.m3u8?token=secret")
        await client.http.get(f"/hls/{session_id}/v0/0.m4s")
        await client.http.delete(f"{API}/session/{session_id}")
    # The client of this test and the server's library log on their own; in the gateway's process they are silent.
    ours = [record for record in caplog.records if record.name.startswith("avatar_service")]
    text = "\n".join(f"{record.getMessage()} {vars(record).get('fields')}" for record in ours)
    assert "/hls/{session_id}/playlist.m3u8" in text
    assert session_id not in text
    assert "secret" not in text
    assert "PNG" not in text
    assert "RIFF" not in text

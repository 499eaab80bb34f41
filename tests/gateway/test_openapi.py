"""What the OpenAPI document allows, and what it does not, never makes the gateway fail."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import hypothesis
import pytest
import schemathesis

if TYPE_CHECKING:
    from tests.gateway.conftest import Run

_EXAMPLES = 8


@schemathesis.serializer("application/sdp")
def _sdp(_context: object, value: object) -> bytes:
    """Send an offer that was made up as it is."""
    return str(value).encode(errors="replace")


async def test_the_document_lists_the_api(run_gateway: Run) -> None:
    """It is served with its page, and has every path that clients use."""
    async with run_gateway() as client:
        page = await client.http.get("/docs")
        assert page.status_code == 200
        assert "://" not in page.text, "the page works without the internet"
        paths = (await client.http.get("/openapi.json")).json()["paths"]
    for operation in (operation for path in paths.values() for operation in path.values()):
        assert "422" not in operation["responses"]
        assert "application/problem+json" in operation["responses"]["4XX"]["content"]
    chunked = "/api/audio-driven/chunked"
    assert {
        f"{chunked}/init",
        f"{chunked}/feed",
        f"{chunked}/status/{{session_id}}",
        f"{chunked}/session/{{session_id}}",
        "/api/audio-driven",
        "/api/avatars",
        "/api/avatars/{avatar_id}",
        "/api/hls/{session_id}/download",
        "/api/live",
        "/api/live/{session_id}",
        "/api/live/{session_id}/say",
        "/api/speech",
        "/api/webrtc/{session_id}",
        "/api/webrtc/{session_id}/{peer_id}",
        "/live/{session_id}.mp4",
        "/health",
        "/hls/{session_id}/playlist.m3u8",
    } <= set(paths)


@pytest.mark.timeout(180)
async def test_generated_requests_never_make_it_fail(run_gateway: Run) -> None:
    """Schemathesis finds no 5xx but 503, and that only with Retry-After; every refusal is a problem."""
    async with run_gateway(first_segment_wait_s=0.1) as client:
        document = (await client.http.get("/openapi.json")).json()
        base = str(client.http.base_url)
        await asyncio.to_thread(_try_all, document, base)


def _try_all(document: dict[str, object], base: str) -> None:
    schema = schemathesis.openapi.from_dict(document)
    for found in schema.get_all_operations():
        _try(found.ok(), base)


def _try(operation: schemathesis.APIOperation, base: str) -> None:
    @hypothesis.given(case=operation.as_strategy())
    @hypothesis.settings(
        max_examples=_EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def attempt(case: schemathesis.Case) -> None:
        answer = case.call(base_url=base, timeout=30)
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        if answer.status_code in {429, 503}:
            assert answer.headers.get("retry-after")
        if answer.status_code >= 400 and case.method != "HEAD":
            assert answer.headers["content-type"] == ["application/problem+json"], answer.headers

    attempt()

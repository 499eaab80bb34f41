"""No spelling of a path leads out of where it belongs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.gateway.conftest import tone, wav

if TYPE_CHECKING:
    from tests.gateway.conftest import Client

DOTS = [
    "..",
    "%2e%2e",
    "%2E.",
    ".%2e",
    "%252e%252e",
    "..%00",
    "%c0%ae%c0%ae",
    "%uff0e%uff0e",
    "．．",
    "%ef%bc%8e%ef%bc%8e",
]
SLASHES = ["/", "%2f", "%2F", "\\", "%5c", "%255c", "%252f", "%c0%af", "//", "/./", "%u2215", "∕"]
TARGETS = ["etc/passwd", "speech", "portrait"]

CORPUS = [
    f"{dots}{slash}" * depth + target
    for dots in DOTS
    for slash in SLASHES
    for depth, target in ((1, TARGETS[1]), (6, TARGETS[0]))
] + [
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "C:%5cWindows%5cwin.ini",
    "file:///etc/passwd",
    "%00",
    "a%00b",
    "x" * 10_000,
    "~root",
    "...",
    "....//",
    "..;/",
    ".%0d%0a./",
    "%0a",
    "v0-init.mp4",
    ".v0-000000.m4s.part",
    "portrait",
    "speech",
    "take.mp4",
]


async def _raw(client: Client, path: str) -> tuple[int, bytes]:
    """Ask with the path exactly as it is; a library would tidy it up."""
    host, port = client.http.base_url.host, client.http.base_url.port
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@pytest.mark.parametrize(
    "prefix",
    [
        "/hls/",
        "/hls/{id}/",
        "/hls/{id}/v0/",
        "/live/",
        "/api/audio-driven/chunked/status/",
        "/api/hls/",
        "/page/",
        "/sample/",
        "/",
    ],
)
async def test_every_spelling_is_refused_on_every_path(client: Client, prefix: str) -> None:
    """A client error, without a word of any file; more than 60 spellings each."""
    session_id = await client.finished(wav(tone(0.2)))
    assert len(CORPUS) >= 60
    wanted = prefix.replace("{id}", session_id)
    answers = await asyncio.gather(*[_raw(client, wanted + spelling) for spelling in CORPUS])
    for spelling, (status, body) in zip(CORPUS, answers, strict=True):
        assert 400 <= status < 500 or (prefix, spelling) == ("/", "%0a"), spelling  # that is "/" to the router
        assert b"root:" not in body, spelling
        assert client.photo[:8] not in body, spelling


@pytest.mark.parametrize("spelling", ["..", "%2e%2e", "/etc/passwd", "a\x00b", "x" * 10_000, "．．", "..\\..", ""])
async def test_ids_in_forms_are_only_looked_up(client: Client, spelling: str) -> None:
    """An id from a form is never a path either."""
    assert (await client.try_feed(spelling, wav(tone(0.1)))).status_code in {400, 404}

"""A small HTTP server with the gateway's four endpoints: it keeps what it was sent and answers as it was told."""

from __future__ import annotations

import email.parser
import email.policy
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Asked:
    """One request.

    Attributes:
        method: of HTTP.
        path: as it came.
        form: the fields' bytes, by name.
        kinds: the content types that fields gave, by name.
        body: as it came.
    """

    method: str
    path: str
    form: dict[str, bytes] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Answer:
    """What is answered: a JSON value or bytes."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class FakeGateway:
    """What was asked, and what to answer; ``answer`` may return ``None`` for the usual."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], Answer | None] = lambda _: None
        self.url = ""

    @contextmanager
    def serving(self) -> Iterator[FakeGateway]:
        """Serve on a free port while the context lasts."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"gateway": self}))
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def of(self, end: str) -> list[Asked]:
        """Return the requests whose path ends so."""
        return [asked for asked in self.asked if asked.path.endswith(end)]


class _Handler(BaseHTTPRequestHandler):
    gateway: FakeGateway

    def _reply(self) -> None:
        asked = Asked(self.command, self.path)
        body = asked.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if body:
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
            for part in message.iter_parts():
                name = part.get_param("name", header="content-disposition")
                asked.form[name] = part.get_payload(decode=True)
                asked.kinds[name] = part.get_content_type()
        self.gateway.asked.append(asked)
        answer = self.gateway.answer(asked) or Answer(_usual(asked))
        content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = _reply  # noqa: N815 - the names that http.server looks for

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _usual(asked: Asked) -> Any:
    if asked.path.endswith("/download"):
        return b"a film"
    if asked.path.endswith(".m3u8"):
        return b"#EXTM3U"
    answer = {"status": "success", "session_id": "id", "message": ""}
    if asked.path.endswith("/init"):
        urls = {"hls_url": "/hls/id/playlist.m3u8", "live_url": "/live/id.mp4", "download_url": "/api/hls/id/download"}
        return {**answer, **urls, "chunk_duration": 1.0, "audio_sample_rate": 24_000}
    if asked.path.endswith("/feed"):
        return {**answer, "buffer_samples": 0, "frames_generated": 0, "session_status": "processing"}
    return {**answer, "status": "complete", "total_frames_generated": 63, "error": None}


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    """A server that keeps what it is asked."""
    with FakeGateway().serving() as serving:
        yield serving


@pytest.fixture
def reply() -> type[Answer]:
    """Return what makes an answer of a test's own."""
    return Answer

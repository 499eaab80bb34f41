"""The REST client asks what it is told to, and says plainly what was refused."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import pytest
from chunked_streaming_client import ChunkedStreamingClient, GatewayError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clients.rest.conftest import Answer, FakeGateway


@pytest.fixture
def client(gateway: FakeGateway) -> Iterator[ChunkedStreamingClient]:
    """A client of the fake gateway."""
    with ChunkedStreamingClient(f"{gateway.url}/") as client:
        yield client
        client.session_id = None  # a test's own answers must not meet the clean-up


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A file; what is in it is the server's business."""
    path = tmp_path / "face.jpg"
    path.write_bytes(b"\xff\xd8 a face")
    return path


def test_init_sends_the_picture_and_only_what_was_chosen(
    gateway: FakeGateway, client: ChunkedStreamingClient, picture: Path
) -> None:
    """The server's defaults are the server's; booleans and arrays are written as JSON has them."""
    assert (
        client.init_session(str(picture), crop=False, nfe=7, pose_style=[0, 1.5], preset="balanced", mode="live")
        == "id"
    )
    (asked,) = gateway.asked
    assert (asked.method, asked.path) == ("POST", "/api/audio-driven/chunked/init")
    assert asked.form.pop("image") == picture.read_bytes()
    assert asked.form == {
        "crop": b"false",
        "nfe": b"7",
        "pose_style": b"[0, 1.5]",
        "preset": b"balanced",
        "mode": b"live",
    }
    assert client.session_id == "id"
    assert client.url(client.answer["hls_url"]) == f"{gateway.url}/hls/id/playlist.m3u8"


def test_an_avatar_takes_the_place_of_the_picture(gateway: FakeGateway, client: ChunkedStreamingClient) -> None:
    """Nothing else is sent."""
    client.init_session(None, avatar_id="ada", mode="live")
    form = dict(parse_qsl(gateway.asked[0].body.decode()))
    assert form == {"avatar_id": "ada", "mode": "live"}


def test_arguments_keep_the_order_that_scripts_use(
    gateway: FakeGateway, client: ChunkedStreamingClient, picture: Path
) -> None:
    """Positional arguments mean what they mean elsewhere."""
    client.init_session(picture, True, 1, 20, 3.0, 0.5, 16000)  # noqa: FBT003 - as such scripts call it
    form = {name: value.decode() for name, value in gateway.asked[0].form.items() if name != "image"}
    names = ["crop", "seed", "nfe", "cfg_scale", "chunk_duration", "audio_sample_rate"]
    assert form == dict(zip(names, ["true", "1", "20", "3.0", "0.5", "16000"], strict=True))


def test_chunks_arrive_as_they_are(gateway: FakeGateway, client: ChunkedStreamingClient, picture: Path) -> None:
    """Bytes, content type and the final mark reach the server."""
    client.init_session(picture)
    client.feed_audio_chunk(b"RIFF\r\n\0")
    client.feed_audio_chunk(b"\1\2", is_final=True, content_type="audio/pcm")
    first, last = gateway.of("/feed")
    assert (first.form["audio_chunk"], first.form["is_final_chunk"]) == (b"RIFF\r\n\0", b"false")
    assert (last.form["audio_chunk"], last.form["is_final_chunk"]) == (b"\1\2", b"true")
    assert (first.kinds["audio_chunk"], last.kinds["audio_chunk"]) == ("audio/wav", "audio/pcm")
    assert first.form["session_id"] == b"id"


def test_status_and_download_are_of_the_session(
    gateway: FakeGateway, client: ChunkedStreamingClient, picture: Path, tmp_path: Path
) -> None:
    """The status is the server's answer; the take is written to a file."""
    client.init_session(picture)
    assert client.get_status()["total_frames_generated"] == 63
    client.download(tmp_path / "take.mp4")
    assert (tmp_path / "take.mp4").read_bytes() == b"a film"
    assert gateway.asked[-1].path == "/api/hls/id/download"


def test_cleanup_removes_once(gateway: FakeGateway, client: ChunkedStreamingClient, picture: Path) -> None:
    """There is nothing to remove before a session and after its removal."""
    client.cleanup()
    client.init_session(picture)
    client.cleanup()
    client.cleanup()
    assert [(asked.method, asked.path) for asked in gateway.asked[1:]] == [
        ("DELETE", "/api/audio-driven/chunked/session/id")
    ]


def test_leaving_the_context_cleans_up(gateway: FakeGateway, picture: Path) -> None:
    """A script that fails leaves nothing behind on the server."""

    def fail() -> None:
        with ChunkedStreamingClient(gateway.url) as client:
            client.init_session(picture)
            msg = "the script's own"
            raise KeyError(msg)

    with pytest.raises(KeyError):
        fail()
    assert gateway.asked[-1].method == "DELETE"


@pytest.mark.parametrize("status", [404, 410])
def test_a_session_that_has_gone_is_no_failure_of_cleanup(
    gateway: FakeGateway, client: ChunkedStreamingClient, picture: Path, reply: type[Answer], status: int
) -> None:
    """What was to be removed is not there: so be it."""
    client.init_session(picture)
    gateway.answer = lambda _: reply({"detail": "gone"}, status)
    client.cleanup()
    assert client.session_id is None


def test_a_problem_becomes_an_error_with_its_reason(
    gateway: FakeGateway, client: ChunkedStreamingClient, picture: Path, reply: type[Answer]
) -> None:
    """Status, reason, text and waiting time are those of the answer."""
    problem = {"title": "Too Many Requests", "detail": "All places are taken.", "reason": "POOL_FULL", "status": 429}
    gateway.answer = lambda _: reply(problem, 429, {"Retry-After": "2"})
    with pytest.raises(GatewayError, match="429 POOL_FULL: All places are taken") as caught:
        client.init_session(picture)
    assert (caught.value.status, caught.value.reason, caught.value.retry_after_s) == (429, "POOL_FULL", 2.0)
    assert client.session_id is None


@pytest.mark.parametrize("body", [b"<h1>Bad gateway</h1>", b"[]", b"null"])
def test_an_answer_that_is_no_problem_is_an_error_all_the_same(
    gateway: FakeGateway, client: ChunkedStreamingClient, picture: Path, reply: type[Answer], body: bytes
) -> None:
    """A proxy answers in its own way."""
    gateway.answer = lambda _: reply(body, 502, {"Retry-After": "soon"})
    with pytest.raises(GatewayError, match="502") as caught:
        client.init_session(picture)
    assert (caught.value.reason, caught.value.retry_after_s) == ("", None)


def test_an_answer_without_json_is_an_error(
    gateway: FakeGateway, client: ChunkedStreamingClient, picture: Path, reply: type[Answer]
) -> None:
    """Something else listens on that port."""
    gateway.answer = lambda _: reply(b"<h1>Welcome</h1>")
    with pytest.raises(GatewayError, match="not JSON"):
        client.init_session(picture)


def test_a_failed_download_leaves_the_reason(
    gateway: FakeGateway, client: ChunkedStreamingClient, picture: Path, reply: type[Answer], tmp_path: Path
) -> None:
    """The body of a refusal is read even where a file was expected."""
    client.init_session(picture)
    gateway.answer = lambda _: reply({"detail": "Nothing yet.", "reason": "EMPTY_TAKE"}, 409)
    with pytest.raises(GatewayError, match="EMPTY_TAKE"):
        client.download(tmp_path / "take.mp4")


def test_without_a_session_nothing_is_sent(gateway: FakeGateway, client: ChunkedStreamingClient) -> None:
    """The caller is told to open one."""
    for call in (
        lambda: client.feed_audio_chunk(b""),
        client.get_status,
        lambda: client.download("x"),
        lambda: client.answer,
    ):
        with pytest.raises(ValueError, match="init_session"):
            call()
    assert gateway.asked == []


def test_a_server_that_is_not_there_is_an_error_of_this_client(picture: Path) -> None:
    """No exception of httpx comes through."""
    client = ChunkedStreamingClient("http://127.0.0.1:1")
    with pytest.raises(GatewayError, match="cannot be reached") as caught:
        client.init_session(picture)
    assert caught.value.status == 0
    with socket.create_server(("127.0.0.1", 0)) as silent:
        waiting = ChunkedStreamingClient(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.2)
        with pytest.raises(GatewayError, match=r"in time|reached"):
            waiting.init_session(picture)


def test_it_needs_no_grpc() -> None:
    """Importing it brings in neither grpc nor protobuf."""
    code = (
        "import sys, chunked_streaming_client as c; print([m for m in sys.modules if m.startswith(('grpc', 'google'))])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "[]"

"""`call`: any gRPC server with reflection can be asked, without its stubs."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

from click.testing import CliRunner, Result

from avatar_service.cli import main

STREAM = "avatar.v1.AvatarService/StreamAvatar"


async def _call(*arguments: str, stdin: str = "") -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, ["call", *arguments], input=stdin)


def _session(portrait: Path, samples: int) -> str:
    picture = base64.b64encode(portrait.read_bytes()).decode()
    audio = {"encoding": "AUDIO_ENCODING_LINEAR16", "sample_rate_hz": 16000}
    video = [{"codec": "VIDEO_CODEC_JPEG", "width": 64}]
    messages = [
        {"init": {"portrait": picture, "audio": audio, "video": video}},
        {"audio": {"data": base64.b64encode(bytes(2 * samples)).decode()}},
        {"end_of_audio": {}},
    ]
    return "\n\n".join(map(json.dumps, messages))


async def test_without_a_symbol_services_are_listed(target: str) -> None:
    """The service, its health and reflection itself are there."""
    listed = (await _call(target)).stdout.splitlines()
    assert {"avatar.v1.AvatarService", "grpc.health.v1.Health"} <= set(listed)


async def test_symbols_are_shown_as_proto(target: str) -> None:
    """Services, methods, messages with oneof, optional and repeated fields, and enums read like their source."""
    service = (await _call(target, "avatar.v1.AvatarService")).stdout
    assert "  rpc StreamAvatar(stream avatar.v1.StreamAvatarRequest) returns (stream avatar.v1." in service
    method = (await _call(target, "avatar.v1.AvatarService.GetCapabilities")).stdout
    assert method.startswith("rpc GetCapabilities(avatar.v1.GetCapabilitiesRequest) returns (avatar.v1.")
    assert (
        "  oneof message {\n    avatar.v1.Init init = 1;\n"
        in (await _call(target, "avatar.v1.StreamAvatarRequest")).stdout
    )
    assert "  optional uint64 seed = 4;\n" in (await _call(target, "avatar.v1.GenerationParameters")).stdout
    assert "  repeated avatar.v1.VideoFormat video = 4;\n" in (await _call(target, "avatar.v1.Init")).stdout
    assert "  VIDEO_CODEC_H264 = 3;\n" in (await _call(target, "avatar.v1.VideoCodec")).stdout
    assert (await _call(target, "avatar.v1.EndOfAudio")).stdout == "message avatar.v1.EndOfAudio {}\n"


async def test_unary_call_prints_json(target: str) -> None:
    """Health and capabilities answer an empty request."""
    health = await _call(target, "grpc.health.v1.Health/Check")
    assert json.loads(health.stdout) == {"status": "SERVING"}
    capabilities = json.loads((await _call(target, "avatar.v1.AvatarService/GetCapabilities")).stdout)
    assert capabilities["engines"][0]["name"] == "fake"


async def test_whole_session_runs_from_json_lines(target: str, portrait: Path) -> None:
    """Requests from stdin, blank lines between, give ready, the frames and an orderly end."""
    result = await _call(target, STREAM, "-d", "@", stdin=_session(portrait, 6400))
    assert result.exit_code == 0, result.stderr
    messages = [json.loads(line) for line in result.stdout.splitlines()]
    assert messages[0]["ready"]["fps"] == 25
    assert sum("video" in message for message in messages) == 10
    assert messages[-1]["status"]["state"] == "SESSION_STATE_COMPLETE"


async def test_long_bytes_are_cut_unless_asked_for(target: str, portrait: Path) -> None:
    """A frame is shown by its beginning and its size; --full gives all of it."""
    session = _session(portrait, 640)

    async def frame(*options: str) -> str:
        result = await _call(target, STREAM, "-d", "@", *options, stdin=session)
        frames = [json.loads(line)["video"]["data"] for line in result.stdout.splitlines() if '"video": {"d' in line]
        assert len(frames) == 1
        return frames[0]

    whole = base64.b64decode(await frame("--full"))
    assert whole.startswith(b"\xff\xd8")
    assert (await frame()).endswith(f"... ({len(whole)} bytes)")


async def test_failure_prints_code_message_and_details(target: str) -> None:
    """A refused session ends with exit code 1 and the google.rpc details in words."""
    result = await _call(target, STREAM, "-d", '{"end_of_audio": {}}')
    assert result.exit_code == 1
    assert "Error: FAILED_PRECONDITION: " in result.stderr
    assert 'google.rpc.ErrorInfo {"reason": ' in result.stderr


async def test_bad_requests_are_told_by_their_number(target: str) -> None:
    """JSON that is broken, unknown fields and bytes that are no text are told, and nothing more is sent."""
    first = json.dumps({"end_of_segment": {}})
    for line in ('{"init":', '{"no_such_field": 1}'):
        result = await _call(target, STREAM, "-d", "@", stdin=line)
        assert result.exit_code == 1
        assert "Error: request 1: " in result.stderr
        assert "Traceback" not in result.stderr
    assert (await _call(target, STREAM, "-d", "@", stdin=f"{first}\n{{")).exit_code == 1


async def test_unknown_symbols_are_told(target: str) -> None:
    """A name that the server does not know, or that is no method, is an orderly failure."""
    for symbol in ("no.Such", "no.Such/Method", "avatar.v1.AvatarService/Nope", "avatar.v1.Init/x"):
        result = await _call(target, symbol)
        assert result.exit_code == 1
        assert "the server knows no" in result.stderr
    assert "not a method" in (await _call(target, "avatar.v1/Init")).stderr


async def test_nobody_listening_is_told() -> None:
    """A server that is down is UNAVAILABLE, without a traceback."""
    result = await _call("127.0.0.1:1")
    assert (result.exit_code, result.stderr.startswith("Error: UNAVAILABLE: ")) == (1, True)


async def test_server_that_does_not_answer_ends_at_the_deadline() -> None:
    """--timeout bounds even the reflection, on a port that accepts and says nothing."""

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(writer)

    connected: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    result = await _call(f"127.0.0.1:{port}", "--timeout", "0.5")
    for writer in connected:
        writer.close()
    server.close()
    assert result.exit_code == 1
    assert "DEADLINE_EXCEEDED" in result.stderr or "UNAVAILABLE" in result.stderr

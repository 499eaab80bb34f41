"""Bad requests and faults get their exact status and a problem with a stable reason."""

from __future__ import annotations

import asyncio
import gzip
import io
import struct
from typing import TYPE_CHECKING

import av
import httpx
import numpy as np
import pytest
from PIL import Image

from tests.gateway.conftest import API, tone, wav

if TYPE_CHECKING:
    from tests.gateway.conftest import Client, Run


def picture(size: tuple[int, int], kind: str = "PNG", mode: str = "RGB") -> bytes:
    """Return a file of one colour."""
    content = io.BytesIO()
    Image.new(mode, size).save(content, kind)
    return content.getvalue()


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Return status and reason, after checking that the body is a problem as RFC 9457 has it."""
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status_code
    assert {"type", "title", "detail", "reason"} <= set(body)
    assert "Traceback" not in answer.text
    if answer.status_code in {429, 503}:
        assert int(answer.headers["retry-after"]) >= 1
    return answer.status_code, body["reason"]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (b"", (400, "PORTRAIT_MISSING")),
        (b"\x89PNG\r\n\x1a\n" + bytes(10 * 1024 * 1024), (413, "PORTRAIT_TOO_LARGE")),
        (bytes(12 * 1024 * 1024), (413, "BODY_TOO_LARGE")),
        (b"hello", (415, "PORTRAIT_FORMAT")),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", (415, "PORTRAIT_FORMAT")),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", (415, "PORTRAIT_FORMAT")),
        (picture((64, 64), "TIFF"), (415, "PORTRAIT_FORMAT")),
        (picture((64, 64), "JPEG")[:300], (400, "PORTRAIT_DAMAGED")),
        (picture((12_000, 12_000), mode="1"), (413, "PORTRAIT_PIXELS")),
        (picture((1, 1)), (400, "PORTRAIT_SHAPE")),
        (picture((10_000, 40)), (400, "PORTRAIT_SHAPE")),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
async def test_bad_portraits(client: Client, image: bytes, expected: tuple[int, str]) -> None:
    """Rows 4 to 9 of the table: each is refused before a session exists."""
    assert problem(await client.try_init(image)) == expected
    assert not client.sessions._sessions


async def test_good_pictures_of_odd_kinds_are_taken(client: Client) -> None:
    """Grey, CMYK and WebP."""
    for image in (picture((64, 64), mode="L"), picture((64, 64), "JPEG", "CMYK"), picture((64, 64), "WEBP")):
        assert (await client.try_init(image)).status_code == 200


async def test_a_face_that_is_not_there_is_named(run_gateway: Run) -> None:
    """Row 10: with the portrait engine a picture without a face is 400, and with ``crop`` off it is taken."""
    from avatar_service.engine.portrait.engine import PortraitEngine

    async with run_gateway({"engine": "portrait"}, create=PortraitEngine) as client:
        assert problem(await client.try_init(picture((256, 256)))) == (400, "NO_FACE")
        taken = await client.try_init(picture((256, 256)), crop="false")
        assert taken.status_code == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nfe", "4"),
        ("nfe", "51"),
        ("nfe", "x"),
        ("cfg_scale", "0.9"),
        ("cfg_scale", "5.1"),
        ("cfg_scale", "nan"),
        ("cfg_scale", "inf"),
        ("chunk_duration", "0.05"),
        ("chunk_duration", "11"),
        ("seed", "-1"),
        ("seed", "1.5"),
        ("seed", str(2**64)),
        ("audio_sample_rate", "0"),
        ("audio_sample_rate", "1"),
        ("audio_sample_rate", "7999"),
        ("audio_sample_rate", "384001"),
        ("audio_sample_rate", "4294967295"),
        ("crop", "maybe"),
        ("pose_style", "[1, 2]"),
        ("pose_style", "[1, 2, NaN]"),
        ("pose_style", "[1, 2, Infinity]"),
        ("pose_style", "[1, 2, 4]"),
        ("pose_style", "[1, 2, true]"),
        ("pose_style", "zork"),
        ("pose_style", "{}"),
        ("pose_style", "[" * 100_000),
        ("gaze_style", "[0]"),
        ("gaze_style", '["a", "b"]'),
        ("gaze_style", "[1e999, 0]"),
        ("engine", "zork"),
        ("engine", "x" * 65),
        ("preset", "x"),
        ("abr", "perhaps"),
    ],
)
async def test_fields_out_of_range_are_400_and_named(client: Client, name: str, value: str) -> None:
    """Rows 11 to 13: what FastAPI would call 422, and what the service refuses."""
    answer = await client.try_init(**{name: value})
    assert problem(answer)[0] == 400
    assert answer.json().get("field", "").endswith(name)


def wav_header(rate_hz: int, channels: int, data: bytes = bytes(32_000), declared: int | None = None) -> bytes:
    """Return a WAV whose header says what it is told to."""
    block = 2 * channels
    head = struct.pack(
        "<4sI4s4sIHHIIHH",
        b"RIFF",
        36 + len(data),
        b"WAVE",
        b"fmt ",
        16,
        1,
        channels,
        rate_hz,
        (rate_hz * block) & 0xFFFFFFFF,
        block & 0xFFFF,
        16,
    )
    return head + struct.pack("<4sI", b"data", len(data) if declared is None else declared) + data


def bomb() -> bytes:
    """Return a FLAC of a minute of silence: little to send, much to decode."""
    content = io.BytesIO()
    with av.open(content, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=48_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 48_000), np.int16), format="s16", layout="stereo")
        frame.sample_rate = 48_000
        for _ in range(60):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return content.getvalue()


FLOATS = {"nan": np.nan, "inf": np.inf, "1e30": 1e30}


def float_wav(value: float) -> bytes:
    """Return a WAV of 32-bit floats with one bad sample."""
    samples = np.zeros(2400, "<f4")
    samples[1000] = value
    data = samples.tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 3, 1, 24_000, 96_000, 4, 32)
    return head + struct.pack("<4sI", b"data", len(data)) + data


@pytest.mark.parametrize(
    ("audio", "kind", "expected"),
    [
        (wav_header(1, 1), "audio/wav", (400, "AUDIO_RATE")),
        (wav_header(2**32 - 1, 1), "audio/wav", (400, "AUDIO_RATE")),
        (wav_header(24_000, 1024), "audio/wav", (400, "AUDIO_CHANNELS")),
        (b"\0\0\0", "audio/pcm", (400, "PARTIAL_SAMPLE")),
        (bytes(6), "audio/pcm;channels=2", (400, "PARTIAL_SAMPLE")),
        (bytes(8), "audio/pcm;rate=1", (400, "AUDIO_RATE")),
        (bytes(8), "audio/pcm;rate=x", (400, "AUDIO_RATE")),
        (bytes(8), "audio/pcm;channels=3", (400, "AUDIO_CHANNELS")),
        (bytes(2 * 24_000 * 10 + 2), "audio/pcm", (413, "AUDIO_TOO_LONG")),
        (wav(tone(10.1)), "audio/wav", (413, "AUDIO_TOO_LONG")),
        (bomb(), "audio/flac", (413, "AUDIO_TOO_LONG")),
        (float_wav(np.nan), "audio/wav", (400, "AUDIO_NOT_FINITE")),
        (float_wav(np.inf), "audio/wav", (400, "AUDIO_NOT_FINITE")),
        (float_wav(1e30), "audio/wav", (400, "AUDIO_NOT_FINITE")),
        (b"#EXTM3U\nhttp://127.0.0.1:1/x.wav\n", "audio/mpegurl", (415, "AUDIO_PLAYLIST")),
        (b"#EXTM3U\nfile:///etc/passwd\n", "application/octet-stream", (415, "AUDIO_PLAYLIST")),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "audio/wav", (415, "AUDIO_PLAYLIST")),
        (b"<?xml version='1.0'?><MPD/>", "audio/mp4", (415, "AUDIO_PLAYLIST")),
        (b"hello, this is no audio", "audio/wav", (400, "AUDIO_UNREADABLE")),
        (bytes(9 * 1024 * 1024), "audio/pcm", (413, "BODY_TOO_LARGE")),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
async def test_bad_audio(client: Client, audio: bytes, kind: str, expected: tuple[int, str]) -> None:
    """Rows 13 to 21: refused as a whole, and the session goes on as if it had not come."""
    session_id = await client.init()
    assert problem(await client.try_feed(session_id, audio, kind)) == expected
    await client.feed(session_id, wav(tone(0.2)), is_final_chunk="true")
    assert (await client.until(session_id, "complete"))["total_frames_generated"] == 5


@pytest.mark.parametrize(
    ("audio", "frames"),
    [
        (wav_header(24_000, 1, bytes(48_000), 0xFFFFFFFF), 25),
        (wav_header(24_000, 1, bytes(24_000), 48_000), 13),
        (wav(np.zeros(24_000, np.int16)), 25),
        (wav(np.full(24_000, 12_000, np.int16)), 25),
        (wav(np.tile(np.repeat([32767, -32768], 40), 300).astype(np.int16)), 25),
        (wav(np.zeros(1, np.int16)), 1),
        (wav(np.zeros(0, np.int16)), 0),
    ],
    ids=["endless header", "truncated", "silence", "DC", "square", "one sample", "none"],
)
async def test_odd_audio_gives_exact_frames(client: Client, audio: bytes, frames: int) -> None:
    """Rows 16 and 19."""
    session_id = await client.finished(audio)
    assert (await client.status(session_id))["total_frames_generated"] == frames


async def test_an_address_in_audio_is_never_opened(client: Client) -> None:
    """Row 20: a server that such a playlist points at is not asked."""
    asked = asyncio.Event()
    server = await asyncio.start_server(lambda _reader, writer: (asked.set(), writer.close()), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    session_id = await client.init()
    address = f"http://127.0.0.1:{port}/x.wav"
    for text in (
        f"#EXTM3U\n{address}\n",
        f"ffconcat version 1.0\nfile {address}\n",
        f"<MPD><BaseURL>{address}</BaseURL></MPD>",
    ):
        for kind in ("audio/wav", "audio/pcm", "application/x-mpegurl"):
            await client.try_feed(session_id, text.encode(), kind)
    server.close()
    await server.wait_closed()
    assert not asked.is_set()


@pytest.mark.parametrize("field", ["session_id", "audio_chunk"])
async def test_a_feed_without_what_it_needs(client: Client, field: str) -> None:
    """The field is named."""
    session_id = await client.init()
    if field == "session_id":
        answer = await client.http.post(f"{API}/feed", files={"audio_chunk": ("c", wav(tone(0.1)), "audio/wav")})
    else:
        answer = await client.try_feed(session_id, None)
    assert problem(answer)[0] == 400
    assert answer.json()["field"] == field


async def test_unknown_and_ended_sessions(client: Client) -> None:
    """Rows 28 and 30: 404 for what never was, 410 for what was, on every path."""
    session_id = await client.finished(wav(tone(0.2)))
    await client.http.delete(f"{API}/session/{session_id}")
    for known, expected in ((session_id, (410, "SESSION_ENDED")), ("A" * 32, (404, "SESSION_UNKNOWN"))):
        for path in (
            f"{API}/status/{known}",
            f"/hls/{known}/playlist.m3u8",
            f"/hls/{known}/v0/0.m4s",
            f"/hls/{known}/v0/init.mp4",
            f"/live/{known}.mp4",
            f"/api/hls/{known}/download",
        ):
            assert problem(await client.http.get(path)) == expected
        assert problem(await client.http.delete(f"{API}/session/{known}")) == expected
        assert problem(await client.try_feed(known, wav(tone(0.1)))) == expected


async def test_unknown_paths_and_methods(client: Client) -> None:
    """Row 41: 404 and 405."""
    assert problem(await client.http.get("/zork")) == (404, "NOT_FOUND")
    answer = await client.http.put(f"{API}/init")
    assert problem(answer) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"]


async def test_headers_that_are_too_large(client: Client) -> None:
    """Row 39."""
    assert problem(await client.http.get("/health", headers={"X-Long": "x" * 40_000})) == (431, "HEADERS_TOO_LARGE")


async def test_a_packed_body_is_unpacked_within_its_limit(client: Client) -> None:
    """Row 40: a bomb is 413, no gzip at all is 400, another encoding is 415, and an honest one is taken."""
    boundary = "b"
    form = '--b\r\nContent-Disposition: form-data; name="session_id"\r\n\r\n{}\r\n--b--\r\n'
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Content-Encoding": "gzip"}

    async def send(content: bytes, **more: str) -> httpx.Response:
        return await client.http.post(f"{API}/feed", content=content, headers={**headers, **more})

    assert problem(await send(gzip.compress(bytes(64 * 1024 * 1024)))) == (413, "BODY_TOO_LARGE")
    assert problem(await send(b"not gzip"))[0] == 400
    assert problem(await send(b"", **{"Content-Encoding": "br"})) == (415, "CONTENT_ENCODING")
    assert problem(await send(gzip.compress(form.format("A" * 32).encode()))) == (404, "SESSION_UNKNOWN")


async def test_a_body_of_too_many_parts(client: Client) -> None:
    """Row 47: ten thousand fields are refused."""
    answer = await client.http.post(f"{API}/init", data={f"f{i}": "x" for i in range(10_000)}, files={"image": b"x"})
    assert problem(answer)[0] in {400, 413}


async def test_a_length_less_body_beyond_the_limit(client: Client) -> None:
    """Row 47: it is cut off at the limit."""

    async def endless():  # noqa: ANN202
        yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n'
        for _ in range(200):
            yield bytes(64 * 1024)

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = await client.http.post(f"{API}/init", content=endless(), headers=headers)
    assert problem(answer) == (413, "BODY_TOO_LARGE")


async def test_no_service_behind_the_gateway(run_gateway: Run) -> None:
    """Rows 36, 37 and 52: 503 with Retry-After, and health says so."""
    async with run_gateway(server="127.0.0.1:1") as client:
        assert problem(await client.try_init()) == (503, "SERVICE_UNREACHABLE")
        health = await client.http.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
        assert "retry-after" in health.headers


async def test_too_many_sessions(run_gateway: Run) -> None:
    """Those without a slot count too."""
    async with run_gateway(max_sessions=1) as client:
        await client.init()
        assert problem(await client.try_init()) == (429, "TOO_MANY_SESSIONS")


async def test_a_take_that_grows_too_large(run_gateway: Run) -> None:
    """The session fails with a reason, and what was made can still be watched and downloaded."""
    async with run_gateway(take_bytes=40_000) as client:
        session_id = await client.init()
        await client.feed(session_id, wav(tone(8)))
        standing = await client.until(session_id, "error")
        assert "stored" in standing["error"]
        assert problem(await client.try_feed(session_id, wav(tone(0.1)))) == (409, "SESSION_FAILED")
        assert (await client.download(session_id)).pictures


async def test_a_request_keeps_its_id(client: Client) -> None:
    """The caller's own where it may be logged, else a new one."""
    assert (await client.http.get("/health", headers={"X-Request-Id": "abc-1"})).headers["x-request-id"] == "abc-1"
    minted = (await client.http.get("/zork", headers={"X-Request-Id": "a b"})).headers["x-request-id"]
    assert len(minted) == 16


async def test_a_failure_names_the_form_s_field(client: Client) -> None:
    """Whoever found it, the service or the gateway; and a text in place of a file is told apart."""
    assert (await client.try_init(b"hello")).json()["field"] == "image"
    assert (await client.try_init(engine="zork")).json()["field"] == "engine"
    session_id = await client.init()
    assert (await client.try_feed(session_id, b"RIFFzork")).json()["field"] == "audio_chunk"
    answer = (await client.http.post(f"{API}/init", data={"image": "portrait.png"})).json()
    assert (answer["field"], answer["reason"]) == ("image", "INVALID_FIELD")
    assert "send a file" in answer["detail"]


@pytest.mark.parametrize(("path", "field"), [(f"{API}/init", "vp8"), ("/api/live", "abr")])
async def test_a_field_that_means_nothing_there_is_refused(client: Client, path: str, field: str) -> None:
    """And named; where it is said not to be wanted, all is well."""
    image = {"image": ("portrait.png", client.photo)}
    answer = await client.http.post(path, files=image, data={field: "true"})
    assert problem(answer) == (400, "INVALID_FIELD")
    assert answer.json()["field"] == field
    assert (await client.http.post(path, files=image, data={field: "false"})).status_code == 200


async def test_a_text_too_large_is_not_told_to_be_a_file(client: Client) -> None:
    """What is to be sent less of may be a text."""
    answer = await client.http.post("/api/speech", data={"text": "x" * 1_000_000})
    assert problem(answer) == (413, "BODY_TOO_LARGE")
    assert "file" not in answer.json()["detail"]

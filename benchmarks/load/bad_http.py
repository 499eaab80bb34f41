"""Owns the rows of bad inputs over HTTP that are answered at once."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Final

import av
import numpy as np

from load.bad_cases import API, Answer, Case, Sender, picture, problem

UNKNOWN: Final = "A" * 32


def cases() -> list[Case]:
    """Return all of them."""
    return [*_portraits(), *_fields(), *_audio(), *_paths(), *_bodies(), *_offers()]


def _refused(row: int, name: str, status: int, reason: str, path: str, **request: Any) -> Case:
    async def send(sender: Sender, _: int) -> Answer:
        return await sender.post(path, **request)

    return Case(row, f"HTTP: {name}", send, (str(status), reason))


def _portraits() -> list[Case]:
    found = [
        (4, "missing", b"", 400, "PORTRAIT_MISSING"),
        (5, "beyond 10 MiB", b"\x89PNG\r\n\x1a\n" + bytes(10 * 1024 * 1024), 413, "PORTRAIT_TOO_LARGE"),
        (5, "body beyond its limit", bytes(12 * 1024 * 1024), 413, "BODY_TOO_LARGE"),
        (6, "a text", b"hello", 415, "PORTRAIT_FORMAT"),
        (6, "JPEG cut short", picture((64, 64), "JPEG")[:300], 400, "PORTRAIT_DAMAGED"),
        (7, "SVG", b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "PORTRAIT_FORMAT"),
        (7, "TIFF", picture((64, 64), "TIFF"), 415, "PORTRAIT_FORMAT"),
        (8, "12000 squared", picture((12_000, 12_000), mode="1"), 413, "PORTRAIT_PIXELS"),
        (9, "one pixel", picture((1, 1)), 400, "PORTRAIT_SHAPE"),
        (9, "a line", picture((10_000, 40)), 400, "PORTRAIT_SHAPE"),
    ]
    return [
        _refused(row, name, status, reason, f"{API}/init", files={"image": ("portrait", content)})
        for row, name, content, status, reason in found
    ]


def _fields() -> list[Case]:
    image = {"image": ("portrait", picture((64, 64)))}
    found = [
        (11, "nfe", "4", "INVALID_FIELD"),
        (11, "cfg_scale", "nan", "INVALID_FIELD"),
        (11, "pose_style", "[1, 2]", "OUT_OF_RANGE"),
        (11, "pose_style", "[1, 2, NaN]", "OUT_OF_RANGE"),
        (11, "pose_style", "[" * 100_000, "OUT_OF_RANGE"),
        (12, "engine", "zork", "ENGINE"),
        (12, "preset", "x", "UNKNOWN_VALUE"),
        (13, "audio_sample_rate", "1", "INVALID_FIELD"),
        (13, "audio_sample_rate", "4294967295", "INVALID_FIELD"),
    ]
    return [
        _refused(row, f"{name} {value[:12]}", 400, reason, f"{API}/init", files=image, data={name: value})
        for row, name, value, reason in found
    ]


def wav(rate_hz: int, channels: int, kind: int = 1, data: bytes = bytes(32_000)) -> bytes:
    """Return a WAV whose header says what it is told to; kind 3 is 32-bit floats."""
    bits = 32 if kind == 3 else 16
    block = bits // 8 * channels & 0xFFFF
    head = struct.pack(
        "<4sI4s4sIHHIIHH",
        *(b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, kind, channels, rate_hz),
        *(rate_hz * block & 0xFFFFFFFF, block, bits),
    )
    return head + struct.pack("<4sI", b"data", len(data)) + data


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


def _audio() -> list[Case]:
    samples = np.zeros(2_400, "<f4")
    samples[1_000] = np.nan
    found = [
        (14, wav(1, 1), "audio/wav", 400, "AUDIO_RATE"),
        (13, wav(2**32 - 1, 1), "audio/wav", 400, "AUDIO_RATE"),
        (15, wav(24_000, 1024), "audio/wav", 400, "AUDIO_CHANNELS"),
        (15, b"\0\0\0", "audio/pcm", 400, "PARTIAL_SAMPLE"),
        (13, bytes(8), "audio/pcm;rate=1", 400, "AUDIO_RATE"),
        (15, bytes(8), "audio/pcm;channels=3", 400, "AUDIO_CHANNELS"),
        (21, bytes(2 * 24_000 * 10 + 2), "audio/pcm", 413, "AUDIO_TOO_LONG"),
        (17, bomb(), "audio/flac", 413, "AUDIO_TOO_LONG"),
        (18, wav(24_000, 1, 3, samples.tobytes()), "audio/wav", 400, "AUDIO_NOT_FINITE"),
        (20, b"#EXTM3U\nhttp://127.0.0.1:1/x.wav\n", "audio/mpegurl", 415, "AUDIO_PLAYLIST"),
        (20, b"ffconcat version 1.0\nfile /etc/passwd\n", "audio/wav", 415, "AUDIO_PLAYLIST"),
        (20, b"<?xml version='1.0'?><MPD/>", "audio/mp4", 415, "AUDIO_PLAYLIST"),
        (16, b"hello, this is no audio", "audio/wav", 400, "AUDIO_UNREADABLE"),
        (21, bytes(9 * 1024 * 1024), "audio/pcm", 413, "BODY_TOO_LARGE"),
    ]
    return [
        Case(row, f"HTTP: {kind} {len(content)}", _feed(content, kind), (str(status), reason))
        for row, content, kind, status, reason in found
    ]


def _feed(content: bytes, kind: str) -> Callable[[Sender, int], Awaitable[Answer]]:
    async def send(sender: Sender, number: int) -> Answer:
        files = {"audio_chunk": ("chunk", content, kind)}
        return await sender.post(f"{API}/feed", data={"session_id": sender.takes[number]}, files=files)

    return send


def _got(row: int, path: str, status: int, reason: str, method: str = "GET", **request: Any) -> Case:
    async def send(sender: Sender, _: int) -> Answer:
        return problem(await sender.http.request(method, path, **request))

    return Case(row, f"HTTP: {method} {path.replace(UNKNOWN, 'ID')[:48]}", send, (str(status), reason))


def _paths() -> list[Case]:
    session = (f"{API}/status/{UNKNOWN}", f"/hls/{UNKNOWN}/playlist.m3u8", f"/hls/{UNKNOWN}/v0/0.m4s")
    files = (f"/live/{UNKNOWN}.mp4", f"/api/hls/{UNKNOWN}/download")
    return [
        *(_got(28, path, 404, "SESSION_UNKNOWN") for path in (*session, *files)),
        *(
            _got(29, f"{API}/status/{id_}", 404, "SESSION_UNKNOWN")
            for id_ in ("%00", "x" * 10_000, "%EF%BC%8E", "a%5Cb")
        ),
        _got(41, "/zork", 404, "NOT_FOUND"),
        _got(41, f"{API}/init", 405, "METHOD_NOT_ALLOWED", "PUT"),
        _got(39, "/health", 431, "HEADERS_TOO_LARGE", headers={"X-Long": "x" * 40_000}),
    ]


def _bodies() -> list[Case]:
    headers = {"Content-Type": "multipart/form-data; boundary=b", "Content-Encoding": "gzip"}
    packed = gzip.compress(bytes(64 * 1024 * 1024))
    return [
        _refused(40, "gzip bomb", 413, "BODY_TOO_LARGE", f"{API}/feed", content=packed, headers=headers),
        _refused(38, "not a form", 400, "BAD_REQUEST", f"{API}/feed", content=b"\xff" * 1_000, headers=_FORM),
    ]


_FORM: Final = {"Content-Type": "multipart/form-data; boundary=b"}


def _offers() -> list[Case]:
    many = "v=0\n" + "m=video 9 UDP/TLS/RTP/SAVPF 96\n" * 900
    candidates = "v=0\nm=video 9 UDP/TLS/RTP/SAVPF 96\n" + "a=candidate:1 1 udp 1 10.0.0.1 9 typ host\n" * 500
    return [
        Case(60, f"HTTP: {name}", _offer(text.encode()), ("400", "BAD_SDP"))
        for name, text in (("garbage", "zork"), ("media bomb", many), ("candidates", candidates), ("no media", "v=0\n"))
    ]


def _offer(content: bytes) -> Callable[[Sender, int], Awaitable[Answer]]:
    async def send(sender: Sender, _: int) -> Answer:
        opened = await sender.http.post("/api/live", files={"image": ("portrait", picture((64, 64)))})
        live = opened.json()["session_id"]
        answer = await sender.post(f"/api/webrtc/{live}", content=content, headers={"Content-Type": "application/sdp"})
        await sender.http.delete(f"/api/live/{live}")
        return answer

    return send

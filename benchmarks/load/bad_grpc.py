"""Owns the rows of bad inputs over gRPC that are answered at once.

Rows that go further are in ``bad_sessions``, ``bad_takes`` and ``bad_servers``. Left out everywhere are rows 49-51, 55,
61 and 62, whose faults are made inside a process and have tests of their own; row 52, which the parts kills and resume
play; and row 56, for which the machine's clock would have to be set.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
import numpy as np
from avatar.v1 import avatar_service_pb2, init_pb2, media_pb2

from avatar_service.audio import MAX_MESSAGE_BYTES
from avatar_service.picture import MAX_BYTES
from load.bad_cases import LINEAR16, Answer, Case, Request, Sender, audio, exchange, init, over, picture, refusal, told

BAD: Final = "INVALID_ARGUMENT"
ORDER: Final = ("FAILED_PRECONDITION", "OUT_OF_ORDER")
RANGE: Final = (BAD, "OUT_OF_RANGE")
STREAM: Final = "/avatar.v1.AvatarService/StreamAvatar"
NAN, INF = float("nan"), float("inf")
BOMB: Final = bytes(17 * 1024 * 1024)
"""More than the service takes, and little enough for many clients in one process."""


def cases() -> list[Case]:
    """Return all of them."""
    return [*_order(), *_portraits(), *_parameters(), *_audio(), *_ids(), *_transport()]


def _order() -> list[Case]:
    interrupt, end = Request(interrupt=media_pb2.Interrupt()), Request(end_of_segment=media_pb2.EndOfSegment())
    return [
        *(told(1, name, [first], *ORDER) for name, first in (("audio", audio(bytes(640))), ("over", over()))),
        *(told(1, name, [first], *ORDER) for name, first in (("interrupt", interrupt), ("end", end))),
        told(2, "two inits", [init(), init()], *ORDER),
        told(3, "silence", [], "DEADLINE_EXCEEDED", "INIT_TIMEOUT"),
        told(26, "audio after the end", [init(), audio(bytes(64_000), "a"), over(), audio(bytes(640), "b")], *ORDER),
        Case(27, "half-close", _half_close, ("CANCELLED", "NO_END_OF_AUDIO")),
    ]


async def _half_close(sender: Sender, _: int) -> Answer:
    call = sender.stub.StreamAvatar()
    await call.write(init())
    await call.done_writing()
    return await exchange(call)


def huge_png(side: int) -> bytes:
    """Return a grey PNG of zeros: about 140 kB for 12000 x 12000."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(side + 1)) for _ in range(side)) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def _portraits() -> list[Case]:
    jpeg = picture((64, 64), "JPEG")
    found = [
        (4, "missing", b"", "PORTRAIT_MISSING"),
        (6, "a text", b"this is a text", "PORTRAIT_FORMAT"),
        (6, "polyglot", b"%PDF-1.7\n" + jpeg, "PORTRAIT_FORMAT"),
        (6, "JPEG cut short", jpeg[:300], "PORTRAIT_DAMAGED"),
        (6, "PNG cut short", picture((64, 64))[:60], "PORTRAIT_DAMAGED"),
        *((7, kind, picture((64, 64), kind), "PORTRAIT_FORMAT") for kind in ("EPS", "TIFF", "BMP", "GIF")),
        (7, "SVG", b"<svg xmlns='http://www.w3.org/2000/svg' width='64' height='64'/>", "PORTRAIT_FORMAT"),
        *((8, f"{side} squared", huge_png(side), "PORTRAIT_PIXELS") for side in (12_000, 14_000)),
        *((9, str(size), picture(size), "PORTRAIT_SHAPE") for size in ((1, 1), (16_000, 33))),
    ]
    large = told(5, "beyond 10 MiB", [init(portrait=bytes(MAX_BYTES + 1))], "RESOURCE_EXHAUSTED", "PORTRAIT_TOO_LARGE")
    larger = told(5, "beyond the transport", [init(portrait=bytes(2 * MAX_BYTES))], "RESOURCE_EXHAUSTED", "")
    return [
        *(told(row, name, [init(portrait=bytes_)], BAD, reason) for row, name, bytes_, reason in found),
        large,
        larger,
    ]


def _parameters() -> list[Case]:
    generations: list[dict[str, Any]] = [
        {"nfe": 4},
        {"nfe": 51},
        {"cfg_scale": NAN},
        {"crop_scale": -INF},
        {"pose_style": {"pitch": NAN}},
        {"gaze_style": {"y": -3.2}},
        {"head_motion": 2.1},
        {"chunk_duration": {"seconds": 11}},
    ]
    videos: list[tuple[dict[str, Any], str]] = [
        ({"width": 62}, "VIDEO_SIZE"),
        ({"width": 2**32 - 1}, "VIDEO_SIZE"),
        ({"width": 256, "height": 128}, "VIDEO_SHAPE"),
        ({"quality": 101}, "OUT_OF_RANGE"),
        ({"keyframe_interval": {"nanos": 100_000_000}}, "OUT_OF_RANGE"),
    ]
    unknown: list[dict[str, Any]] = [
        {"mode": 99},
        {"audio": init_pb2.AudioFormat(encoding=99, sample_rate_hz=16_000)},
        {"video": [init_pb2.VideoFormat(codec=99)]},
        {"generation": init_pb2.GenerationParameters(preset=99)},
    ]
    rates = (0, 1, 7_999, 384_001, 2**32 - 1)
    return [
        *(told(11, str(g), [init(generation=init_pb2.GenerationParameters(**g))], *RANGE) for g in generations),
        *(told(11, str(v), [init(video=[init_pb2.VideoFormat(**v)])], BAD, reason) for v, reason in videos),
        *(told(12, next(iter(fields)), [init(**fields)], BAD, "UNKNOWN_VALUE") for fields in unknown),
        told(12, "engine", [init(engine="torch/../x")], BAD, "ENGINE"),
        told(12, "empty message", [init(), Request()], BAD, "EMPTY_MESSAGE"),
        *(told(13, f"{rate} Hz", [init(audio=_format(rate))], BAD, "SAMPLE_RATE") for rate in rates),
        *(told(15, f"{n} channels", [init(audio=_format(channels=n))], BAD, "CHANNELS") for n in (3, 1_024, 2**32 - 1)),
    ]


def _format(rate: int = 16_000, channels: int = 1, encoding: int = LINEAR16) -> init_pb2.AudioFormat:
    return init_pb2.AudioFormat(encoding=encoding, sample_rate_hz=rate, channels=channels)


def wav(rate: int, length: int = 0xFFFFFFFF) -> bytes:
    """Return a WAV file that declares a rate and a length."""
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 0xFFFFFFFF, b"WAVE", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16)
    return head + struct.pack("<4sI", b"data", length) + bytes(4_000)


def _audio() -> list[Case]:
    files = [
        (14, "WAV of 1 Hz", wav(1)),
        (16, "WAV without an end", wav(16_000)),
        (16, "WAV cut short", wav(16_000, 10**6)),
        (17, "FLAC", b"fLaC\x00\x00\x00\x22" + bytes(38_000)),
        (17, "Opus", b"OggS\x00\x02" + bytes(22) + b"OpusHead"),
        (20, "m3u8", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n"),
        (20, "ffconcat", b"ffconcat version 1.0\nfile file:///etc/passwd\n"),
        (20, "MPD", b"<MPD><BaseURL>http://127.0.0.1:1/</BaseURL></MPD>"),
    ]
    floats = []
    for value in (NAN, INF, 1e30):
        samples = np.zeros(640, "<f4")
        samples[100] = value
        opening = init(audio=_format(encoding=init_pb2.AUDIO_ENCODING_FLOAT32))
        floats.append(told(18, str(value), [opening, audio(samples.tobytes())], BAD, "AUDIO_NOT_FINITE"))
    odd = {"silence": bytes(12_800), "direct current": b"\x00\x40" * 6_400, "one sample": b"\x01\x00", "none": b""}
    numbered = [(24, (1, 3), "OUT_OF_RANGE", "SEQUENCE_GAP"), (24, (1, 2, 1), "OUT_OF_RANGE", "SEQUENCE_OLD")]
    conflict = [init(), audio(b"\0\0", seq=1), audio(b"\1\1", seq=1)]
    return [
        *(told(row, name, [init(), audio(_even(content))], BAD, "AUDIO_IS_A_FILE") for row, name, content in files),
        told(15, "half a sample", [init(), audio(bytes(641))], BAD, "PARTIAL_SAMPLE"),
        *floats,
        *(told(19, name, [init(), audio(content), over()], "OK", "") for name, content in odd.items()),
        told(21, "too large", [init(), audio(bytes(MAX_MESSAGE_BYTES + 2))], BAD, "AUDIO_TOO_LARGE"),
        *(
            told(row, str(numbers), [init(), *(audio(bytes(64), seq=number) for number in numbers)], code, reason)
            for row, numbers, code, reason in numbered
        ),
        told(25, "same number", conflict, "ABORTED", "SEQUENCE_CONFLICT"),
    ]


def _even(content: bytes) -> bytes:
    return content + bytes(len(content) % 2)


def _ids() -> list[Case]:
    ids = ["", "unknown", "..", "%2e%2e", "/abs", "nul\0", "x" * 10_000, "\N{FULLWIDTH FULL STOP}", "a\\\\b"]
    names = ("GetSession", "EndSession")
    unknown = ("NOT_FOUND", "SESSION_UNKNOWN")
    return [
        Case(29 if k > 1 else 28, f"{name} {k}", _about(name, id_), unknown)
        for name in names
        for k, id_ in enumerate(ids)
    ]


def _about(name: str, session_id: str) -> Callable[[Sender, int], Awaitable[Answer]]:
    async def send(sender: Sender, _: int) -> Answer:
        request = getattr(avatar_service_pb2, f"{name}Request")(session_id=session_id)
        return await _unary(getattr(sender.stub, name)(request))

    return send


async def _unary(call: Any) -> Answer:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return refusal(error)
    return "OK", ""


def _transport() -> list[Case]:
    async def rubbish(sender: Sender, _: int) -> Answer:
        return await exchange(sender.channel.stream_stream(STREAM)(), b"\xff" * 1_000)

    async def metadata(sender: Sender, _: int) -> Answer:
        request = avatar_service_pb2.GetCapabilitiesRequest()
        return await _unary(sender.stub.GetCapabilities(request, metadata=[("x-long", "x" * 65_536)]))

    async def bomb(sender: Sender, _: int) -> Answer:
        return await exchange(sender.channel.stream_stream(STREAM)(compression=grpc.Compression.Gzip), BOMB)

    async def unknown(sender: Sender, _: int) -> Answer:
        return await _unary(sender.channel.unary_unary("/avatar.v1.AvatarService/Unknown")(b""))

    async def deadline(sender: Sender, _: int) -> Answer:
        return await exchange(sender.stub.StreamAvatar(timeout=0.5), init())

    return [
        Case(38, "rubbish", rubbish, (BAD, "MALFORMED")),
        Case(39, "metadata", metadata, ("RESOURCE_EXHAUSTED", "")),
        Case(40, "gzip bomb", bomb, ("RESOURCE_EXHAUSTED", "")),
        Case(41, "unknown method", unknown, ("UNIMPLEMENTED", "")),
        Case(42, "deadline", deadline, ("DEADLINE_EXCEEDED", "")),
    ]

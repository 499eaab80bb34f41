"""Owns what fuzzing begins with: small, good examples of everything that is read, made anew each time."""

from __future__ import annotations

import asyncio
import io
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import av
import numpy as np
from aiortc import RTCPeerConnection
from avatar.v1 import avatar_service_pb2, control_pb2, init_pb2, media_pb2
from PIL import Image

from fuzz.http import BOUNDARY

RATE_HZ: Final = 48_000
TONE: Final = (np.sin(np.arange(4_800) * 0.05) * 9_000).astype(np.int16)
CONTAINERS: Final = {"wav": "pcm_s16le", "flac": "flac", "ogg": "libopus", "mp3": "libmp3lame", "aiff": "pcm_s16be"}
Request = avatar_service_pb2.StreamAvatarRequest


@lru_cache
def of(target: str) -> tuple[bytes, ...]:
    """Return the seeds of a target; the same each time, though an offer has random keys."""
    return tuple(_SEEDS[target]())


def _pictures() -> Iterator[bytes]:
    small = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    for image, kind in (
        *((small, kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF")),
        *((small.convert(mode), "PNG") for mode in ("L", "LA", "RGBA", "P", "I;16", "1")),
        (small.convert("CMYK"), "JPEG"),
    ):
        content = io.BytesIO()
        image.save(content, kind, **({"exif": exif} if kind in {"JPEG", "WEBP"} else {}))
        yield content.getvalue()


def _file(container: str, codec: str) -> bytes:
    content = io.BytesIO()
    with av.open(content, "w", format=container) as out:
        stream = out.add_stream(codec, rate=RATE_HZ, layout="mono")
        frame = av.AudioFrame.from_ndarray(TONE[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        resampler = av.AudioResampler(
            stream.codec_context.format, "mono", RATE_HZ, stream.codec_context.frame_size or None
        )
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    return content.getvalue()


def _recordings() -> Iterator[bytes]:
    for container, codec in CONTAINERS.items():
        yield _file(container, codec)
    for container, codec in (("mp4", "aac"), ("adts", "aac"), ("matroska", "libopus")):
        yield _file(container, codec)
    yield b"#EXTM3U\nhttp://127.0.0.1:1/x.wav\n"


def _chunks() -> Iterator[bytes]:
    for seed in _recordings():
        yield b"\0" + seed
    yield b"\1" + TONE.tobytes()
    yield b"\2" + TONE.tobytes()


def _speech() -> Iterator[bytes]:
    for encoding in range(8):
        for rate in range(8):
            yield bytes([encoding, rate, 7]) + TONE[:640].tobytes()


def _opus() -> Iterator[bytes]:
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format = RATE_HZ, "mono", "s16"
    context.options = {"frame_duration": "20"}
    packets = []
    for piece in TONE[: TONE.size // 960 * 960].reshape(-1, 960):
        frame = av.AudioFrame.from_ndarray(piece[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        packets += [bytes(packet) for packet in context.encode(frame)]
    for channels in (b"\0", b"\1"):
        yield channels + b"".join(struct.pack("B", len(packet)) + packet for packet in packets if len(packet) < 256)  # noqa: PLR2004


def _requests() -> Iterator[bytes]:
    generation = init_pb2.GenerationParameters(nfe=10, cfg_scale=2, crop=True, seed=1, head_motion=1.0, preset=1)
    generation.chunk_duration.FromMilliseconds(200)
    opening = init_pb2.Init(
        portrait=b"x",
        engine="fake",
        audio=init_pb2.AudioFormat(encoding=1, sample_rate_hz=16_000, channels=1),
        video=[init_pb2.VideoFormat(codec=3, width=512, height=512, keyframe_interval={"seconds": 2})],
        mode=2,
        generation=generation,
    )
    changes = control_pb2.Control(pose={"yaw": 0.1}, emotion={"kind": 2, "intensity": 0.5}, bitrate_kbps=500)
    for message in (
        Request(init=opening),
        Request(audio=media_pb2.Audio(segment_id="a", data=bytes(640), seq=3)),
        Request(end_of_segment=media_pb2.EndOfSegment(segment_id="a")),
        Request(interrupt=media_pb2.Interrupt(segment_id="a")),
        Request(end_of_audio=media_pb2.EndOfAudio()),
        Request(control=changes),
    ):
        yield message.SerializeToString()


def _offers() -> Iterator[bytes]:
    async def offer() -> str:
        connection = RTCPeerConnection()
        connection.addTransceiver("video", "recvonly")
        connection.addTransceiver("audio", "sendrecv")
        connection.createDataChannel("control")
        text = (await connection.createOffer()).sdp
        await connection.close()
        return text

    yield asyncio.run(offer()).encode()


def _words() -> Iterator[bytes]:
    yield b'{"type": "interrupt"}'
    yield b'{"type": "control", "pose": [0, 0.1, 0], "gaze": [0, 0], "emotion": "happy", "intensity": 1}'
    yield b'{"type": "control", "head_motion": 1.5, "bitrate_kbps": 600, "force_keyframe": true}'
    yield b'{"type": "control", "head_motion": 1%s}' % (b"1" * 400)  # JSON's integers may be larger than any float


def _forms() -> Iterator[bytes]:
    image = next(_pictures())
    for path in range(4):
        parts = {b'image"; filename="a.png': image, b"nfe": b"10", b"pose_style": b"[0, 0, 0]", b"crop": b"true"}
        if path % 2:
            parts = {b"session_id": b"A" * 32, b'audio_chunk"; filename="c': _file("wav", "pcm_s16le")[:400]}
        content = b"".join(
            b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (BOUNDARY.encode(), name, value)
            for name, value in parts.items()
        )
        yield bytes([path]) + content + b"--%s--\r\n" % BOUNDARY.encode()
    yield bytes([4]) + b"nfe=10&crop=true&session_id=" + b"A" * 32


_SEEDS: Final = {
    "picture": _pictures,
    "recording": _recordings,
    "chunk": _chunks,
    "speech": _speech,
    "opus": _opus,
    "request": _requests,
    "offer": _offers,
    "word": _words,
    "form": _forms,
}

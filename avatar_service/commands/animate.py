"""Owns `animate`: a portrait and an audio file in, an MP4 out, through the same StreamAvatar call as everyone.

The video is never encoded again: the access units that the service sends are what the file holds. A failure leaves
no file behind and never touches one that was there before.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
import sys
import time
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Final, cast

import av
import click
import numpy as np
from avatar_client import (
    AUDIO_ENCODING_LINEAR16,
    VIDEO_CODEC_H264,
    AudioFormat,
    AvatarClient,
    AvatarRpcError,
    GenerationParameters,
    VideoFormat,
)

from avatar_service.errors import AvatarError, InvalidArgumentError, ResourceExhaustedError, SetupError
from avatar_service.media import TIME_BASE_HZ
from avatar_service.picture import MAX_BYTES
from avatar_service.recording import Recording, read_recording

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

    from avatar.v1 import event_pb2
    from avatar_client import AvatarStream, Ready, Video

_CHUNK_S: Final = 0.5
_AAC_RATES_HZ: Final = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000})


@dataclass(frozen=True, slots=True)
class Order:
    """What to make.

    Attributes:
        portrait: picture file.
        audio: audio file of any format that ``recording`` reads.
        output: the MP4; replaced if it exists.
        server: ``host:port``; ``None`` starts a private server for this one call.
        engine: name of the engine; empty means the default.
        full_frame: show the whole picture with the animated face in its place.
        crop: find the face and crop to it; otherwise the picture is the face.
        seed: of everything random; ``None`` leaves it to the service.
        size: width in pixels; 0 means the engine's own.
        engine_options: of a private server's engine.
    """

    portrait: Path
    audio: Path
    output: Path
    server: str | None = None
    engine: str = ""
    full_frame: bool = False
    crop: bool = True
    seed: int | None = None
    size: int = 0
    engine_options: Mapping[str, str] = field(default_factory=dict)

    def generation(self) -> GenerationParameters:
        """Return how the picture is to be animated."""
        return GenerationParameters(crop=self.crop, paste_back=self.full_frame, seed=self.seed)


@dataclass(frozen=True, slots=True)
class Summary:
    """What was made, and how fast.

    Attributes:
        frames: in the file.
        ready_s: from opening the session until it was ready: the portrait is prepared then.
        first_frame_s: from then, when the first audio is sent, to the first frame.
        wall_s: from then to the last frame.
        audio_s: length of the speech.
    """

    frames: int
    ready_s: float
    first_frame_s: float
    wall_s: float
    audio_s: float

    @property
    def real_time_factor(self) -> float:
        """Seconds of speech per second of waiting; above 1 is faster than real time."""
        return self.audio_s / self.wall_s if self.wall_s else 0.0

    def __str__(self) -> str:
        return (
            f"{self.frames} frames for {self.audio_s:.2f} s of speech; ready after {self.ready_s:.2f} s, "
            f"first frame {self.first_frame_s:.2f} s later; real-time factor {self.real_time_factor:.2f}"
        )


def run(order: Order) -> Summary:
    """Carry ``order`` out, with a progress bar on stderr.

    Raises:
        click.ClickException: with one line for the user, whatever went wrong.
    """
    try:
        return asyncio.run(_run(order))
    except AvatarRpcError as error:
        # Without a reason it was not the service that answered.
        text = f"{error.message} ({error.reason})" if error.reason else f"No answer from the server: {error.message}"
    except (AvatarError, SetupError) as error:
        text = str(error)
    except (OSError, av.error.FFmpegError) as error:
        text = f"{error.strerror}: {error.filename or order.output}"
    raise click.ClickException(" ".join(text.split()))


async def _run(order: Order) -> Summary:
    portrait = _read_portrait(order.portrait)
    recording = read_recording(order.audio)
    if not len(recording.samples):
        raise InvalidArgumentError("AUDIO_EMPTY", "the audio file holds no sound", field="audio")
    with _unfinished(order.output) as part:
        async with _server(order) as target, AvatarClient(target) as client:
            return await _animate(client, order, portrait, recording, part)


async def _animate(client: AvatarClient, order: Order, portrait: bytes, recording: Recording, part: Path) -> Summary:
    opened = time.monotonic()
    session = client.animate(
        portrait,
        _chunks(recording),
        audio=AudioFormat(encoding=AUDIO_ENCODING_LINEAR16, sample_rate_hz=recording.sample_rate_hz, channels=1),
        video=[VideoFormat(codec=VIDEO_CODEC_H264, width=order.size)],
        engine=order.engine,
        generation=order.generation(),
    )
    async with session as stream:
        started = time.monotonic()
        with _Movie.open(part, stream.ready, recording) as movie:
            first_s = await _receive(stream, movie, started)
        return Summary(movie.frames, started - opened, first_s, time.monotonic() - started, recording.duration_s)


async def _receive(stream: AvatarStream, movie: _Movie, started: float) -> float:
    """Write every frame of ``stream``; returns when the first one came, in seconds after ``started``."""
    first_s = 0.0
    with click.progressbar(length=movie.expected_frames, label="Animating", file=sys.stderr) as bar:
        async for response in stream:
            if response.HasField("video"):
                first_s = first_s or time.monotonic() - started
                movie.write(response.video)
                bar.update(1)
            elif response.event.HasField("warning"):
                warning = cast("event_pb2.Warning", response.event.warning)  # mypy takes it for the built-in one
                click.echo(f"Note: {warning.message}", err=True)
    return first_s


class _Movie:
    """An MP4 being written: H.264 as it comes, AAC of the recording beside it, the index in front."""

    def __init__(self, container: av.container.OutputContainer, ready: Ready, recording: Recording) -> None:
        size = ready.video[0]
        self._container = container
        self._fps = ready.fps
        self._recording = recording
        # The muxer turns Annex B into MP4's own form by itself, taking the parameter sets from the first keyframe.
        self._video = container.add_mux_stream("h264", rate=ready.fps, width=size.width, height=size.height)
        self._audio = container.add_stream("aac", rate=_aac_rate_hz(recording.sample_rate_hz), layout="mono")
        self._first_pts: int | None = None
        self._heard = 0
        self.frames = 0

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path, ready: Ready, recording: Recording) -> Iterator[_Movie]:
        """Yield a movie at ``path``; leaving finishes the file."""
        # An absolute path cannot be mistaken for an address.
        with av.open(str(path.resolve()), "w", format="mp4", container_options={"movflags": "+faststart"}) as container:
            movie = cls(container, ready, recording)
            yield movie
            movie.finish()

    @property
    def expected_frames(self) -> int:
        """Frames that the recording will have."""
        return -(-len(self._recording.samples) * self._fps // self._recording.sample_rate_hz)

    def write(self, video: Video) -> None:
        """Append one access unit and the audio that belongs to it."""
        if self._first_pts is None:
            self._first_pts = video.pts
        packet = av.Packet(video.data)
        packet.stream = self._video
        packet.time_base = Fraction(1, TIME_BASE_HZ)
        packet.pts = packet.dts = video.pts - self._first_pts
        packet.duration = video.duration
        packet.is_keyframe = video.keyframe
        self._container.mux(packet)
        self.frames += 1
        self._write_audio()

    def finish(self) -> None:
        """Flush the audio encoder."""
        if self.frames:
            self._container.mux(self._audio.encode(None))

    def _write_audio(self) -> None:
        """Write the sound of the frames so far; beyond the recording's end it is silence."""
        rate_hz = self._recording.sample_rate_hz
        end = round(Fraction(self.frames * rate_hz, self._fps))
        piece = self._recording.samples[self._heard : end]
        padded = np.pad(piece, (0, end - self._heard - len(piece)))
        frame = av.AudioFrame.from_ndarray(padded.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = rate_hz
        frame.time_base = Fraction(1, rate_hz)
        frame.pts = self._heard
        self._heard = end
        self._container.mux(self._audio.encode(frame))


def _aac_rate_hz(rate_hz: int) -> int:
    """Return the rate of the sound track: AAC has a table of rates; the encoder resamples from any other."""
    return rate_hz if rate_hz in _AAC_RATES_HZ else max(_AAC_RATES_HZ)


async def _chunks(recording: Recording) -> AsyncIterator[bytes]:
    step = int(_CHUNK_S * recording.sample_rate_hz)
    for start in range(0, len(recording.samples), step):
        yield recording.samples[start : start + step].tobytes()


@contextlib.asynccontextmanager
async def _server(order: Order) -> AsyncIterator[str]:
    """Yield the address of the server to use."""
    if order.server is not None:
        yield order.server
        return
    # Only a private server needs an engine and its libraries; a remote one is reached without them.
    from avatar_service.app import serving  # noqa: PLC0415
    from avatar_service.config import Settings  # noqa: PLC0415
    from avatar_service.engine.registry import ENGINE_NAMES  # noqa: PLC0415

    settings = Settings(host="127.0.0.1", port=0, capacity=1, engine_options=order.engine_options)
    if order.engine and order.engine not in ENGINE_NAMES:
        message = f"there is no engine {order.engine}; there are {', '.join(ENGINE_NAMES)}"
        raise InvalidArgumentError("ENGINE", message, field="init.engine")
    async with serving(replace(settings, engine=order.engine or settings.engine)) as port:
        yield f"127.0.0.1:{port}"


def _read_portrait(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    if path.stat().st_size > MAX_BYTES:
        message = f"the portrait has {path.stat().st_size} bytes; give at most {MAX_BYTES}"
        raise ResourceExhaustedError("PORTRAIT_TOO_LARGE", message)
    return path.read_bytes()


@contextlib.contextmanager
def _unfinished(output: Path) -> Iterator[Path]:
    """Yield a new empty file beside ``output`` that takes its place on success and goes away otherwise."""
    if output.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(output))
    part = output.with_name(f".{output.name}.{secrets.token_hex(4)}.part")
    try:
        part.touch(exist_ok=False)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(output)) from None
    try:
        yield part
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)

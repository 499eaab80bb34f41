"""Owns the load that benchmarks put on a server: sessions fed at the pace of speech, and how late their frames came.

A frame's lateness is its arrival at the client minus the sending of the last audio that it needs: its own span and
the engine's declared look-ahead.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import socket
import sys
import time
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import psutil
from avatar_client import AUDIO_ENCODING_LINEAR16, AudioFormat, AvatarClient, AvatarStream, VideoFormat
from numpy.typing import NDArray

from avatar_service.assets import asset_path

LATE_MS: Final = 100.0
_MESSAGE_S: Final = 0.02
_ROUNDING: Final = 1e-6
_START_WITHIN_S: Final = 60.0
_POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Speech:
    """What the sessions say, in a loop: 16-bit mono samples ``[n]`` and their rate."""

    samples: NDArray[np.int16]
    rate_hz: int

    @classmethod
    def sample(cls) -> Speech:
        """Return the speech that the package ships."""
        with wave.open(str(asset_path("astronaut.png").with_name("speech.wav"))) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
            return cls(samples, file.getframerate())

    def piece(self, start: int, count: int) -> bytes:
        """Return ``count`` samples from ``start`` on, round and round."""
        return self.samples[np.arange(start, start + count) % self.samples.size].tobytes()


@dataclass(slots=True)
class Outcome:
    """What one session saw.

    Attributes:
        ready_s: from opening the call to ``ready``.
        first_frame_s: from opening the call to the first frame.
        lateness_ms: of every frame, in order.
        missing: frames that should have come and did not.
    """

    ready_s: float = 0.0
    first_frame_s: float = 0.0
    lateness_ms: list[float] = field(default_factory=list)
    missing: int = 0


async def paced_session(target: str, portrait: bytes, speech: Speech, seconds: float, delay_s: float = 0.0) -> Outcome:
    """Speak for ``seconds`` in messages of 20 ms, at the pace of speech, beginning after ``delay_s``.

    Raises:
        AvatarRpcError: if the session fails.
    """
    await asyncio.sleep(delay_s)
    outcome = Outcome()
    opened = time.monotonic()
    audio = AudioFormat(encoding=AUDIO_ENCODING_LINEAR16, sample_rate_hz=speech.rate_hz)
    sent_at: list[float] = []
    messages = round(seconds / _MESSAGE_S)
    pieces = _paced(speech, messages, sent_at)
    async with (
        AvatarClient(target) as client,
        client.animate(portrait, pieces, audio=audio, video=[VideoFormat()]) as stream,
    ):
        outcome.ready_s = time.monotonic() - opened
        await _watch(stream, outcome, sent_at, messages, opened)
        frames = math.ceil(messages * _MESSAGE_S * stream.ready.fps - _ROUNDING)
        outcome.missing = frames - len(outcome.lateness_ms)
    return outcome


async def _paced(speech: Speech, messages: int, sent_at: list[float]) -> AsyncIterator[bytes]:
    count = round(speech.rate_hz * _MESSAGE_S)
    began = time.monotonic()
    for number in range(messages):
        await asyncio.sleep(max(0.0, began + number * _MESSAGE_S - time.monotonic()))
        sent_at.append(time.monotonic())
        yield speech.piece(number * count, count)


async def _watch(stream: AvatarStream, outcome: Outcome, sent_at: list[float], messages: int, opened: float) -> None:
    look_ahead_s = stream.ready.look_ahead.ToTimedelta().total_seconds()
    async for response in stream:
        if not response.HasField("video"):
            continue
        now = time.monotonic()
        outcome.first_frame_s = outcome.first_frame_s or now - opened
        needed_s = (response.video.frame_index + 1) / stream.ready.fps + look_ahead_s
        last = min(int(np.ceil(needed_s / _MESSAGE_S - _ROUNDING)), messages) - 1
        outcome.lateness_ms.append((now - sent_at[last]) * 1000)


@dataclass(frozen=True, slots=True)
class LoadedServer:
    """A server in processes of its own: its address, and the processes for their CPU time and memory."""

    target: str
    front: psutil.Process

    @property
    def workers(self) -> list[psutil.Process]:
        """The processes of its workers."""
        return list(self.front.children())

    def cpu_s(self) -> tuple[float, float]:
        """Return the CPU seconds spent so far by the front and by all workers."""
        return _cpu_s(self.front), sum(map(_cpu_s, self.workers))

    def resident_bytes(self) -> int:
        """Return the resident memory of all its processes."""
        return int(sum(process.memory_info().rss for process in (self.front, *self.workers)))


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextlib.asynccontextmanager
async def loaded_server(*options: str) -> AsyncIterator[LoadedServer]:
    """Start ``avatar-service serve`` with ``options`` on a free port; end it with the context.

    Raises:
        TimeoutError: if it does not serve in time.
    """
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "avatar_service", "serve", "--host", "127.0.0.1", "--port", str(port)),
        *("--no-gateway", *options),
        env=dict(os.environ),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        target = f"127.0.0.1:{port}"
        await await_port(port, process)
        yield LoadedServer(target, psutil.Process(process.pid))
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def await_port(port: int, process: asyncio.subprocess.Process) -> None:
    """Return once something listens on ``port``; a process elsewhere can only be asked again and again."""
    deadline = time.monotonic() + _START_WITHIN_S
    while time.monotonic() < deadline and process.returncode is None:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(_POLL_S)
    ended = process.returncode is not None
    msg = "the server ended at once" if ended else f"the server does not listen after {_START_WITHIN_S:g} s"
    raise TimeoutError(msg)


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

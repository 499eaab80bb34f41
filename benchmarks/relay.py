"""Measures the front alone: what it relays, against a servicer that merely echoes messages of the same sizes.

Both run in a process of their own, one after the other, under the same load: sessions that send speech in messages of
20 ms as fast as they may, and get one frame for every two of them. The worker behind the front is a mirror that
answers at once, so only the front's work is left. Compared are frames per CPU second of the serving process: that
does not depend on what the load itself takes of the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import grpc
import psutil
import uvloop
from avatar.v1 import avatar_service_pb2, event_pb2, media_pb2
from avatar.v1.avatar_service_pb2_grpc import AvatarServiceServicer, add_AvatarServiceServicer_to_server
from avatar_client import AUDIO_ENCODING_LINEAR16, AudioFormat, AvatarClient, VideoFormat
from provenance import commit

from avatar_service.codec.base import AccessUnit
from avatar_service.commands.bench import machine
from avatar_service.config import Settings
from avatar_service.engine.base import EngineSpec
from avatar_service.pcm import PCM_BYTES
from avatar_service.pool.messages import Alive, Command, End, Feed, Open, Opened, Ping, Rendered, Result, SlotKey, Warm
from avatar_service.pool.pool import Pool
from avatar_service.rpc.server import OPTIONS, Server

SESSIONS: Final = 8
SECONDS: Final = 6.0
RUNS: Final = 3
FRAME_BYTES: Final = 4000
MESSAGE: Final = bytes(640)
SPEC: Final = EngineSpec("mirror", "1", 25, 1, 0, 0, 1, "cpu")
UNIT: Final = AccessUnit(bytes(FRAME_BYTES), keyframe=True)


class MirrorCarrier:
    """A worker that makes frames of nothing: one for every 640 samples, at once."""

    def __init__(self) -> None:
        self._deliver: Callable[[list[Result]], None] = print
        self._samples: dict[SlotKey, int] = {}
        self._never = asyncio.Event()

    async def start(self, deliver: Callable[[list[Result]], None]) -> Warm:
        """Return at once."""
        self._deliver = deliver
        return Warm(SPEC, SESSIONS)

    def send(self, command: Command | Ping) -> None:
        """Answer as a worker would."""
        match command:
            case Open():
                self._samples[command.key] = 0
                self._answer(Opened(command.key, ((512, 512),), ("avc1.42c01e",), ()))
            case Feed() | End():
                before = self._samples[command.key]
                after = before + (len(command.pcm) // PCM_BYTES if isinstance(command, Feed) else 0)
                self._samples[command.key] = after
                last = -(-after // SPEC.frame_samples) if isinstance(command, End) else after // SPEC.frame_samples
                for index in range(before // SPEC.frame_samples, last):
                    self._answer(Rendered(command.key, command.segment, index, (UNIT,)))
            case Ping():
                asyncio.get_running_loop().call_soon(self._deliver, [Alive()])
            case _:
                pass

    def _answer(self, result: Result) -> None:
        asyncio.get_running_loop().call_soon(self._deliver, [result])

    def share(self) -> float:
        """Have all of the time."""
        return 1.0

    async def ended(self) -> None:
        """Never."""
        await self._never.wait()

    async def stop(self, patience_s: float = 0.0) -> None:
        """Nothing to end."""


class Echo(AvatarServiceServicer):
    """Answers every second message with one of a frame's size."""

    async def StreamAvatar(self, request_iterator: AsyncIterator[Any], context: Any) -> None:  # noqa: N802 - gRPC's name
        """Echo until the end of audio."""
        await context.write(avatar_service_pb2.StreamAvatarResponse(ready=event_pb2.Ready()))
        response = avatar_service_pb2.StreamAvatarResponse(video=media_pb2.Video(data=UNIT.content))
        count = 0
        async for request in request_iterator:
            if request.HasField("end_of_audio"):
                return
            count += 1
            if count % 2:
                await context.write(response)


async def serve(kind: str) -> None:
    """Serve ``relay`` or ``echo``, print the port, and go on until stdin closes."""
    if kind == "relay":
        pool = Pool([MirrorCarrier], SESSIONS)
        await pool.start()
        port = await Server(pool, Settings(host="127.0.0.1", port=0)).start()
    else:
        server = grpc.aio.server(options=OPTIONS)
        add_AvatarServiceServicer_to_server(Echo(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


@contextlib.asynccontextmanager
async def serving(kind: str) -> AsyncIterator[tuple[str, psutil.Process]]:
    """Start a server of this kind in a process of its own; yield its address and process."""
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    process = await asyncio.create_subprocess_exec(sys.executable, __file__, "--serve", kind, **pipes)
    try:
        yield f"127.0.0.1:{int(await process.stdout.readline())}", psutil.Process(process.pid)
    finally:
        process.kill()
        await process.wait()


async def frames_per_cpu_second(kind: str) -> float:
    """Return the frames that a server of this kind sends per second of its own CPU time."""
    async with serving(kind) as (target, process), AvatarClient(target) as client:
        before = sum(process.cpu_times()[:2])
        counts = await asyncio.gather(*(session(client) for _ in range(SESSIONS)))
        return sum(counts) / (sum(process.cpu_times()[:2]) - before)


async def session(client: AvatarClient) -> int:
    """Send as fast as the server reads for a while; return the frames that came."""
    end = time.monotonic() + SECONDS
    count = 0

    async def speech() -> AsyncIterator[bytes]:
        while time.monotonic() < end:
            yield MESSAGE

    audio = AudioFormat(encoding=AUDIO_ENCODING_LINEAR16, sample_rate_hz=16_000)
    async with client.animate(b"portrait", speech(), audio=audio, video=[VideoFormat()]) as stream:
        async for response in stream:
            count += response.HasField("video")
    return count


async def compare() -> dict[str, Any]:
    """Return the medians of several runs, echo and relay by turns."""
    rates: dict[str, list[float]] = {"echo": [], "relay": []}
    for _ in range(RUNS):
        for kind, found in rates.items():
            found.append(await frames_per_cpu_second(kind))
    echo, relay = (statistics.median(rates[kind]) for kind in ("echo", "relay"))
    return {
        "benchmark": "relay",
        "commit": commit(),
        **machine(),
        "echo_frames_per_cpu_s": round(echo),
        "relay_frames_per_cpu_s": round(relay),
        "relay_vs_echo": round(relay / echo, 3),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", choices=["relay", "echo"])
    arguments = parser.parse_args()
    if arguments.serve:
        uvloop.run(serve(arguments.serve))  # as `avatar-service serve` does
    else:
        print(json.dumps(asyncio.run(compare())))

"""Measures LIVE: ten minutes of conversation with one avatar, with random speech, pauses, interrupts and controls.

Half of the segments come at the pace of speech, half at once as from a synthesiser. The last line is one JSON object;
the same goes to ``benchmarks/results``. What the figures mean:

- ``speech_latency_ms_p95``: from sending the message with the last sample of a frame's own 40 ms to the frame's
  arrival, of segments at the pace of speech, with the preset LOWEST_LATENCY; the engine's look-ahead is within it.
- ``first_frame_ms``: from opening the call to its first frame; median, the portrait being known to the worker.
- ``interrupt_ack_ms_p99``: from sending ``interrupt`` to ``interrupted``.
- ``mouth_closed_ms_p99``: from the same moment to the first frame that the server calls IDLE: its lips rest.
- ``played_error_frames_max``: what ``interrupted`` says was played, against the frames that had come by then.
- ``missing``, ``duplicate``: places on the 25 fps grid without a frame or with two. Of a place that an interrupt left
  empty, because its frame was of the dead segment, there is one count beside it (``cut``).
- ``rss_slope_mib_per_h``: of all processes of the server, a line through the second half of the time.
- ``webrtc_...``: of a conversation through the page, up to five minutes, as ``webrtc.py`` says; null without Chromium.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import statistics
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import webrtc
from avatar_client import (
    AUDIO_ENCODING_LINEAR16,
    EMOTION_KIND_ANGRY,
    EMOTION_KIND_HAPPY,
    EMOTION_KIND_NEUTRAL,
    PRESET_LOWEST_LATENCY,
    SESSION_MODE_LIVE,
    AudioFormat,
    AvatarClient,
    AvatarStream,
    Control,
    Emotion,
    GenerationParameters,
    HeadPose,
)
from live_watch import MESSAGE_S, Watch, figures
from provenance import commit

from avatar_service.assets import asset_path
from avatar_service.commands.bench import machine
from avatar_service.commands.load import LoadedServer, Speech, loaded_server

RESULTS: Final = Path(__file__).parent / "results"
OPENINGS: Final = 15
IDLE_S: Final = 10.0
SAMPLED_EVERY_S: Final = 2.0
WEBRTC: Final = ("webrtc_latency_ms", "webrtc_fps", "webrtc_av_skew_ms", "webrtc_freezes")
WEBRTC_S: Final = 300.0


class Talker:
    """Speaks, pauses, interrupts and gestures at random."""

    def __init__(self, stream: AvatarStream, watch: Watch, speech: Speech, seed: int) -> None:
        self._stream = stream
        self._watch = watch
        self._speech = speech
        self._random = random.Random(seed)  # noqa: S311 - the same conversation every time
        self._spoken = 0

    async def talk(self, seconds: float) -> None:
        """Talk for so long, and say that it is over."""
        until = time.monotonic() + seconds
        number = 0
        while time.monotonic() < until:
            await asyncio.sleep(self._random.uniform(0.2, 2.5))
            if self._random.random() < 0.4:
                await self._gesture()
            await self._segment(f"s{number}", self._random.uniform(0.5, 6.0))
            number += 1
        await self._stream.end_audio()

    async def _segment(self, name: str, seconds: float) -> None:
        cut_after = self._random.uniform(0.1, seconds) if self._random.random() < 0.4 else None
        count = round(self._speech.rate_hz * MESSAGE_S)
        paced = self._random.random() < 0.5
        messages = round(min(seconds, cut_after or seconds) / MESSAGE_S) if paced else round(seconds / MESSAGE_S)
        sent = self._watch.sent_at.setdefault(name, []) if paced else []
        began = time.monotonic()
        for number in range(messages):
            if paced:
                await asyncio.sleep(max(0.0, began + number * MESSAGE_S - time.monotonic()))
            sent.append(time.monotonic())
            await self._stream.send_audio(self._speech.piece(self._spoken, count), name)
            self._spoken += count
        if cut_after is None:
            await self._stream.end_segment(name)
            await asyncio.sleep(0 if paced else seconds)
            return
        if not paced:
            await asyncio.sleep(cut_after)
        self._watch.interrupts.append(time.monotonic())
        await self._stream.interrupt()

    async def _gesture(self) -> None:
        kind = self._random.choice((EMOTION_KIND_NEUTRAL, EMOTION_KIND_HAPPY, EMOTION_KIND_ANGRY))
        yaw = self._random.uniform(-0.15, 0.15)
        await self._stream.control(
            Control(emotion=Emotion(kind=kind, intensity=0.7), pose=HeadPose(yaw=yaw), head_motion=1.0)
        )


def opened(client: AvatarClient, speech: Speech) -> AvatarStream:
    """Return a LIVE session, not yet entered."""
    return client.stream(
        asset_path("astronaut.png").read_bytes(),
        audio=AudioFormat(encoding=AUDIO_ENCODING_LINEAR16, sample_rate_hz=speech.rate_hz),
        mode=SESSION_MODE_LIVE,
        generation=GenerationParameters(preset=PRESET_LOWEST_LATENCY),
    )


async def first_frame_ms(client: AvatarClient, speech: Speech) -> float:
    """Return the median time to the first frame, the worker having seen the portrait."""
    found = []
    for _ in range(OPENINGS):
        began = time.monotonic()
        async with opened(client, speech) as stream:
            async for response in stream:
                if response.HasField("video"):
                    break
            found.append(1000 * (time.monotonic() - began))
        await asyncio.sleep(0.1)
    return statistics.median(found[1:])


async def idle_cpu_ms(server: LoadedServer, client: AvatarClient, speech: Speech) -> float:
    """Return what an idle frame costs the server."""
    async with opened(client, speech) as stream, asyncio.timeout(60):
        frames, before = 0, sum(server.cpu_s())
        began = time.monotonic()
        async for response in stream:
            frames += response.HasField("video")
            if time.monotonic() - began > IDLE_S:
                break
    return 1000 * (sum(server.cpu_s()) - before) / frames


async def conversation(server: LoadedServer, client: AvatarClient, seconds: float, speech: Speech) -> dict[str, Any]:
    """Return the figures of one long session."""
    watch, memory = Watch(), []

    async def weigh() -> None:
        while True:
            memory.append((time.monotonic(), server.resident_bytes()))
            await asyncio.sleep(SAMPLED_EVERY_S)

    cpu = sum(server.cpu_s())
    async with opened(client, speech) as stream, asyncio.TaskGroup() as tasks:
        talking = tasks.create_task(Talker(stream, watch, speech, seed=7).talk(seconds))
        weighing = tasks.create_task(weigh())
        async for response in stream:
            watch.see(response, time.monotonic())
        await talking
        weighing.cancel()
    return figures(watch) | {
        "cpu_ms_per_frame": round(1000 * (sum(server.cpu_s()) - cpu) / len(watch.arrivals), 2),
        "rss_slope_mib_per_h": round(slope(memory[len(memory) // 2 :]) * 3600 / 2**20, 2),
    }


def slope(points: list[tuple[float, int]]) -> float:
    """Return the slope of the straight line through points."""
    times, values = np.array(points, float).T
    return float(np.polyfit(times - times[0], values, 1)[0])


def over_webrtc(seconds: float) -> dict[str, Any]:
    """Return the figures of a conversation in a browser; ``None`` for each where there is none."""
    if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
        print("chromium with its driver is not installed: nothing is measured over WebRTC", file=sys.stderr)
        return dict.fromkeys(WEBRTC)
    found = asyncio.run(webrtc.run("portrait", min(seconds, WEBRTC_S), None))
    return {name: found[name] for name in WEBRTC}


async def measured(seconds: float) -> dict[str, Any]:
    """Return all figures."""
    speech = Speech.sample()
    async with loaded_server("--capacity", "2") as server, AvatarClient(server.target) as client:
        first = await first_frame_ms(client, speech)
        idle = await idle_cpu_ms(server, client, speech)
        found = await conversation(server, client, seconds, speech)
    return {"first_frame_ms": round(first, 1), "idle_cpu_ms_per_frame": round(idle, 2), **found}


def main() -> None:
    """Measure, write the results, and print them as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--no-save", action="store_true", help="leave the results as they are")
    arguments = parser.parse_args()
    report = {
        "benchmark": "live",
        "commit": commit(),
        **machine(),
        "seconds": arguments.seconds,
        **asyncio.run(measured(arguments.seconds)),
        **over_webrtc(arguments.seconds),
    }
    if not arguments.no_save:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "live.json").write_text(json.dumps(report, indent=2) + "\n")
    sys.stderr.flush()
    print(json.dumps(report))


if __name__ == "__main__":
    main()

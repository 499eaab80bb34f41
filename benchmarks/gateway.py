"""Measures the gateway on this machine, through a real browser: how late a viewer sees a frame, and how well it plays.

A session of the fake engine, which draws a frame's number into it, is fed at the pace of speech, 100 ms at a time, and
watched by headless Chromium: with hls.js in low-latency mode, and as a live MP4. The page reads the number from each
picture that it shows. A frame's latency is the moment when it is shown minus the moment when its first sample was
spoken, so it includes the wait for a chunk to fill. Beside the browser the playlist is reloaded all the time and
checked against the rules of HLS. Then sound and picture are compared at the end of long takes.

The last line is one JSON object; the same goes to ``benchmarks/results/gateway.json``.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import av
import httpx
import numpy as np
from hls_rules import Reloads
from PIL import Image
from provenance import commit
from viewer_site import Site

from avatar_service.assets import asset_path
from avatar_service.commands.bench import machine
from avatar_service.commands.load import Speech, await_port, free_port, loaded_server

RESULTS: Final = Path(__file__).parent / "results"
API: Final = "/api/audio-driven/chunked"
RATE_HZ: Final = 24_000
CHUNK_S: Final = 0.1
CHROMIUM: Final = (
    *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"),
    "--disable-background-networking",
)
BEFORE_S: Final = 4.0
"""What the browser gets to start before the first feed."""

AFTER_S: Final = 3.0
BURST_FRAME: Final = 10
"""In each second of the speech for the skew this frame and the next one have sound, all others silence."""


@asynccontextmanager
async def gateway(engine: str, site: Site) -> AsyncIterator[httpx.AsyncClient]:
    """Run a service and a gateway in processes of their own, and yield a client of the gateway."""
    async with loaded_server("--engine", engine, "--capacity", "4") as server:
        port = free_port()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "avatar_service", "gateway", "--server", server.target, "--host", "127.0.0.1"),
            *("--port", str(port), "--cors-origin", f"http://127.0.0.1:{site.port}"),
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await await_port(port, process)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                yield client
        finally:
            process.terminate()
            await process.wait()


async def opened(client: httpx.AsyncClient, portrait: bytes) -> dict[str, Any]:
    """Open a session whose avatar is warm: another one with the same portrait was there before."""
    for _ in range(2):
        answer = await client.post(f"{API}/init", files={"image": ("portrait", portrait)})
        answer.raise_for_status()
        session: dict[str, Any] = answer.json()
        if _ == 0:
            await client.delete(f"{API}/session/{session['session_id']}")
    return session


async def feed(client: httpx.AsyncClient, session: str, pcm: bytes, *, final: bool = False) -> None:
    """Feed raw samples, again and again while the gateway has no room for them."""
    while True:
        answer = await client.post(
            f"{API}/feed",
            data={"session_id": session, "is_final_chunk": str(final)},
            files={"audio_chunk": ("chunk", pcm, "audio/pcm")},
        )
        if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
            answer.raise_for_status()
            return
        await asyncio.sleep(float(answer.headers["retry-after"]))


async def speak(client: httpx.AsyncClient, session: str, seconds: float) -> float:
    """Feed at the pace of speech, to the final chunk; return when the first sample was spoken."""
    speech = Speech.sample()
    rate_hz = speech.rate_hz
    spoken = time.time()  # noqa: TID251 - compared with what the browser's clock says
    began = time.monotonic()
    count = round(CHUNK_S * rate_hz)
    chunks = round(seconds / CHUNK_S)
    for number in range(chunks):
        await asyncio.sleep(max(0.0, began + (number + 1) * CHUNK_S - time.monotonic()))
        chunk = speech.piece(number * count, count)
        answer = await client.post(
            f"{API}/feed",
            data={"session_id": session, "is_final_chunk": str(number == chunks - 1)},
            files={"audio_chunk": ("chunk", chunk, f"audio/pcm;rate={rate_hz}")},
        )
        answer.raise_for_status()
    return spoken


async def check(client: httpx.AsyncClient, hls_url: str, reloads: Reloads) -> None:
    """Reload the playlist, blocking, until told to stop."""
    media = reloads.check((await client.get(hls_url)).text, time.monotonic())
    while not media.ended:
        number, part = media.edge
        answer = await client.get(hls_url, params={"_HLS_msn": number, "_HLS_part": part})
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:  # no more audio is waiting
            return
        media = reloads.check(answer.text, time.monotonic(), audio_waits=True)


async def watched(engine: str, mode: str, seconds: float) -> dict[str, Any]:
    """Have a browser watch a session that is spoken to; return what it saw and how valid the playlist was."""
    site = Site()
    site.start()
    portrait = asset_path("astronaut.png").read_bytes()
    async with gateway(engine, site) as client:
        session = await opened(client, portrait)
        source = f"{client.base_url}{session['hls_url' if mode == 'hls' else 'live_url']}"
        page = f"http://127.0.0.1:{site.port}/viewer.html?mode={mode}&seconds={BEFORE_S + seconds + AFTER_S}"
        reloads = Reloads()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            browser = await asyncio.create_subprocess_exec(
                *(*CHROMIUM, f"--user-data-dir={profile}", f"{page}&source={quote(source, safe='')}"),
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                await asyncio.sleep(BEFORE_S)
                checking = asyncio.create_task(check(client, session["hls_url"], reloads))
                began = await speak(client, session["session_id"], seconds)
                while not site.reports:
                    await asyncio.sleep(0.1)
                await checking
            finally:
                browser.kill()
                await browser.wait()
    report = site.reports[0]
    # The fake engine's number is in the picture; of another engine's frame only the media time is known.
    shown = [
        (at / 1000 - began, number if engine == "fake" else media_s * 25) for at, media_s, number in report["pictures"]
    ]
    latencies = sorted(at - number / 25 for at, number in shown)
    return {
        "latency_s": round(statistics.median(latencies), 3),
        "latency_p99_s": round(latencies[int(0.99 * (len(latencies) - 1))], 3),
        "first_picture_s": round(shown[0][0], 3),
        "pictures": len(shown),
        "fed_frames": round(seconds * 25),
        "loudest": round(report["loudest"], 3),
        "fatal": report["fatal"],
        "stalls": report["stalls"],
        "waits": report["waiting"],
        "errors": report["errors"],
        "reloads": reloads.count,
        "violations": reloads.violations,
    }


async def skew_ms(seconds: int) -> dict[str, float]:
    """Return how far sound and picture are apart at the end of a take, and how fast it was made."""
    content = io.BytesIO()
    Image.new("RGB", (128, 128), (90, 90, 90)).save(content, "PNG")
    second = np.zeros(RATE_HZ, "<i2")
    start = BURST_FRAME * RATE_HZ // 25
    second[start : start + 2 * RATE_HZ // 25] = 12_000 * np.sin(np.arange(2 * RATE_HZ // 25) / 8)
    chunk = np.tile(second, 10).tobytes()
    async with gateway("fake", Site()) as client:
        session = (await opened(client, content.getvalue()))["session_id"]
        began = time.monotonic()
        for number in range(seconds // 10):
            await feed(client, session, chunk, final=number == seconds // 10 - 1)
        while (standing := (await client.get(f"{API}/status/{session}")).json())["status"] != "complete":
            await asyncio.sleep(0.2)
        wall_s = time.monotonic() - began
        with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
            async with client.stream("GET", f"/api/hls/{session}/download") as answer:
                async for piece in answer.aiter_bytes():
                    file.write(piece)
            file.flush()
            seen_s, heard_s = await asyncio.to_thread(_last_burst, file.name, seconds)
    assert standing["total_frames_generated"] == 25 * seconds, standing
    return {"skew_ms": round(1000 * (heard_s - seen_s), 2), "real_time_factor": round(seconds / wall_s, 1)}


def _last_burst(path: str, seconds: int) -> tuple[float, float]:
    """Return when the last burst of a take is seen and when it is heard."""
    seen_s = heard_s = -1.0
    with av.open(path) as container:
        container.seek(int((seconds - 3) * av.time_base))
        was_red = was_loud = True
        for frame in container.decode():
            if isinstance(frame, av.VideoFrame):
                strip = frame.to_ndarray(format="rgb24")[60:70, -4].mean(axis=0)
                is_red = bool(strip[0] > strip[1] + 60)
                if is_red and not was_red:
                    seen_s = float(frame.time)
                was_red = is_red
            elif isinstance(frame, av.AudioFrame):
                loud = np.flatnonzero(np.abs(frame.to_ndarray().reshape(-1)) > 0.1)
                if loud.size and not was_loud:
                    heard_s = float(frame.time) + loud[0] / frame.sample_rate
                was_loud = bool(loud.size)
    return seen_s, heard_s


async def measure(seconds: float) -> dict[str, Any]:
    """Return all figures."""
    hls = await watched("fake", "hls", seconds)
    live = await watched("fake", "live", min(seconds, 30.0))
    portrait_hls = await watched("portrait", "hls", min(seconds, 20.0))
    portrait_live = await watched("portrait", "live", min(seconds, 20.0))
    minute, hour = await skew_ms(60), await skew_ms(3600)
    violations = [each for run in (hls, live, portrait_hls, portrait_live) for each in run["violations"]]
    return {
        "hls_latency_s": hls["latency_s"],
        "live_latency_s": live["latency_s"],
        "first_picture_s": portrait_live["first_picture_s"],
        "av_skew_ms_60s": minute["skew_ms"],
        "av_skew_ms_1h": hour["skew_ms"],
        "hls_reloads": sum(run["reloads"] for run in (hls, live, portrait_hls, portrait_live)),
        "hls_violations": len(violations),
        "hlsjs_fatal": hls["fatal"],
        "hlsjs_stalls": hls["stalls"],
        "details": {
            "hls": hls,
            "live": live,
            "portrait_hls": portrait_hls,
            "portrait_live": portrait_live,
            "real_time_factor_1h": hour["real_time_factor"],
        },
        "machine": machine(),
        "commit": commit(),
    }


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="of speech that hls.js plays")
    figures = asyncio.run(measure(parser.parse_args().seconds))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "gateway.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

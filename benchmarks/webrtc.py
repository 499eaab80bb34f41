"""Measures a conversation over WebRTC: the page in headless Chromium, with a sound file as its microphone.

``measure`` does it and returns the figures, which mean:

- ``webrtc_latency_ms``: mouth to eye. How far what the picture shows is behind the microphone, both as the browser has
  them: where the loudness of the microphone and the openness of the mouth agree best.
- ``webrtc_sound_latency_ms``: the same of the avatar's sound, where it leaves the browser's buffers.
- ``webrtc_fps``: frames shown, over the time between the first and the last.
- ``webrtc_av_skew_ms``: 95th percentile of the distance of sound and picture, as the browser plays them out by the
  sender's clock.
- ``webrtc_mouth_lag_ms``: the picture behind the sound, where both agree best; the engine's own lag is within it.
- ``webrtc_freezes``: times that no frame was shown for more than 200 ms.

The portrait engine's mouth is looked at; with the engine ``fake`` the bar that it draws of the sound's level, which has
no lag of its own. The last line is one JSON object; the same goes to ``benchmarks/results``.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import shutil
import sys
import tempfile
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from provenance import commit
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from avatar_service.assets import asset_path
from avatar_service.commands.bench import machine
from avatar_service.commands.load import await_port, free_port, loaded_server
from avatar_service.engine.portrait.landmarks import FaceFinder
from avatar_service.recording import read_recording

RESULTS: Final = Path(__file__).parent / "results"
METER: Final = Path(__file__).with_name("webrtc_meter.js")
FLAGS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"),
    *("--disable-background-networking", "--window-size=1280,900"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
)
WITHIN_S: Final = 30
SETTLE_S: Final = 10.0
"""What the browser gets to bring sound and picture into step, which it does little by little."""
FREEZE_MS: Final = 200
GRID_MS: Final = 10
LONGEST_MS: Final = 1500
LIPS: Final = (13, 14, 78, 308)
"""The face mesh's inner lips: top, bottom, left, right."""
BAR: Final = (0.95, 0.5, 0.05, 0.5)
"""Where the fake engine draws the sound's level."""

Series = NDArray[np.float64]


@contextmanager
def chromium(speech: Path) -> Iterator[webdriver.Chrome]:
    """Run headless Chromium whose microphone plays a WAV file, again and again."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for flag in (*FLAGS, f"--use-file-for-fake-audio-capture={speech}"):
        options.add_argument(flag)
    with webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver"))) as browser:
        yield browser


def measure(
    url: str, seconds: float, speech: Path, *, is_fake: bool = False, picture: Path | None = None
) -> dict[str, Any]:
    """Return the figures of a conversation.

    Args:
        url: of a gateway with a free slot, on this machine.
        seconds: to measure.
        speech: WAV file of somebody who speaks, with pauses.
        is_fake: whether the engine is ``fake``.
        picture: where a screenshot is to go.
    """
    with chromium(speech) as browser:
        browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": METER.read_text()})
        browser.set_script_timeout(WITHIN_S)
        browser.get(url)
        browser.find_element(By.CSS_SELECTOR, 'label:has(input[value="talk"])').click()
        browser.find_element(By.CSS_SELECTOR, 'label:has(input[value="lowest_latency"])').click()
        browser.find_element(By.ID, "start").click()
        shown = browser.find_element(By.ID, "talk-figures")
        WebDriverWait(browser, WITHIN_S).until(lambda _: not shown.get_property("hidden"))
        time.sleep(SETTLE_S)
        browser.execute_script("meter.start(arguments[0])", BAR if is_fake else mouth(browser))
        time.sleep(seconds)
        seen = browser.execute_script("const { microphone, connection, ...seen } = meter; return seen")
        if picture is not None:
            browser.save_screenshot(str(picture))
        first_s = float(browser.find_element(By.ID, "talk-first").text.removesuffix(" s"))
        browser.find_element(By.ID, "finish").click()
    return {"webrtc_first_picture_ms": round(1000 * first_s), **figures(seen, is_fake=is_fake)}


def mouth(browser: webdriver.Chrome) -> tuple[float, float, float, float]:
    """Return where the inner lips are in the picture that is shown: x, y, width, height as shares of it."""
    script = """
        const video = document.getElementById("video");
        const canvas = Object.assign(document.createElement("canvas"), { width: 512, height: 512 });
        canvas.getContext("2d").drawImage(video, 0, 0, 512, 512);
        return canvas.toDataURL("image/png");
    """
    content = base64.b64decode(browser.execute_script(script).partition(",")[2])
    (face,) = FaceFinder().find(np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), np.uint8))
    points = face.points[list(LIPS), :2] / 512
    width = float(points[3, 0] - points[2, 0]) * 0.6
    x = float(points[2:, 0].mean()) - width / 2
    y = float(points[:2, 1].mean())
    return (x, y - width * 0.1, width, width * 0.7)


def figures(seen: dict[str, Any], *, is_fake: bool) -> dict[str, Any]:
    """Return what the meter's notes come to."""
    pictures, sounds = np.array(seen["pictures"]), np.array(seen["sounds"])
    times = pictures[:, 0]
    gaps = np.diff(times)
    grid = np.arange(max(times[0], sounds[0, 0]), min(times[-1], sounds[-1, 0]), GRID_MS)
    said, heard = (np.interp(grid, sounds[:, 0], sounds[:, column]) for column in (1, 2))
    place = np.searchsorted(times, grid, side="right") - 1
    openness = pictures[place, 3] if is_fake else -pictures[place, 2]
    latency, alike = lag(said, openness)
    sound_latency, _ = lag(said, heard)
    half = LONGEST_MS // 2
    mouth_lag, _ = lag(heard, np.roll(openness, half // GRID_MS))
    shown = pictures[-1, 4] - pictures[0, 4]
    return {
        "webrtc_latency_ms": round(latency),
        "webrtc_latency_alike": round(alike, 3),
        "webrtc_sound_latency_ms": round(sound_latency),
        "webrtc_fps": round(1000 * shown / (times[-1] - times[0]), 3),
        "webrtc_av_skew_ms": round(float(np.percentile(np.abs(seen["playouts"]), 95)), 1) if seen["playouts"] else None,
        "webrtc_mouth_lag_ms": round(mouth_lag - half),
        "webrtc_freezes": int((gaps > FREEZE_MS).sum()),
        "webrtc_longest_gap_ms": round(float(gaps.max())),
        "webrtc_frames_missing": missing(pictures[:, 1]),
        "seconds": round((times[-1] - times[0]) / 1000, 1),
    }


def missing(rtp_times: Series) -> int:
    """Return how many places of the 25 fps grid had no frame that was looked at."""
    steps = np.diff(rtp_times.astype(np.int64)) % 2**32 / 3600
    return int(np.maximum(np.round(steps) - 1, 0).sum())


def lag(early: Series, late: Series) -> tuple[float, float]:
    """Return by how many milliseconds ``late`` is behind ``early``, and how much they are alike there."""
    shifts = range(LONGEST_MS // GRID_MS)
    alike = [np.corrcoef(early[: early.size - shift], late[shift:])[0, 1] for shift in shifts]
    best = int(np.argmax(alike))
    return best * GRID_MS, float(alike[best])


def speech_file(folder: Path, seconds: float = 30.0) -> Path:
    """Write the sample speech with pauses of 1.5 s behind it, at 48 kHz as Chromium wants it."""
    recording = read_recording(asset_path("astronaut.png").with_name("speech.wav").read_bytes())
    rate_hz = recording.sample_rate_hz
    once = np.concatenate([recording.samples, np.zeros(round(1.5 * rate_hz), np.int16)])
    path = folder / "speech.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(np.tile(once, max(1, round(seconds * rate_hz / once.size))).tobytes())
    return path


async def run(engine: str, seconds: float, picture: Path | None) -> dict[str, Any]:
    """Start service and gateway, and measure a conversation with them."""
    async with loaded_server("--engine", engine, "--capacity", "1") as server:
        port = free_port()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "avatar_service", "gateway", "--server", server.target, "--host", "127.0.0.1"),
            *("--port", str(port)),
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await await_port(port, process)
            with tempfile.TemporaryDirectory() as folder:
                speech = speech_file(Path(folder))
                url = f"http://localhost:{port}/"
                return await asyncio.to_thread(measure, url, seconds, speech, is_fake=engine == "fake", picture=picture)
        finally:
            process.terminate()
            await process.wait()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--engine", default="portrait")
    parser.add_argument("--screenshot", type=Path)
    parser.add_argument("--no-save", action="store_true", help="leave the results as they are")
    options = parser.parse_args()
    found = asyncio.run(run(options.engine, options.seconds, options.screenshot))
    result = {**found, "engine": options.engine, "machine": machine(), "commit": commit()}
    if not options.no_save:
        name = "webrtc.json" if options.engine == "portrait" else f"webrtc-{options.engine}.json"
        (RESULTS / name).write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()

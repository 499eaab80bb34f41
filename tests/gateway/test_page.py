"""The page in a real browser, in front of the service as it is shipped: what a visitor does, sees and hears."""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from avatar_service.assets import asset_path
from avatar_service.engine.portrait.landmarks import FaceFinder
from tests.gateway.test_app import free_port, health, running

pytestmark = pytest.mark.alone

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--window-size=1280,900",
)
WITHIN_S = 20
LIP = 13
"""The face mesh's point in the middle of the upper lip's inner edge."""

WATCH = """
    const done = arguments[arguments.length - 1];
    const video = document.getElementById("video");
    const canvas = Object.assign(document.createElement("canvas"), { width: 512, height: 512 });
    const looks = [];
    const timer = setInterval(() => {
      canvas.getContext("2d").drawImage(video, 0, 0, 512, 512);
      looks.push({ atS: performance.now() / 1000, mediaS: video.currentTime, picture: canvas.toDataURL("image/jpeg") });
      if (looks.length < 30) return;
      clearInterval(timer);
      done({ looks, soundBytes: video.webkitAudioDecodedByteCount, muted: video.muted || video.volume === 0 });
    }, 150);
"""


@dataclass(frozen=True)
class Visit:
    """What a visitor saw and heard.

    Attributes:
        looks: at the playing video, one about every 150 ms: when, the media's time, the picture.
        sound_bytes: of sound that the browser decoded.
        is_muted: whether it was silenced.
        state: what the page says at the end.
        first_picture: the page's figure, as it is shown.
        download_url: where the page offers the take.
        complaints: in the browser's console.
    """

    looks: list[dict[str, Any]]
    sound_bytes: int
    is_muted: bool
    state: str
    first_picture: str
    download_url: str
    complaints: list[str]

    @property
    def pictures(self) -> NDArray[np.float32]:
        """What was shown at each look, ``[n, 512, 512, 3]``."""
        contents = [base64.b64decode(look["picture"].partition(",")[2]) for look in self.looks]
        return np.stack([np.asarray(Image.open(io.BytesIO(content)), np.float32) for content in contents])


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    """A headless Chromium."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium with its driver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in FLAGS:
        options.add_argument(flag)
    with webdriver.Chrome(options, webdriver.ChromeService(driver)) as chrome:
        yield chrome


@pytest.fixture(scope="module")
def visit(browser: webdriver.Chrome) -> Visit:
    """Someone who opens the page, has the sample portrait say a sound file of his own, and watches to the end."""
    port, grpc_port = free_port(), free_port()
    options = ("--port", str(grpc_port), "--gateway-port", str(port), "--workers", "1", "--capacity", "1")
    with running("serve", "--host", "127.0.0.1", *options, "--drain-grace", "0.1") as server:
        health(port)
        browser.get(f"http://127.0.0.1:{port}/")
        seen = _speak(browser, asset_path("astronaut.png").with_name("speech.wav"))
        server.terminate()
        server.wait(20)
    return seen


def _speak(browser: webdriver.Chrome, speech: Path) -> Visit:
    wait = WebDriverWait(browser, WITHIN_S, poll_frequency=0.05)
    _choose(browser, "portrait", "sample")
    _choose(browser, "speech", "file")
    browser.find_element(By.ID, "speech-file").send_keys(str(speech))
    browser.find_element(By.ID, "start").click()
    wait.until(lambda _: _state(browser) in {"live", "failed"})
    watched = browser.execute_async_script(WATCH)
    wait.until(lambda _: _state(browser) in {"finished", "failed"})
    return Visit(
        looks=watched["looks"],
        sound_bytes=watched["soundBytes"],
        is_muted=watched["muted"],
        state=_state(browser),
        first_picture=browser.find_element(By.ID, "first").text,
        download_url=browser.find_element(By.ID, "download").get_attribute("href") or "",
        complaints=[each["message"] for each in browser.get_log("browser") if each["level"] == "SEVERE"],
    )


def _choose(browser: webdriver.Chrome, name: str, value: str) -> None:
    browser.find_element(By.CSS_SELECTOR, f'label:has(input[name="{name}"][value="{value}"])').click()


def _state(browser: webdriver.Chrome) -> str:
    return browser.find_element(By.ID, "state").get_attribute("data-state") or ""


def test_the_video_plays_to_its_end(visit: Visit) -> None:
    """The page says so, offers the take, and the browser has nothing to complain of."""
    assert visit.state == "finished"
    assert visit.first_picture.endswith(" s")
    assert visit.download_url.endswith("/download")
    assert not visit.complaints


def test_the_sound_is_played(visit: Visit) -> None:
    """The browser decodes it, and it is not muted."""
    assert visit.sound_bytes > 0
    assert not visit.is_muted


def test_the_media_runs_as_fast_as_the_clock(visit: Visit) -> None:
    """Between the first look and the last as much of the media passes as of the time."""
    first, last = visit.looks[0], visit.looks[-1]
    assert last["mediaS"] - first["mediaS"] == pytest.approx(last["atS"] - first["atS"], rel=0.15)


def test_the_mouth_moves_and_what_is_behind_the_person_does_not(visit: Visit) -> None:
    """Around the lips the pictures differ much, in the upper corners of the frame hardly."""
    pictures = visit.pictures
    (face,) = FaceFinder().find(pictures[0].astype(np.uint8))
    x, y = face.points[LIP, :2].astype(int)
    half = int(face.width / 8)
    changes = pictures.std(axis=0).mean(axis=-1)
    at_mouth = changes[y - half : y + half, x - half : x + half].mean()
    in_corners = np.concatenate([changes[:32, :32], changes[:32, -32:]]).mean()
    assert at_mouth > 5
    assert at_mouth > 3 * in_corners

"""The page's conversation in a real browser, with a sound file as its microphone, in front of the fake engine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.gateway.conftest import tone, wav
from tests.gateway.test_app import free_port, health, running
from tests.gateway.test_page import FLAGS

WITHIN_S = 20


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    """Service and gateway with the fake engine."""
    port, grpc_port = free_port(), free_port()
    options = ("--port", str(grpc_port), "--gateway-port", str(port), "--engine", "fake", "--capacity", "1")
    with running("serve", "--host", "127.0.0.1", *options, "--drain-grace", "0.1") as server:
        health(port)
        yield f"http://127.0.0.1:{port}"
        server.terminate()
        server.wait(20)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A headless Chromium whose microphone says one second and pauses one, again and again."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium with its driver is not installed")
    speech = tmp_path_factory.mktemp("talk") / "speech.wav"
    sound = np.concatenate([tone(1.0, 48_000), np.zeros(48_000 * 3 // 2, np.int16)])
    speech.write_bytes(wav(sound, 48_000))
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    media = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    for flag in (*FLAGS, *media, f"--use-file-for-fake-audio-capture={speech}"):
        options.add_argument(flag)
    with webdriver.Chrome(options, webdriver.ChromeService(driver)) as chrome:
        yield chrome


@pytest.fixture(scope="module")
def talking(browser: webdriver.Chrome, gateway: str) -> webdriver.Chrome:
    """The page, talking, with its figures."""
    browser.get(gateway)
    browser.find_element(By.CSS_SELECTOR, 'label:has(input[value="talk"])').click()
    browser.find_element(By.ID, "start").click()
    wait = WebDriverWait(browser, WITHIN_S, poll_frequency=0.05)
    wait.until(lambda _: state(browser) in {"live", "failed"})
    wait.until(lambda _: text(browser, "talk-behind") != "–")
    return browser


def state(browser: webdriver.Chrome) -> str:
    """Return the page's state."""
    return browser.find_element(By.ID, "state").get_attribute("data-state") or ""


def text(browser: webdriver.Chrome, element: str) -> str:
    """Return what an element says."""
    return browser.find_element(By.ID, element).text


def test_the_avatar_is_seen_and_speaks(talking: webdriver.Chrome) -> None:
    """The picture moves, its figures are shown, and the page says in turn that it listens and speaks."""
    wait = WebDriverWait(talking, WITHIN_S, poll_frequency=0.02)
    assert state(talking) == "live"
    assert text(talking, "talk-first").endswith(" s")
    assert text(talking, "talk-behind").endswith(" ms")
    wait.until(lambda _: text(talking, "state") == "Listening")
    wait.until(lambda _: text(talking, "state") == "Speaking")
    wait.until(lambda _: int(text(talking, "talk-fps")) >= 15)


def test_interrupt_stops_it_and_it_listens_on(talking: webdriver.Chrome) -> None:
    """The button is there while it talks; the next utterance is spoken again."""
    wait = WebDriverWait(talking, WITHIN_S, poll_frequency=0.02)
    wait.until(lambda _: text(talking, "state") == "Listening")
    wait.until(lambda _: text(talking, "state") == "Speaking")
    talking.find_element(By.ID, "interrupt").click()
    wait.until(lambda _: text(talking, "state") == "Listening")
    wait.until(lambda _: text(talking, "state") == "Speaking")


def test_the_end_gives_the_slot_back(talking: webdriver.Chrome, gateway: str) -> None:
    """The page is as before, and the browser has nothing to complain of."""
    talking.find_element(By.ID, "finish").click()
    wait = WebDriverWait(talking, WITHIN_S, poll_frequency=0.05)
    wait.until(lambda _: state(talking) == "idle")
    wait.until(lambda _: _is_free(httpx.get(f"{gateway}/health").json()))
    assert talking.find_element(By.ID, "start").is_displayed()
    assert not talking.find_element(By.ID, "problem").is_displayed()
    assert not [each["message"] for each in talking.get_log("browser") if each["level"] == "SEVERE"]


def _is_free(service: dict[str, int]) -> bool:
    return service["free_sessions"] == service["capacity_sessions"]

"""The JavaScript client's conversation example in a real browser, from another origin, against the real service."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from avatar_service.assets import asset_path
from tests.gateway.conftest import tone, wav
from tests.gateway.test_app import free_port, health, running
from tests.gateway.test_page import FLAGS

pytestmark = pytest.mark.alone

CLIENT = Path(__file__).parents[2] / "clients" / "js"
WITHIN_S = 20
TWICE = """
const [gateway, avatarId, done] = arguments;
const { Conversation } = await import("/src/index.js");
const conversation = new Conversation(gateway);
const shown = [];
for (let time = 0; time < 2; time += 1) {
  const avatar = await conversation.open(null, { avatarId });
  shown.push(avatar.getVideoTracks().length);
  await conversation.close();
}
const opening = conversation.open(null, { avatarId });
await conversation.close();
done([shown, await opening.catch((error) => error.message)]);
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A file server that says nothing."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[str]:
    """The folder of the client, served as its README says."""
    handler = functools.partial(Quiet, directory=str(CLIENT))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def gateway(site: str) -> Iterator[str]:
    """Service and gateway with the fake engine, which lets the site's pages in."""
    port, grpc_port = free_port(), free_port()
    options = ("--port", str(grpc_port), "--gateway-port", str(port), "--engine", "fake", "--capacity", "1")
    environment = {"AVATAR_GATEWAY_CORS_ORIGIN": site}
    with running("serve", "--host", "127.0.0.1", *options, "--drain-grace", "0.1", **environment) as server:
        health(port)
        yield f"http://127.0.0.1:{port}"
        server.terminate()
        server.wait(20)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    """A headless Chromium whose microphone says one second and pauses one and a half, again and again."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium with its driver is not installed")
    speech = tmp_path / "speech.wav"
    speech.write_bytes(wav(np.concatenate([tone(1.0, 48_000), np.zeros(72_000, np.int16)]), 48_000))
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    media = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    for flag in (*FLAGS, *media, f"--use-file-for-fake-audio-capture={speech}"):
        options.add_argument(flag)
    with webdriver.Chrome(options, webdriver.ChromeService(driver)) as chrome:
        yield chrome


def is_free(service: dict[str, int]) -> bool:
    """Say whether no session has a slot."""
    return service["free_sessions"] == service["capacity_sessions"]


def test_the_example_holds_a_conversation(browser: webdriver.Chrome, site: str, gateway: str) -> None:
    """Pictures come, speech is answered by its events, text is said or refused, and the end gives the slot back."""
    browser.get(f"{site}/examples/conversation.html?server={gateway}")
    wait = WebDriverWait(browser, WITHIN_S, poll_frequency=0.02)
    said = browser.find_element(By.ID, "said")
    browser.find_element(By.ID, "start").click()
    wait.until(lambda _: "Choose a picture" in said.text)
    browser.find_element(By.ID, "portrait").send_keys(str(asset_path("astronaut.png")))
    browser.find_element(By.ID, "start").click()
    wait.until(lambda _: browser.execute_script("return document.getElementById('video').videoWidth") == 128)
    assert "Choose a picture" not in said.text
    for word in ("segment_started", "segment_finished", "segment_started"):
        wait.until(lambda _, word=word: said.text == word)
    browser.find_element(By.ID, "interrupt").click()
    wait.until(lambda _: said.text in {"interrupted", "segment_finished", "idle"})
    browser.find_element(By.ID, "say").click()
    wait.until(lambda _: "text" in said.text)
    browser.find_element(By.ID, "end").click()
    wait.until(lambda _: is_free(httpx.get(f"{gateway}/health").json()))
    complaints = [each["message"] for each in browser.get_log("browser") if each["level"] == "SEVERE"]
    assert [each for each in complaints if "/say - Failed" not in each and "favicon" not in each] == []


def test_a_conversation_that_was_ended_may_begin_again(browser: webdriver.Chrome, site: str, gateway: str) -> None:
    """With an avatar that the server keeps; one that is ended while it opens says so and leaves no session."""
    image = {"image": asset_path("astronaut.png").read_bytes()}
    avatar_id = httpx.post(f"{gateway}/api/avatars", files=image).json()["avatar_id"]
    browser.set_script_timeout(WITHIN_S)
    browser.get(f"{site}/examples/conversation.html?server={gateway}")
    script = f"(async () => {{ {TWICE.replace('arguments', 'given')} }})();"
    shown, refusal = browser.execute_async_script(f"const given = [...arguments]; {script}", gateway, avatar_id)
    assert shown == [1, 1]
    assert refusal == "The conversation was ended before it began."
    wait = WebDriverWait(browser, WITHIN_S, poll_frequency=0.02)
    wait.until(lambda _: is_free(httpx.get(f"{gateway}/health").json()))
    complaints = [each["message"] for each in browser.get_log("browser") if each["level"] == "SEVERE"]
    assert [each for each in complaints if "favicon" not in each] == []


def test_the_example_begins_again_after_its_end(browser: webdriver.Chrome, site: str, gateway: str) -> None:
    """Start, End, Start."""
    browser.get(f"{site}/examples/conversation.html?server={gateway}")
    wait = WebDriverWait(browser, WITHIN_S, poll_frequency=0.02)
    browser.find_element(By.ID, "portrait").send_keys(str(asset_path("astronaut.png")))
    for _ in range(2):
        browser.find_element(By.ID, "start").click()
        wait.until(lambda _: browser.find_element(By.ID, "said").text == "segment_started")
        browser.find_element(By.ID, "end").click()
        wait.until(lambda _: is_free(httpx.get(f"{gateway}/health").json()))
        browser.execute_script("document.getElementById('said').value = ''")

"""The page in a real browser, with a sound file as its microphone, in front of the fake engine: choices, text, talk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from tests.gateway.conftest import Movie, tone, wav
from tests.gateway.test_app import free_port, health, running
from tests.gateway.test_page import FLAGS

pytestmark = pytest.mark.alone

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
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
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


def choose(browser: webdriver.Chrome, name: str, value: str) -> None:
    """Click a choice."""
    browser.find_element(By.CSS_SELECTOR, f'label:has(input[name="{name}"][value="{value}"])').click()


def test_a_picture_that_cannot_be_read_is_told_when_it_is_chosen(
    browser: webdriver.Chrome, gateway: str, tmp_path: Path
) -> None:
    """By its name, before anything is sent; one that can be read is shown, and the complaint is gone."""
    broken, whole = tmp_path / "broken.png", tmp_path / "whole.png"
    broken.write_bytes(b"no picture")
    Image.new("RGB", (200, 200), (90, 120, 60)).save(whole)
    browser.get(gateway)
    wait = WebDriverWait(browser, WITHIN_S, poll_frequency=0.05)
    choose(browser, "portrait", "file")
    browser.find_element(By.ID, "portrait-file").send_keys(str(broken))
    wait.until(lambda _: "broken.png cannot be read" in text(browser, "problem"))
    browser.find_element(By.ID, "portrait-file").send_keys(str(whole))
    wait.until(lambda _: text(browser, "portrait-name") == "whole.png")
    assert not browser.find_element(By.ID, "problem").is_displayed()
    assert (browser.find_element(By.ID, "poster").get_attribute("src") or "").startswith("blob:")


def test_a_take_that_is_stopped_can_be_downloaded(browser: webdriver.Chrome, gateway: str) -> None:
    """What a text made of it so far is kept; all figures are in sight; another picture clears the stage."""
    browser.get(gateway)
    wait = WebDriverWait(browser, WITHIN_S, poll_frequency=0.05)
    wait.until(lambda _: browser.find_element(By.CSS_SELECTOR, 'input[value="text"]').is_enabled())
    choose(browser, "speech", "text")
    browser.find_element(By.ID, "text").send_keys("One, two, three, four, five, six, seven, eight, nine, ten. " * 4)
    browser.find_element(By.ID, "start").click()
    wait.until(lambda _: state(browser) in {"live", "failed"})
    bottom = "return document.getElementById('figures').getBoundingClientRect().bottom <= innerHeight"
    assert browser.execute_script(bottom)
    browser.find_element(By.ID, "finish").click()
    wait.until(lambda _: state(browser) == "finished")
    take = httpx.get(browser.find_element(By.ID, "download").get_attribute("href") or "")
    assert len(Movie.decode(take.content).pictures) >= 25
    choose(browser, "portrait", "file")
    assert state(browser) == "idle"
    assert not browser.find_element(By.ID, "figures").is_displayed()
    assert browser.find_element(By.ID, "download").is_displayed()


def test_an_empty_text_is_asked_for_where_it_is_missing(browser: webdriver.Chrome, gateway: str) -> None:
    """Nothing is sent, and the box has the focus."""
    browser.get(gateway)
    wait = WebDriverWait(browser, WITHIN_S, poll_frequency=0.05)
    wait.until(lambda _: browser.find_element(By.CSS_SELECTOR, 'input[value="text"]').is_enabled())
    choose(browser, "speech", "text")
    browser.find_element(By.ID, "start").click()
    assert browser.switch_to.active_element.get_attribute("id") == "text"
    assert browser.find_element(By.ID, "start").is_displayed()
    assert not browser.find_element(By.ID, "problem").is_displayed()
    choose(browser, "speech", "sample")
    assert browser.execute_script("return document.getElementById('form').checkValidity()")


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


def test_what_is_typed_is_said_and_directed(talking: webdriver.Chrome) -> None:
    """The text leaves its box once the server has it; head, gaze and mood reach the service without a complaint."""
    wait = WebDriverWait(talking, WITHIN_S, poll_frequency=0.02)
    box = talking.find_element(By.ID, "text")
    box.send_keys("Hello, this was typed.", Keys.ENTER)
    wait.until(lambda _: not box.get_attribute("value"))
    for slider in ("head-x", "head-y", "gaze-x", "gaze-y"):
        talking.find_element(By.ID, slider).send_keys(Keys.ARROW_RIGHT * 5)
    Select(talking.find_element(By.ID, "mood")).select_by_value("happy")
    talking.find_element(By.ID, "straight").click()
    assert Select(talking.find_element(By.ID, "mood")).first_selected_option.text == "Neutral"
    box.send_keys("?!", Keys.ENTER)
    wait.until(lambda _: "at least one word" in text(talking, "problem"))
    assert box.get_attribute("value") == "?!"
    box.clear()
    box.send_keys("Again.", Keys.ENTER)
    wait.until(lambda _: not talking.find_element(By.ID, "problem").is_displayed())


def test_the_end_gives_the_slot_back(talking: webdriver.Chrome, gateway: str) -> None:
    """The page is as before, and the browser has nothing to complain of."""
    talking.find_element(By.ID, "finish").click()
    wait = WebDriverWait(talking, WITHIN_S, poll_frequency=0.05)
    wait.until(lambda _: state(talking) == "idle")
    wait.until(lambda _: _is_free(httpx.get(f"{gateway}/health").json()))
    assert talking.find_element(By.ID, "start").is_displayed()
    assert not talking.find_element(By.ID, "problem").is_displayed()
    complaints = [each["message"] for each in talking.get_log("browser") if each["level"] == "SEVERE"]
    assert [each for each in complaints if "/say - Failed" not in each] == [], "but for the text without a word"


def _is_free(service: dict[str, int]) -> bool:
    return service["free_sessions"] == service["capacity_sessions"]

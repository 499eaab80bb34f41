"""Text to speech: with the synthesiser itself, and with programs that misbehave in its place."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar_service.errors import AvatarError, FailedPreconditionError, InvalidArgumentError
from avatar_service.gateway.synthesis import MAX_CHARACTERS, MAX_SPEECH_S, Synthesiser

LISTED = "Pty Language Age/Gender VoiceName File\\n 5  en-us  --/M  English  gmw/en-US"


@pytest.fixture
def espeak() -> Synthesiser:
    """The synthesiser."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    return Synthesiser("espeak-ng")


@pytest.fixture
def played(tmp_path: Path) -> Path:
    """A file to which a program in the synthesiser's place writes its process id."""
    return tmp_path / "pid"


def instead(folder: Path, body: str) -> str:
    """Return a program that lists one voice, and does ``body`` when it is to speak."""
    program = folder / "synthesiser"
    program.write_text(f'#!/bin/sh\nif [ "$1" = --voices ]; then printf "{LISTED}\\n"; exit 0; fi\n{body}\n')
    program.chmod(0o755)
    return str(program)


async def test_a_text_becomes_speech(espeak: Synthesiser) -> None:
    """A longer text takes longer, and it is no silence."""
    short, long = await espeak.speak("Hello."), await espeak.speak("Hello, and welcome to this little test of mine.")
    assert 8000 <= short.rate_hz <= 48_000
    assert 0.2 * short.rate_hz < short.samples.size < long.samples.size
    assert np.abs(long.samples).max() > 2000


async def test_voices_are_listed_and_differ(espeak: Synthesiser) -> None:
    """There are many, each language once; another one speaks otherwise."""
    voices = await espeak.voices()
    assert {"en-us", "de", "it"} < {each.language for each in voices}
    assert len({each.language for each in voices}) == len(voices) > 50
    english, german = await espeak.speak("Guten Tag"), await espeak.speak("Guten Tag", "de")
    assert not np.array_equal(english.samples, german.samples)


@pytest.mark.parametrize("voice", ["--help", "klingon", "en; reboot", "../../etc/passwd", "en\0"])
async def test_only_listed_voices_are_taken(espeak: Synthesiser, voice: str) -> None:
    """Nothing else reaches the program's arguments."""
    with pytest.raises(InvalidArgumentError) as caught:
        await espeak.speak("hello", voice)
    assert (caught.value.reason, caught.value.field) == ("VOICE", "voice")


@pytest.mark.parametrize("text", ["", " \n\t", "...!?", "\0\x07\x1b[\u202e", "\U0001f600"])
async def test_a_text_without_a_word_is_refused(espeak: Synthesiser, text: str) -> None:
    """Signs alone are not spoken."""
    with pytest.raises(InvalidArgumentError) as caught:
        await espeak.speak(text)
    assert caught.value.reason == "TEXT_EMPTY"


@pytest.mark.parametrize("text", ["a" * (MAX_CHARACTERS + 1), "7,7," * (MAX_CHARACTERS // 4)])
async def test_a_text_that_is_too_long_is_refused(espeak: Synthesiser, text: str) -> None:
    """By its characters, or by the time that it takes to say."""
    with pytest.raises(InvalidArgumentError) as caught:
        await espeak.speak(text)
    assert caught.value.reason == "TEXT_TOO_LONG"


@given(text=st.text(max_size=MAX_CHARACTERS))
def test_garbage_is_spoken_or_refused(text: str) -> None:
    """Whatever the characters: speech within its bound, or one of our own errors."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")

    async def speak() -> None:
        try:
            chunk = await Synthesiser("espeak-ng").speak(text)
        except InvalidArgumentError:
            return
        assert 0 < chunk.samples.size <= MAX_SPEECH_S * chunk.rate_hz

    asyncio.run(speak())


@pytest.mark.parametrize(
    "text", ["<speak><audio src='/etc/passwd'/>hello</speak>", "[[h@l'oU]] hello", "-f /etc/passwd", "`id` $(id) hello"]
)
async def test_markup_and_options_are_only_text(espeak: Synthesiser, text: str) -> None:
    """They are spoken as they stand, within the bound."""
    assert (await espeak.speak(text)).samples.size


@pytest.mark.parametrize("text", ["[[h@l'oU]] hello", "[[[x]] [ [[y hello"])
async def test_nothing_in_a_text_is_phonemes(tmp_path: Path, text: str) -> None:
    """Texts are words: the sign with which phonemes would begin does not reach the synthesiser."""
    heard = tmp_path / "heard"
    with pytest.raises(AvatarError):
        await Synthesiser(instead(tmp_path, f"cat > {heard}; exit 3")).speak(text)
    assert heard.read_text().endswith(" hello")
    assert "[[" not in heard.read_text()


async def test_without_a_synthesiser_the_reason_is_said() -> None:
    """One that is not installed, or was switched off, has no voices and refuses every text."""
    for program, word in (("no-such-synthesiser", "installed"), ("", "operator")):
        synthesiser = Synthesiser(program)
        assert word in synthesiser.reason
        assert await synthesiser.voices() == ()
        with pytest.raises(FailedPreconditionError) as caught:
            await synthesiser.speak("hello")
        assert caught.value.reason == "NO_SYNTHESISER"


async def test_a_program_that_hangs_is_killed(tmp_path: Path, played: Path) -> None:
    """When its time is over the caller is told to come again, and no process stays."""
    synthesiser = Synthesiser(instead(tmp_path, f"echo $$ > {played}; exec sleep 60"), within_s=0.5)
    with pytest.raises(AvatarError) as caught:
        await synthesiser.speak("hello")
    assert caught.value.reason == "SYNTHESISER_BUSY"
    with pytest.raises(ProcessLookupError):
        os.kill(int(played.read_text()), 0)


async def test_a_program_that_never_stops_writing_is_killed(tmp_path: Path, played: Path) -> None:
    """Its output is bounded, and what there is of it is refused as too long."""
    synthesiser = Synthesiser(instead(tmp_path, f"echo $$ > {played}; printf %44s; exec cat /dev/zero"))
    with pytest.raises(InvalidArgumentError) as caught:
        await synthesiser.speak("hello")
    assert caught.value.reason == "TEXT_TOO_LONG"
    with pytest.raises(ProcessLookupError):
        os.kill(int(played.read_text()), 0)


@pytest.mark.parametrize("body", ["exit 3", "printf RIFF", "kill -9 $$"])
async def test_a_program_that_fails_is_an_error_of_ours(tmp_path: Path, body: str) -> None:
    """Nothing of it leaks."""
    with pytest.raises(AvatarError) as caught:
        await Synthesiser(instead(tmp_path, body)).speak("hello")
    assert caught.value.reason == "SYNTHESIS_FAILED"
    assert str(tmp_path) not in caught.value.message

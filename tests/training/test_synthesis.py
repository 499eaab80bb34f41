"""Synthetic speech knows its sounds and when they are heard."""

from __future__ import annotations

import numpy as np
import pytest

from training.sentences import LANGUAGES, pool, random_text
from training.speech import SAMPLE_RATE_HZ, SILENCE, Utterance
from training.synthesis import HELD_OUT_VOICES, TRAINING_VOICES, Voice, speak
from training.visemes import visemes


def check(spoken: Utterance, seconds: tuple[float, float]) -> None:
    """Check an utterance: its length, its order, and that what it says has a shape."""
    assert seconds[0] < spoken.duration_s < seconds[1]
    assert np.abs(spoken.samples).max() > 0.05
    sounds = [phone for phone in spoken.phones if phone.name != SILENCE]
    end_s = 0.0
    for phone in sounds:
        assert end_s - 1e-6 <= phone.start_s <= phone.end_s <= spoken.duration_s
        end_s = phone.end_s
    assert sum(bool(visemes(phone.name)) for phone in sounds) > 0.9 * len(sounds)


@pytest.mark.usefixtures("espeak_installed")
@pytest.mark.parametrize("language", LANGUAGES)
def test_espeak_reads_every_language(language: str) -> None:
    """A sentence is a few seconds of sounds that the table knows."""
    voice = next(v for v in TRAINING_VOICES if v.language == language and v.synthesizer == "espeak")
    check(speak(pool(language).training[0], voice), (0.8, 15))


@pytest.mark.usefixtures("flite_installed")
@pytest.mark.parametrize("name", ["slt", "kal"])
def test_flite_reads_english(name: str) -> None:
    """Likewise, at whatever rate the voice has."""
    check(speak("My brother may buy a bumpy lamp.", Voice("flite", name, "en")), (0.8, 8))


@pytest.mark.usefixtures("espeak_installed")
def test_sounds_are_where_they_are_heard() -> None:
    """The closures of a sentence full of them are quieter than its vowels."""
    spoken = speak("Papa paid Bob a pipe. Pop up, puppy.", Voice("espeak", "en-us", "en"))

    def level(names: str) -> float:
        spans = [
            spoken.samples[int(p.start_s * SAMPLE_RATE_HZ) : int(p.end_s * SAMPLE_RATE_HZ)]
            for p in spoken.phones
            if p.name[:1] in names
        ]
        return float(np.mean([np.sqrt(np.mean(np.square(span))) for span in spans if span.size]))

    assert level("p") < 0.6 * level("aɑɒʌæeɪ")


@pytest.mark.usefixtures("espeak_installed")
def test_pace_and_pitch_are_obeyed() -> None:
    """A faster voice is done sooner; the same call gives the same sounds."""
    text = pool("en").training[0]
    slow, fast = (speak(text, Voice("espeak", "en-us", "en", pace=pace)).duration_s for pace in (0.8, 1.4))
    assert fast < 0.8 * slow
    voice = Voice("espeak", "en-us+f2", "en")
    once, again = ([phone.name for phone in speak(text, voice).phones] for _ in range(2))
    assert once == again


def test_held_out_voices_and_sentences_are_never_trained_on() -> None:
    """No voice and no sentence is in both."""
    assert not {voice.name for voice in HELD_OUT_VOICES} & {voice.name for voice in TRAINING_VOICES}
    for language in LANGUAGES:
        sentences = pool(language)
        assert sentences.training
        assert not set(sentences.training) & set(sentences.held_out)


def test_random_text_is_made_of_training_sentences() -> None:
    """Shuffled perhaps, but of no word that was kept aside alone."""
    random = np.random.default_rng(0)
    known = {word for sentence in pool("de").training for word in sentence.split()}
    for _ in range(30):
        assert set(random_text("de", random).split()) <= known


@pytest.mark.usefixtures("espeak_installed")
@pytest.mark.parametrize("text", ["", " ", "...", "?!"])
def test_text_without_a_sound_is_no_phones(text: str) -> None:
    """Nothing to read is nothing said."""
    spoken = speak(text, Voice("espeak", "en-us", "en"))
    assert not [phone for phone in spoken.phones if phone.name != SILENCE]

"""Owns the corpus: streams of speech with pauses, recorded in many ways, and what a face does to them.

Everything random comes from one seed, so the same seed and the same Debian packages give the same corpus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar_service.engine.portrait.hearing import BLOCK, OVERLAP, Hearing
from training import augmentation
from training.sentences import pool, random_text
from training.speech import SAMPLE_RATE_HZ, SILENCE, Phone, Samples, Utterance, Voice
from training.synthesis import speak
from training.visemes import RATE_HZ, targets

STREAM_S: Final = 8
FRAMES: Final = STREAM_S * SAMPLE_RATE_HZ // BLOCK
"""Frames of a stream."""
OUTPUTS: Final = 8
"""The columns of ``visemes.NAMES``, and whether somebody speaks."""
FLITE_SHARE: Final = 0.35
"""Of the streams: its voices were people once."""
SPEECHLESS_SHARE: Final = 0.12
"""Of the streams: noise, hum, music, beeps or nothing at all."""
ANTICIPATION_S, LINGERING_S = 0.10, 0.04
"""A face is a speaker's a little longer than it is heard."""
_SPEECHLESS: Final = (
    augmentation.noise,
    augmentation.noise,
    augmentation.hum,
    augmentation.music,
    augmentation.music,
    augmentation.tones,
)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Streams, all of the same length.

    Attributes:
        heard: ``[streams, FRAMES, HEARD]`` float32, blocks that end with each frame.
        wanted: ``[streams, FRAMES, OUTPUTS]`` float32, in the middle of each frame.
    """

    heard: NDArray[np.float32]
    wanted: NDArray[np.float32]


def spoken_stream(voice: Voice, texts: Sequence[str], random: np.random.Generator) -> Utterance:
    """Return ``STREAM_S`` seconds of a voice that reads the texts, with pauses before, between and after."""
    pieces: list[Samples] = []
    phones: list[Phone] = []
    count = 0
    for text in texts:
        pause = round(random.choice([0.1, 0.3, 0.8]) * random.uniform(0.5, 2) * SAMPLE_RATE_HZ)
        said = speak(text, voice)
        start_s = (count + pause) / SAMPLE_RATE_HZ
        phones += [Phone(phone.name, phone.start_s + start_s, phone.end_s + start_s) for phone in said.phones]
        pieces += [np.zeros(pause, np.float32), said.samples]
        count += pause + said.samples.size
        if count >= STREAM_S * SAMPLE_RATE_HZ:
            break
    joined = np.concatenate(pieces)
    return Utterance(joined, tuple(phones))


def wanted_of(utterance: Utterance) -> NDArray[np.float32]:
    """Return what a face does in the middle of each frame, ``[frames, OUTPUTS]``."""
    face = targets(utterance)
    speaking = np.zeros((len(face), 1), np.float32)
    for phone in utterance.phones:
        if phone.name != SILENCE:
            first = max(round((phone.start_s - ANTICIPATION_S) * RATE_HZ), 0)
            speaking[first : round((phone.end_s + LINGERING_S) * RATE_HZ)] = 1
    rows = np.concatenate([face, speaking], axis=1)
    rows = rows[: len(rows) // 4 * 4].reshape(-1, 4, OUTPUTS)
    return np.asarray(rows[:, 1:3].mean(axis=1), np.float32)


def heard_of(samples: Samples) -> NDArray[np.float32]:
    """Return what the net hears of a stream ``[n]``, ``[n // BLOCK, HEARD]``."""
    padded = np.concatenate([np.zeros(OVERLAP, np.float32), samples[: samples.size // BLOCK * BLOCK]])
    return Hearing().hear(padded)[0]


def training_corpus(voices: Sequence[Voice], streams: int, takes: int, seed: int) -> Corpus:
    """Return ``streams`` different streams, each recorded ``takes`` times."""
    random = np.random.default_rng(seed)
    people = [voice for voice in voices if voice.synthesizer == "flite"]
    others = [voice for voice in voices if voice.synthesizer != "flite"]
    rows = []
    for _ in range(streams):
        group = people if random.random() < FLITE_SHARE else others
        spoken = _random_stream(group[random.integers(len(group))], random)
        for _ in range(takes):
            silent = random.random() < SPEECHLESS_SHARE
            rows.append(_speechless(random) if silent else _take(spoken, random))
    return _stacked(rows)


def held_out_corpus(voices: Sequence[Voice], streams: int, seed: int, *, noisy: bool) -> Corpus:
    """Return streams of these voices that read the sentences kept aside, clean or recorded once each."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(streams):
        voice = voices[number % len(voices)]
        texts = [str(text) for text in random.permutation(pool(voice.language).held_out)]
        stream = spoken_stream(voice, texts * 2, random)
        rows.append(_recorded(stream, random) if noisy else _clean(stream))
    return _stacked(rows)


def _random_stream(voice: Voice, random: np.random.Generator) -> Utterance:
    paced = Voice(voice.synthesizer, voice.name, voice.language, random.uniform(0.75, 1.4), random.uniform(0.7, 1.35))
    texts = [random_text(voice.language, random) for _ in range(8)]
    return spoken_stream(paced, texts, random)


def _take(spoken: Utterance, random: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    replayed = augmentation.replayed(spoken, random.uniform(*augmentation.PACE))
    shift = int(random.integers(0, BLOCK))
    samples = np.concatenate([np.zeros(shift, np.float32), replayed.samples])
    shift_s = shift / SAMPLE_RATE_HZ
    phones = tuple(Phone(p.name, p.start_s + shift_s, p.end_s + shift_s) for p in replayed.phones)
    return _recorded(Utterance(samples, phones), random)


def _recorded(spoken: Utterance, random: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    cut = _cut(spoken)
    return heard_of(augmentation.recorded(cut.samples, random)), wanted_of(cut)


def _clean(spoken: Utterance) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    cut = _cut(spoken)
    return heard_of(cut.samples), wanted_of(cut)


def _cut(spoken: Utterance) -> Utterance:
    """Return the first ``STREAM_S`` seconds, filled up with silence."""
    count = STREAM_S * SAMPLE_RATE_HZ
    samples = np.pad(spoken.samples, (0, max(0, count - spoken.samples.size)))[:count]
    return Utterance(samples, tuple(phone for phone in spoken.phones if phone.start_s < STREAM_S))


def _speechless(random: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    count = STREAM_S * SAMPLE_RATE_HZ
    make = _SPEECHLESS[random.integers(len(_SPEECHLESS))]
    gain = 10 ** (random.uniform(-75, -8) / 20)
    sound = make(count, random) * gain + augmentation.noise(count, random) * gain * 10 ** (-random.uniform(0, 40) / 20)
    sound[: random.integers(0, count)] *= random.choice([0, 1])
    samples = np.asarray(np.clip(sound, -1, 1), np.float32)
    return heard_of(samples), np.zeros((FRAMES, OUTPUTS), np.float32)


def _stacked(rows: list[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> Corpus:
    heard, wanted = zip(*rows, strict=True)
    return Corpus(np.stack(heard), np.stack(wanted))

"""Owns what happens to a voice between a mouth and a microphone: room, microphone, telephone, noise, level."""

from __future__ import annotations

from typing import Final

import numpy as np

from training.speech import SAMPLE_RATE_HZ, Phone, Samples, Utterance

PACE: Final = (0.86, 1.16)
"""Played slower or faster: other tempo, other pitch, other length of the vocal tract."""
NOISE_DB: Final = (5.0, 45.0)
"""From voice to noise."""
LEVEL_DB: Final = (-44.0, -12.0)
"""Of the voice, relative to full scale."""
HUM_SHARE, OVERDRIVEN_SHARE, TELEPHONE_SHARE, ROOM_SHARE = 0.1, 0.05, 0.15, 0.5
"""Of all recordings."""
SWELLING_SHARE, DRUM_SHARE, SQUARE_SHARE, PAUSING_SHARE = 0.3, 0.5, 0.5, 0.5
"""Of the noises, the beats, and the tones."""
_TELEPHONE_HZ: Final = (300, 3600)


def replayed(utterance: Utterance, pace: float) -> Utterance:
    """Return the utterance played ``pace`` times as fast."""
    count = round(utterance.samples.size / pace)
    spectrum = np.fft.rfft(utterance.samples)
    resampled = np.fft.irfft(_fitted(spectrum, count // 2 + 1), count) * (count / utterance.samples.size)
    phones = tuple(Phone(phone.name, phone.start_s / pace, phone.end_s / pace) for phone in utterance.phones)
    return Utterance(np.asarray(resampled, np.float32), phones)


def recorded(samples: Samples, random: np.random.Generator) -> Samples:
    """Return what some microphone in some room makes of a voice ``[n]``; as long, and clipped at full scale."""
    voice_power = float(np.mean(np.square(samples))) + 1e-9
    sound = _filtered(samples, random)
    sound += noise(sound.size, random) * np.sqrt(voice_power) * 10 ** (-random.uniform(*NOISE_DB) / 20)
    if random.random() < HUM_SHARE:
        sound += hum(sound.size, random) * np.sqrt(voice_power) * 10 ** (-random.uniform(10, 40) / 20)
    gain = 10 ** (random.uniform(*LEVEL_DB) / 20) / np.sqrt(voice_power)
    if random.random() < OVERDRIVEN_SHARE:
        gain *= 6
    return np.asarray(np.clip(sound * gain, -1, 1), np.float32)


def noise(count: int, random: np.random.Generator) -> Samples:
    """Return noise ``[count]`` of mean square 1: white to brown, at times swelling."""
    spectrum = np.fft.rfft(random.standard_normal(count))
    octaves = np.log2(np.maximum(_frequencies(count), 50) / 50)
    sound = np.fft.irfft(spectrum * 10 ** (-random.uniform(0, 7) * octaves / 20), count)
    if random.random() < SWELLING_SHARE:
        rate = random.uniform(0.2, 4)
        swell = 1 + 0.7 * np.sin(2 * np.pi * (rate * np.arange(count) / SAMPLE_RATE_HZ + random.random()))
        sound *= swell
    return np.asarray(sound / (np.sqrt(np.mean(np.square(sound))) + 1e-9), np.float32)


def hum(count: int, random: np.random.Generator) -> Samples:
    """Return the mains' hum ``[count]`` of mean square 1."""
    phase = 2 * np.pi * random.choice([50.0, 60.0]) * np.arange(count) / SAMPLE_RATE_HZ
    sound = sum(np.sin(number * phase + random.uniform(0, 6)) / number for number in range(1, 8))
    return np.asarray(sound / np.sqrt(np.mean(np.square(sound))), np.float32)


def tones(count: int, random: np.random.Generator) -> Samples:
    """Return beeps ``[count]`` of mean square 1: sines or square waves, held for a moment or without end."""
    time = np.arange(count) / SAMPLE_RATE_HZ
    held_s = random.choice([0.2, 0.6, 2.0, 100.0])
    pitches_hz = np.exp(random.uniform(np.log(70), np.log(3000), int(time[-1] / held_s) + 1))
    beep = (time / held_s).astype(int)
    sound = np.sin(2 * np.pi * np.cumsum(pitches_hz[beep]) / SAMPLE_RATE_HZ)
    if random.random() < SQUARE_SHARE:
        sound = np.sign(sound)
    if random.random() < PAUSING_SHARE:
        sound *= beep % 2
    return np.asarray(sound / (np.sqrt(np.mean(np.square(sound))) + 1e-9), np.float32)


def music(count: int, random: np.random.Generator) -> Samples:
    """Return chords and beats ``[count]`` of mean square 1, which no mouth makes."""
    time = np.arange(count) / SAMPLE_RATE_HZ
    sound = np.zeros(count)
    beat_s, start_s = random.uniform(0.2, 0.8), 0.0
    scale = 110 * 2 ** (np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16, 19, 24]) / 12) * random.uniform(0.7, 1.4)
    while start_s < time[-1]:
        age = np.maximum(time - start_s, 0)
        envelope = (time >= start_s) * np.exp(-age / random.uniform(0.1, 0.8)) * np.minimum(age / 0.01, 1)
        for pitch_hz in random.choice(scale, random.integers(1, 4)):
            for number in range(1, random.integers(3, 8)):
                sound += envelope * np.sin(2 * np.pi * number * pitch_hz * time) / number ** random.uniform(1, 2)
        if random.random() < DRUM_SHARE:
            sound += random.uniform(0.2, 1.5) * random.standard_normal(count) * (age > 0) * np.exp(-age / 0.04)
        start_s += beat_s * random.choice([0.5, 1, 1, 2])
    return np.asarray(sound / np.sqrt(np.mean(np.square(sound))), np.float32)


def _filtered(samples: Samples, random: np.random.Generator) -> Samples:
    """Return the voice through peaks and dips, at times a telephone, half the time a room; all linear, all at once."""
    count = samples.size + SAMPLE_RATE_HZ // 2
    frequencies = _frequencies(count)
    curve_db = np.zeros_like(frequencies)
    octaves = np.log2(np.maximum(frequencies, 20))
    for _ in range(random.integers(0, 4)):
        centre, width = random.uniform(np.log2(120), np.log2(6500)), random.uniform(0.4, 1.5)
        curve_db += random.uniform(-9, 9) * np.exp(-0.5 * ((octaves - centre) / width) ** 2)
    if random.random() < TELEPHONE_SHARE:
        low, high = _TELEPHONE_HZ
        curve_db -= 60 * (frequencies > high) + 24 * np.clip(np.log2(low / np.maximum(frequencies, 20)), 0, 3)
    spectrum = np.fft.rfft(samples, count) * 10 ** (curve_db / 20)
    if random.random() < ROOM_SHARE:
        spectrum *= np.fft.rfft(_room(random), count)
    return np.asarray(np.fft.irfft(spectrum, count)[: samples.size], np.float32)


def _room(random: np.random.Generator) -> Samples:
    """Return an impulse and its echoes, which die by 60 dB in 80 to 450 ms."""
    count = int(random.uniform(0.08, 0.45) * SAMPLE_RATE_HZ)
    echoes = random.standard_normal(count) * np.exp(-6.9 * np.arange(count) / count)
    echoes *= random.uniform(0.1, 0.6) / np.sqrt(np.sum(np.square(echoes)))
    echoes[0] = 1
    return np.asarray(echoes, np.float32)


def _frequencies(count: int) -> Samples:
    return np.asarray(np.fft.rfftfreq(count, 1 / SAMPLE_RATE_HZ), np.float32)


def _fitted(spectrum: np.ndarray, count: int) -> np.ndarray:
    return spectrum[:count] if count <= spectrum.size else np.pad(spectrum, (0, count - spectrum.size))

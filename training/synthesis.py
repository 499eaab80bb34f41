"""Owns the voices of the corpus and how they speak: text and a voice in, an utterance out.

Needs Debian's ``espeak-ng`` (with ``libespeak-ng1``) and ``flite``; what is missing is raised as OSError.
"""

from __future__ import annotations

from typing import Final

import av
import numpy as np

from training import flite
from training.espeak import espeak
from training.speech import SAMPLE_RATE_HZ, Phone, Samples, Utterance, Voice

__all__ = ["HELD_OUT_VOICES", "TRAINING_VOICES", "Phone", "Utterance", "Voice", "speak"]


def _espeak_voices(language: str, names: str) -> tuple[Voice, ...]:
    return tuple(Voice("espeak", name, language) for name in names.split())


TRAINING_VOICES: Final = (
    *_espeak_voices(
        "en",
        "en-us en en-gb-scotland en-us+m1 en-us+m2 en+m3 en-us+m4 en+m5 en-us+m6 en-us+f1 en+f2 en-us+f3 en-us+f5"
        " en-us+klatt en-us+klatt3 en+klatt2 en-us+Annie en-us+linda en+steph en-us+Andy en+Michael en-us+Gene"
        " en-us-nyc+Mike en+anika en-us+john",
    ),
    *_espeak_voices("es", "es es-419+m3 es+f2 es-419+Mario"),
    *_espeak_voices("de", "de de+f3 de+m5 de+norbert"),
    *_espeak_voices("fr", "fr fr+f2 fr-be+m4 fr+paul"),
    *_espeak_voices("it", "it it+f5 it+sandro"),
    *_espeak_voices("hi", "hi hi+f1 hi+m2"),
    *_espeak_voices("zh", "cmn-latn-pinyin cmn-latn-pinyin+f3 cmn-latn-pinyin+m1"),
    *_espeak_voices("pt", "pt-br+f2 pt"),
    *_espeak_voices("ru", "ru ru+f1"),
    Voice("flite", "slt", "en"),
    Voice("flite", "rms", "en"),
    Voice("flite", "kal16", "en"),
    Voice("flite", "kal", "en"),
)
"""Those the net is fitted to."""

HELD_OUT_VOICES: Final = (
    *_espeak_voices("en", "en-gb-x-rp+m7 en-us+f4 en-us+klatt4"),
    *_espeak_voices("es", "es+m7"),
    *_espeak_voices("de", "de+f4"),
    *_espeak_voices("fr", "fr+m7"),
    Voice("flite", "awb", "en"),
)
"""Those it is judged by: neither the voice nor (with ``Pool.held_out``) the text is ever trained on."""


def speak(text: str, voice: Voice) -> Utterance:
    """Return what ``voice`` makes of ``text``: the same sounds every time, in all but the same samples.

    Raises:
        OSError: if the synthesizer is not installed.
        LookupError: if it does not know the voice.
    """
    samples, rate_hz, phones = (
        espeak().speak(text, voice) if voice.synthesizer == "espeak" else flite.speak(text, voice)
    )
    return Utterance(_resampled(samples, rate_hz), phones)


def _resampled(samples: Samples, rate_hz: int) -> Samples:
    """Return the samples at 16 kHz, without delay."""
    if rate_hz == SAMPLE_RATE_HZ or not samples.size:
        return samples
    resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE_HZ)
    frame = av.AudioFrame.from_ndarray(samples[np.newaxis], "flt", "mono")
    frame.sample_rate = rate_hz
    pieces = [*resampler.resample(frame), *resampler.resample(None)]
    joined = np.concatenate([piece.to_ndarray()[0] for piece in pieces])
    return np.asarray(np.clip(joined, -1, 1), np.float32)

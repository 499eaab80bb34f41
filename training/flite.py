"""Owns the call of Debian's flite: text in, samples and timed phones out."""

from __future__ import annotations

import subprocess
import tempfile
import wave
from pathlib import Path
from typing import Final

import numpy as np

from training.speech import Phone, Samples, Voice

PITCH_HZ: Final = {"slt": 185, "rms": 100, "awb": 125, "kal": 105, "kal16": 105}
"""Each voice's own."""
_TIMEOUT_S: Final = 60
# What flite calls the sounds of its English voices, in IPA.
_ARPABET: Final = """
pau=_ aa=ɑ ae=æ ah=ʌ ao=ɔ aw=aʊ ax=ə ay=aɪ b=b ch=tʃ d=d dh=ð eh=ɛ er=ɚ ey=eɪ f=f g=ɡ hh=h ih=ɪ iy=iː jh=dʒ k=k l=l
m=m n=n ng=ŋ ow=oʊ oy=ɔɪ p=p r=ɹ s=s sh=ʃ t=t th=θ uh=ʊ uw=uː v=v w=w y=j z=z zh=ʒ
"""
_IPA: Final = {name: symbol for name, _, symbol in (pair.partition("=") for pair in _ARPABET.split())}


def speak(text: str, voice: Voice) -> tuple[Samples, int, tuple[Phone, ...]]:
    """Return samples, their rate in Hz, and the phones.

    Raises:
        FileNotFoundError: if flite is not installed.
        subprocess.CalledProcessError: if it fails.
    """
    pitch_hz = PITCH_HZ[voice.name] * voice.pitch
    settings = [f"duration_stretch={1 / voice.pace:.3f}", f"int_f0_target_mean={pitch_hz:.1f}"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command = ["flite", "-voice", voice.name, "-psdur"]
        command += [word for setting in settings for word in ("--setf", setting)]
        command += ["-t", text, "-o", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_TIMEOUT_S)
        with wave.open(str(path)) as file:
            rate_hz = file.getframerate()
            values = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    samples = np.asarray(values / 32768, np.float32)
    return samples, rate_hz, _phones(done.stdout)


def _phones(listing: str) -> tuple[Phone, ...]:
    """Return the phones of ``name:end`` words."""
    phones, start = [], 0.0
    for word in listing.split():
        name, _, ending = word.rpartition(":")
        phones.append(Phone(_IPA[name], start, float(ending)))
        start = float(ending)
    return tuple(phones)

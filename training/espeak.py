"""Owns the binding to Debian's libespeak-ng: text in, samples and timed phones out.

The library holds one voice a process, so there is one ``Espeak`` a process and it serves one caller at a time.
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from training.speech import SILENCE, Phone, Samples, Voice

LIBRARY: Final = "libespeak-ng.so.1"
WORDS_PER_MINUTE: Final = 170
PITCH: Final = 50
# From speak_lib.h.
_SYNCHRONOUS: Final = 2
_PHONEME_EVENTS_IN_IPA: Final = 3
_PHONEME: Final = 7
_UTF8: Final = 1
_RATE_PARAMETER, _PITCH_PARAMETER = 1, 3
_CHARACTER_POSITION: Final = 1


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass
class Espeak:
    """The library, initialised. Get it by ``espeak()``."""

    library: ctypes.CDLL
    rate_hz: int
    _pieces: list[Samples] = field(default_factory=list)
    _marks: list[tuple[float, str]] = field(default_factory=list)
    _callback: Any = None

    def speak(self, text: str, voice: Voice) -> tuple[Samples, int, tuple[Phone, ...]]:
        """Return samples, their rate in Hz, and the phones.

        Raises:
            LookupError: if the library does not know the voice.
        """
        self._pieces.clear()
        self._marks.clear()
        if self.library.espeak_SetVoiceByName(voice.name.encode()) != 0:
            msg = f"espeak-ng has no voice {voice.name!r}"
            raise LookupError(msg)
        self.library.espeak_SetParameter(_RATE_PARAMETER, round(WORDS_PER_MINUTE * voice.pace), 0)
        self.library.espeak_SetParameter(_PITCH_PARAMETER, min(round(PITCH * voice.pitch), 99), 0)
        content = text.encode()
        self.library.espeak_Synth(content, len(content) + 1, 0, _CHARACTER_POSITION, 0, _UTF8, None, None)
        self.library.espeak_Synchronize()
        samples = np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.float32)
        return samples, self.rate_hz, _phones(self._marks, samples.size / self.rate_hz)

    def _hear(self, wave: Any, count: int, events: Any) -> int:
        if count > 0:
            self._pieces.append(np.asarray(np.ctypeslib.as_array(wave, (count,)) / 32768, np.float32))
        number = 0
        while events[number].type:
            if events[number].type == _PHONEME:
                name = events[number].id.string.decode("utf-8", "ignore")
                self._marks.append((events[number].audio_position / 1000, name))
            number += 1
        return 0


def _phones(marks: list[tuple[float, str]], duration_s: float) -> tuple[Phone, ...]:
    """Return a phone from each mark to the next. Marks of language switches and of softening are no sounds."""
    sounds = [(at, name) for at, name in marks if name != "ʲ" and not name.startswith("(")]
    ends = [at for at, _ in sounds[1:]] + [duration_s]
    pairs = zip(sounds, ends, strict=True)
    return tuple(Phone(name or SILENCE, start, end) for (start, name), end in pairs if end > start)


@functools.cache
def espeak() -> Espeak:
    """Return the library.

    Raises:
        OSError: if it is not installed.
    """
    library = ctypes.CDLL(LIBRARY)
    rate_hz = library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS_IN_IPA)
    if rate_hz <= 0:
        msg = "libespeak-ng found no voices; install Debian's espeak-ng-data"
        raise OSError(msg)
    speaker = Espeak(library, rate_hz)
    speaker._callback = _Callback(speaker._hear)  # noqa: SLF001 - the library keeps only a pointer to it
    library.espeak_SetSynthCallback(speaker._callback)  # noqa: SLF001
    return speaker

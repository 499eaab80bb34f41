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
STOPS: Final = frozenset("pbtdkɡcɟqʈɖ")
LONGEST_CLOSURE_S: Final = (0.12, 0.06)
"""Within speech, and after a pause."""
_BLOCKS_PER_S: Final = 200
_SILENT: Final = 1e-5
"""Mean square."""
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
        phones = _phones(self._marks, samples.size / self.rate_hz)
        return samples, self.rate_hz, _with_closures(phones, samples, self.rate_hz)

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
    ends = [*(at for at, _ in sounds), duration_s][1:]
    pairs = zip(sounds, ends, strict=True)
    return tuple(Phone(name or SILENCE, start, end) for (start, name), end in pairs if end > start)


def _with_closures(phones: tuple[Phone, ...], samples: Samples, rate_hz: int) -> tuple[Phone, ...]:
    """Return the phones with each stop's silence in the stop.

    The library marks a stop at its burst and counts the silence before it, in which the lips are closed already, to
    the sound before; it marks voiced stops, which are never silent, where they begin.
    """
    block = rate_hz // _BLOCKS_PER_S
    levels = np.square(samples[: samples.size // block * block].reshape(-1, block)).mean(axis=1)
    found = list(phones)
    for number in range(1, len(found)):
        before, stop = found[number - 1 : number + 1]
        if stop.name[0] not in STOPS:
            continue
        most = LONGEST_CLOSURE_S[before.name == SILENCE]
        earliest = round(max(stop.start_s - most, before.start_s) * _BLOCKS_PER_S)
        first = min(round(stop.start_s * _BLOCKS_PER_S), levels.size)
        while first > earliest and levels[first - 1] < _SILENT:
            first -= 1
        start_s = min(first / _BLOCKS_PER_S, stop.start_s)
        found[number - 1 : number + 1] = [
            Phone(before.name, before.start_s, start_s),
            Phone(stop.name, start_s, stop.end_s),
        ]
    return tuple(phone for phone in found if phone.end_s > phone.start_s)


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

"""Owns what the evaluation works on: portraits, held-out voices and sentences, and clips of real speakers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

from avatar_service.assets import asset_path
from benchmarks.lipsync.script import Line, Script, script
from training.sentences import pool
from training.speech import SILENCE, Voice
from training.synthesis import HELD_OUT_VOICES, speak
from training.visemes import LEAD_S, targets

MEDIA: Final = Path(__file__).resolve().parents[3] / "shared" / "media"
"""Larger media beside the checkout, where there are any; they may not be passed on."""
SENTENCES: Final = 2
"""Of each voice."""


def portraits() -> list[Path]:
    """Return the photograph that every installation contains, and those beside the checkout."""
    return [asset_path("astronaut.png"), *sorted([*MEDIA.glob("*.png"), *MEDIA.glob("*.jpg")])]


def clips() -> list[Path]:
    """Return the clips of real speakers beside the checkout, if any."""
    return sorted(MEDIA.glob("talking_*.mp4"))


def scripts() -> list[Script]:
    """Return what each held-out voice says; voices of one language say different things.

    Raises:
        OSError: if a synthesizer is not installed.
    """
    return [
        script(voice.name, (line(voice, SENTENCES * turn + number) for number in range(SENTENCES)))
        for turn, voice in enumerate(HELD_OUT_VOICES)
    ]


def recital(seconds: float) -> Script:
    """Return what all voices say by turns, for so many seconds at least."""
    lines, heard_s = [], 0.0
    for spoken in _by_turns():
        lines.append(spoken)
        heard_s += len(spoken.targets) / 100
        if heard_s >= seconds:
            break
    return script("all", lines)


def _by_turns() -> Iterator[Line]:
    for turn in count():
        for voice in HELD_OUT_VOICES:
            yield line(voice, turn)


def line(voice: Voice, number: int) -> Line:
    """Return one of the held-out sentences of a voice's language, counted round and round."""
    texts = pool(voice.language).held_out
    spoken = speak(texts[number % len(texts)], voice)
    # The mouth shows a sound before it is heard: so the targets have it, and so it is counted.
    sounds = ((phone.start_s - LEAD_S, phone.end_s - LEAD_S) for phone in spoken.phones if phone.name != SILENCE)
    return Line(spoken.samples, targets(spoken), tuple(sounds))

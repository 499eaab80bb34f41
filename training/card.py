"""Owns the model card: what the weights are, where they come from and how good they are, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from avatar_service.engine.portrait.net import Net
from training.sentences import LANGUAGES
from training.synthesis import HELD_OUT_VOICES, TRAINING_VOICES

_COLUMNS: Final = ("open_r", "width_r", "round_r", "wide_r", "close_r", "fv_r", "teeth_r", "closure_f1")
_TEXT: Final = """# The speech-to-motion model

*Written by `make train`; do not edit.*

`speech.npz` turns speech into what a face does, 25 times a second: {parameters} parameters in half precision, one
GRU and a read-out for each look-ahead. It is ours, made from nothing but synthetic speech: no recording of a person
and no weights of others were used.

| | |
|---|---|
| corpus | {streams} streams of 8 s by {voices} voices of espeak-ng and flite, languages {languages} |
| recording | pace, pitch, room, microphone, telephone, noise from 5 to 45 dB below the voice, level: new for each |
| speechless streams | noise, hum, synthetic music and silence, so that the mouth rests over them |
| targets | `training/visemes.py`: viseme table and co-articulation |
| seed | {seed} |
| epochs | {epochs} |
| commit | {commit} |
| torch | {torch} |
| time | {minutes} minutes on the machine that made it |

## Held-out figures

{held_out} voices that were never trained on read sentences that were never trained on. Pearson's r of each output
against its target at lag 0; `closure_f1` is the share of closed frames found (`close` above 0.5, F1); the last column
is the share of frames more than 120 ms from any speech in which the mouth would be open. "recorded" adds rooms,
microphones and noise as in training; the look-ahead is what is heard beyond the frame.

| speech, look-ahead | {columns} | open in silence |
|---|{rules}|---|
{rows}

## Limits

The voices are synthetic and the targets are rules: what a face really does (smiles, parted lips at rest, a speaker's
own habits) is not in them. Languages outside the list work as far as their sounds are in it. Singing is not speech to
it, and distant or heavily noisy speech moves the lips less.
"""


def card(net: Net, judged: Mapping[str, Mapping[str, float]], facts: Mapping[str, object]) -> str:
    """Return the card's Markdown: of a net, its held-out figures, and the facts of the run that made it."""
    rows = []
    for name, values in judged.items():
        cells = [name, *(f"{values[column]:.2f}" for column in _COLUMNS), f"{values['silence_open_fraction']:.1%}"]
        rows.append(f"| {' | '.join(cells)} |")
    return _TEXT.format(
        parameters=f"{net.parameters:,}",
        voices=len(TRAINING_VOICES),
        held_out=len(HELD_OUT_VOICES),
        languages=", ".join(LANGUAGES),
        columns=" | ".join(column.removesuffix("_r") for column in _COLUMNS),
        rules="|".join("---" for _ in _COLUMNS),
        rows="\n".join(rows),
        **facts,
    )

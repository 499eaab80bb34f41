"""Owns the way from text to speech: an open synthesiser that is installed beside the gateway, one run of it a text.

No text is ever an argument of it, its output is bounded, and it is killed when its time is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import struct
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from avatar_service.errors import FailedPreconditionError, InternalError, InvalidArgumentError, ResourceExhaustedError
from avatar_service.gateway.feed import Chunk
from avatar_service.recording import MAX_OUTPUT_RATE_HZ, MIN_RATE_HZ

if TYPE_CHECKING:
    from asyncio.subprocess import Process

MAX_CHARACTERS: Final = 500
MAX_SPEECH_S: Final = 45.0
"""Of one text, and of all texts that a live session has yet to say."""

_WITHIN_S: Final = 10.0
_AT_ONCE: Final = 2
_LANGUAGE: Final = "en-us"
_HEADER_BYTES: Final = 44
_RATE_AT: Final = 24
"""Where a WAV file's header says its rate; espeak-ng writes the shortest header there is, 16 bit and mono."""
_MOST_BYTES: Final = _HEADER_BYTES + int(MAX_SPEECH_S * MAX_OUTPUT_RATE_HZ) * 2
_VOICE_COLUMNS: Final = 4


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice.

    Attributes:
        language: as BCP 47 writes it, which is also what it is asked for by.
        name: for a person.
    """

    language: str
    name: str


class Synthesiser:
    """espeak-ng, if it is there.

    Args:
        program: its name or path; empty for none.
        within_s: how long it may take for a text, with the time it waits for others.

    Attributes:
        reason: why there is none; empty if there is one.
    """

    def __init__(self, program: str, within_s: float = _WITHIN_S) -> None:
        self._within_s = within_s
        self._path = shutil.which(program) if program else None
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._voices: tuple[Voice, ...] = ()
        self.reason = ""
        if not program:
            self.reason = "the operator has switched it off"
        elif self._path is None:
            self.reason = f"{program} is not installed beside the gateway"

    async def voices(self) -> tuple[Voice, ...]:
        """Return the voices that there are, by name; none without a synthesiser.

        Raises:
            AvatarError: as ``speak``.
        """
        if not self._voices and not self.reason:
            listed = await self._run("--voices")
            rows = [line.split() for line in listed.decode(errors="replace").splitlines()[1:]]
            found = {row[1]: Voice(row[1], row[3].replace("_", " ")) for row in rows if len(row) >= _VOICE_COLUMNS}
            self._voices = tuple(sorted(found.values(), key=lambda voice: voice.name))
        return self._voices

    async def speak(self, text: str, language: str = "") -> Chunk:
        """Return ``text``, spoken.

        Args:
            text: at most ``MAX_CHARACTERS``, in any script; what cannot be printed counts as a space.
            language: of the voice; empty for American English.

        Raises:
            FailedPreconditionError: ``NO_SYNTHESISER``.
            InvalidArgumentError: ``TEXT_EMPTY``, ``TEXT_TOO_LONG``, ``VOICE``.
            ResourceExhaustedError: ``SYNTHESISER_BUSY``.
            InternalError: ``SYNTHESIS_FAILED``.
        """
        if self.reason:
            raise FailedPreconditionError("NO_SYNTHESISER", f"text cannot be spoken: {self.reason}", subject="gateway")
        spoken = _speakable(text)
        language = language or _LANGUAGE
        if all(language != voice.language for voice in await self.voices()):
            raise InvalidArgumentError("VOICE", "there is no such voice; GET /api/speech lists them", field="voice")
        content = await self._run("--stdin", "--stdout", "-b", "1", "-v", language, text=spoken.encode())
        if len(content) >= _MOST_BYTES:
            raise _too_long()
        rate_hz = struct.unpack_from("<I", content, _RATE_AT)[0] if len(content) >= _HEADER_BYTES else 0
        if not MIN_RATE_HZ <= rate_hz <= MAX_OUTPUT_RATE_HZ:
            raise _failed()
        samples = np.frombuffer(content[_HEADER_BYTES : len(content) // 2 * 2], "<i2").astype(np.int16)
        if not samples.size:
            raise InvalidArgumentError("TEXT_EMPTY", "that voice says nothing for this text", field="text")
        if samples.size > MAX_SPEECH_S * rate_hz:
            raise _too_long()
        return Chunk(samples, rate_hz)

    async def _run(self, *arguments: str, text: bytes = b"") -> bytes:
        """Return what the program writes, no more than ``_MOST_BYTES``."""
        assert self._path is not None, "whoever calls has looked"
        try:
            async with asyncio.timeout(self._within_s), self._turn:
                process = await asyncio.create_subprocess_exec(
                    self._path,
                    *arguments,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.DEVNULL,
                )
                try:
                    return await _ask(process, text)
                finally:
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
                    await process.wait()
        except TimeoutError:
            msg = "the synthesiser did not get to this text in time; try again"
            raise ResourceExhaustedError("SYNTHESISER_BUSY", msg, retry_after_s=2.0) from None
        except OSError:
            raise _failed() from None


async def _ask(process: Process, text: bytes) -> bytes:
    assert process.stdin is not None, "it was asked for"
    assert process.stdout is not None, "likewise"
    process.stdin.write(text)
    process.stdin.close()
    content = b""
    while len(content) < _MOST_BYTES and (piece := await process.stdout.read(1 << 16)):
        content += piece
    return content


def _speakable(text: str) -> str:
    if len(text) > MAX_CHARACTERS:
        raise InvalidArgumentError("TEXT_TOO_LONG", f"a text has at most {MAX_CHARACTERS} characters", field="text")
    plain = "".join(each if each.isprintable() else " " for each in unicodedata.normalize("NFC", text))
    if not any(each.isalnum() for each in plain):
        raise InvalidArgumentError("TEXT_EMPTY", "send a text with at least one word", field="text")
    return " ".join(plain.replace("[", " ").split())  # what [[ begins, espeak-ng reads as phonemes


def _too_long() -> InvalidArgumentError:
    msg = f"that takes longer than {MAX_SPEECH_S:g} s to say; send less at a time"
    return InvalidArgumentError("TEXT_TOO_LONG", msg, field="text")


def _failed() -> InternalError:
    return InternalError("SYNTHESIS_FAILED", "the synthesiser failed on this text")

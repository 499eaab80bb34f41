"""Owns the endpoints that take text: which voices there are, text to a sound file, and text to a live session."""

from __future__ import annotations

import io
import wave
from typing import Annotated, Final

import numpy as np
from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from pydantic import BaseModel

from avatar_service.gateway.feed import Chunk, Joiner
from avatar_service.gateway.live.sessions import LiveSessions
from avatar_service.gateway.synthesis import MAX_CHARACTERS, Synthesiser

router = APIRouter(tags=["text"])

_WAV: Final = "audio/wav"

Text = Annotated[str, Form(description=f"At most {MAX_CHARACTERS} characters")]
Language = Annotated[str, Form(max_length=64, description="Of the voice, as GET /api/speech lists it; empty: en-us")]


class VoiceListed(BaseModel):
    """One voice."""

    language: str
    name: str


class Synthesis(BaseModel):
    """Whether text can be spoken, and how."""

    available: bool
    reason: str
    max_characters: int
    voices: list[VoiceListed]


class Said(BaseModel):
    """A text is being spoken."""

    status: str = "success"
    session_id: str
    segment_id: str
    duration_s: float


@router.get("/api/speech")
async def synthesis(request: Request) -> Synthesis:
    """Say whether text can be spoken here, and in which voices."""
    synthesiser = _synthesiser(request)
    voices = [VoiceListed(language=each.language, name=each.name) for each in await synthesiser.voices()]
    return Synthesis(
        available=not synthesiser.reason, reason=synthesiser.reason, max_characters=MAX_CHARACTERS, voices=voices
    )


@router.post("/api/speech", response_class=Response, responses={200: {"content": {_WAV: {}}}})
async def speech(request: Request, text: Text = "", voice: Language = "") -> Response:
    """Return a text as a sound file, which can be fed to a session."""
    return Response(_file(await _synthesiser(request).speak(text, voice)), media_type=_WAV)


@router.post("/api/live/{session_id}/say")
async def say(request: Request, session_id: str, text: Text = "", voice: Language = "") -> Said:
    """Have a live session say a text, behind what it is saying already; its microphone is not heard meanwhile."""
    sessions: LiveSessions = request.app.state.live_sessions
    sessions.get(session_id)
    chunk = await _synthesiser(request).speak(text, voice)
    joiner = Joiner()
    samples = np.concatenate([joiner.join(chunk), joiner.flush()])
    segment_id = sessions.get(session_id).say(samples)
    return Said(session_id=session_id, segment_id=segment_id, duration_s=round(len(chunk.samples) / chunk.rate_hz, 3))


def _file(chunk: Chunk) -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(chunk.rate_hz)
        out.writeframes(chunk.samples.astype("<i2").tobytes())
    return content.getvalue()


def _synthesiser(request: Request) -> Synthesiser:
    synthesiser: Synthesiser = request.app.state.synthesiser
    return synthesiser

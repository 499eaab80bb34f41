"""Owns the four endpoints of the chunked API: init, feed, status, delete. Translates; a session does the rest."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from pydantic import BaseModel

from avatar_service.errors import InvalidArgumentError
from avatar_service.gateway.form import order_form, portrait_of, refuse
from avatar_service.gateway.hls.tracks import SOUND_RATE_HZ
from avatar_service.gateway.order import Order
from avatar_service.gateway.session import Session
from avatar_service.gateway.sessions import Sessions
from avatar_service.gateway.turns import TURN, Turn

router = APIRouter(prefix="/api/audio-driven/chunked", tags=["chunked"])


class Opened(BaseModel):
    """A session was made."""

    status: str = "success"
    session_id: str
    hls_url: str
    live_url: str
    download_url: str
    message: str
    chunk_duration: float
    audio_sample_rate: int


class Taken(BaseModel):
    """A chunk was taken."""

    status: str = "success"
    session_id: str
    buffer_samples: int
    frames_generated: int
    session_status: str
    message: str


class Standing(BaseModel):
    """How a session stands."""

    session_id: str
    status: str
    total_frames_generated: int
    buffer_samples: int
    error: str | None
    created_at: str
    uptime_seconds: float
    first_frame_ms: float | None
    lateness_ms_p50: float | None
    segments: int
    hls_url: str
    live_url: str
    download_url: str
    engine: str
    width: int
    height: int
    fps: int
    warnings: list[str]


class Deleted(BaseModel):
    """A session was deleted."""

    status: str = "success"
    session_id: str
    message: str


@router.post("/init")
async def init(
    request: Request,
    order: Annotated[Order, Depends(order_form)],
    image: Annotated[UploadFile | None, File(description="JPEG, PNG or WebP; at most 10 MiB and 16 megapixels")] = None,
) -> Opened:
    """Open a session: prepare the portrait and take a slot of the service."""
    refuse(vp8=order.has_vp8)
    session = await _sessions(request).create(order, await portrait_of(image, order))
    return Opened(
        session_id=session.id,
        **_urls(session),
        message="session is ready: feed audio, and play hls_url",
        chunk_duration=order.chunk_duration,
        audio_sample_rate=order.audio_sample_rate,
    )


@router.post("/feed")
async def feed(
    request: Request,
    session_id: Annotated[str, Form()],
    audio_chunk: Annotated[
        UploadFile | None,
        File(description="A WAV, MP3, FLAC, Ogg, WebM or M4A file, or raw PCM by content type; at most 10 s"),
    ] = None,
    is_final_chunk: Annotated[bool, Form()] = False,
    seq: Annotated[
        int | None, Form(ge=1, le=2**53, description="Number of the chunk, from 1: makes repeating it safe")
    ] = None,
) -> Taken:
    """Feed the next chunk of speech; answers at once."""
    session = _sessions(request).get(session_id)
    turn: Turn = request.scope[TURN]
    if seq is None:
        await turn.come(session_id)
    else:
        turn.give_up()
    if audio_chunk is None and not is_final_chunk:
        raise InvalidArgumentError("AUDIO_MISSING", "send audio_chunk, or is_final_chunk=true", field="audio_chunk")
    content = await audio_chunk.read() if audio_chunk else b""
    fed = await session.feed(
        content, (audio_chunk and audio_chunk.content_type) or "", is_final=is_final_chunk, seq=seq
    )
    return Taken(
        session_id=session.id,
        buffer_samples=_at_own_rate(session, fed.samples),
        frames_generated=session.take.frames,
        session_status=session.state,
        message="already fed" if fed.repeated else "chunk taken",
    )


@router.get("/status/{session_id}")
async def status(request: Request, session_id: str) -> Standing:
    """Say how a session stands."""
    session = _sessions(request).get(session_id)
    session.touch()
    take, progress = session.take, session.progress
    shape = take.shapes[0] if take.shapes else None
    return Standing(
        session_id=session.id,
        status=session.state,
        total_frames_generated=take.frames,
        buffer_samples=_at_own_rate(session, session.waiting_samples),
        error=session.failure.message if session.failure else None,
        created_at=progress.created.isoformat(timespec="milliseconds"),
        uptime_seconds=round(progress.uptime_s, 3),
        first_frame_ms=_rounded(progress.first_frame_ms),
        lateness_ms_p50=_rounded(progress.lateness_ms),
        segments=session.segments.count,
        **_urls(session),
        engine=progress.engine,
        width=shape.width if shape else 0,
        height=shape.height if shape else 0,
        fps=take.fps,
        warnings=list(progress.warnings),
    )


@router.delete("/session/{session_id}")
async def delete(request: Request, session_id: str) -> Deleted:
    """End a session and delete its files."""
    await _sessions(request).delete(session_id)
    return Deleted(session_id=session_id, message="session and files are deleted")


def _sessions(request: Request) -> Sessions:
    sessions: Sessions = request.app.state.sessions
    return sessions


def _urls(session: Session) -> dict[str, str]:
    return {
        "hls_url": f"/hls/{session.id}/playlist.m3u8",
        "live_url": f"/live/{session.id}.mp4",
        "download_url": f"/api/hls/{session.id}/download",
    }


def _at_own_rate(session: Session, samples: int) -> int:
    return samples * session.order.audio_sample_rate // SOUND_RATE_HZ


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)

"""Owns whole takes: a portrait and all of the audio in, an MP4 out; and the download of a session's take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Final

import numpy as np
from fastapi import APIRouter, Depends, File, Request, UploadFile
from fastapi.responses import FileResponse, StreamingResponse

from avatar_service.config import GatewaySettings
from avatar_service.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError
from avatar_service.gateway.feed import MAX_CHUNK_S
from avatar_service.gateway.form import order_form, portrait_of, refuse
from avatar_service.gateway.movie import write_movie
from avatar_service.gateway.order import Order
from avatar_service.gateway.session import Session
from avatar_service.gateway.sessions import Sessions
from avatar_service.recording import Recording, read_recording

router = APIRouter(tags=["whole"])

MAX_AUDIO_BYTES: Final = 64 * 1024 * 1024
_VIDEO_TYPE: Final = "video/mp4"
_MOVIE: Final = "take.mp4"


@router.post("/api/audio-driven", response_class=StreamingResponse)
async def audio_driven(
    request: Request,
    order: Annotated[Order, Depends(order_form)],
    image: Annotated[UploadFile | None, File(description="JPEG, PNG or WebP; at most 10 MiB and 16 megapixels")] = None,
    audio: Annotated[UploadFile | None, File(description="An audio file of at most 10 minutes and 64 MiB")] = None,
) -> StreamingResponse:
    """Return an MP4 (fragmented) of the portrait saying the audio, streamed while it is made."""
    refuse(mode=order.is_live, abr=order.is_adaptive, vp8=order.has_vp8)
    settings: GatewaySettings = request.app.state.settings
    sessions: Sessions = request.app.state.sessions
    portrait = await portrait_of(image, order)
    recording = await _recording(audio, settings.spool_s)
    session = await sessions.create(order, portrait, is_paced=False)
    try:
        await _begin(session, recording)
    except BaseException:
        await sessions.delete(session.id)
        raise
    return StreamingResponse(_stream(sessions, session), media_type=_VIDEO_TYPE, headers={"Cache-Control": "no-store"})


async def _recording(audio: UploadFile | None, max_duration_s: float) -> Recording:
    content = await audio.read() if audio else b""
    if not content:
        raise InvalidArgumentError("AUDIO_MISSING", "send an audio file as `audio`", field="audio")
    recording = await asyncio.to_thread(read_recording, content, max_duration_s=max_duration_s)
    if not len(recording.samples):
        raise InvalidArgumentError("AUDIO_EMPTY", "the audio file holds no sound", field="audio")
    return recording


async def _begin(session: Session, recording: Recording) -> None:
    """Feed all of the audio and wait for the first segment, so that a refusal can still be answered as one."""
    step = int(MAX_CHUNK_S * recording.sample_rate_hz)
    starts = np.arange(0, len(recording.samples), step)
    raw = f"audio/pcm;rate={recording.sample_rate_hz}"
    for start in starts:
        piece = recording.samples[start : start + step].astype("<i2").tobytes()
        await session.feed(piece, raw, is_final=bool(start == starts[-1]))
    await session.publisher.segment(0)
    if session.failure is not None:
        raise session.failure


async def _stream(sessions: Sessions, session: Session) -> AsyncIterator[bytes]:
    try:
        yield session.segments.initialisation(0)
        number = 0
        while await session.publisher.segment(number):
            yield session.segments.segment(0, number)
            number += 1
        if session.failure is not None:  # the broken connection is how the client learns that something is missing
            raise session.failure
    finally:
        with suppress(NotFoundError):
            await sessions.delete(session.id)


@router.head("/api/hls/{session_id}/download", include_in_schema=False)
@router.get("/api/hls/{session_id}/download", response_class=FileResponse)
async def download(request: Request, session_id: str) -> FileResponse:
    """Return the whole take of a session that is over as an MP4; nothing is encoded again."""
    session: Session = request.app.state.sessions.get(session_id)
    session.touch()
    if not session.is_over:
        raise FailedPreconditionError("TAKE_RUNNING", "the take is still being made", subject="session")
    if not session.segments.count:
        raise NotFoundError("TAKE_EMPTY", "the session ended without a frame")
    path = session.folder.path(_MOVIE)
    async with session.movie_lock:
        if not path.exists():
            await asyncio.to_thread(write_movie, session.segments.paths(0), path)
            session.folder.size += path.stat().st_size
    return FileResponse(path, media_type=_VIDEO_TYPE, filename=f"avatar-{session.progress.created:%Y%m%d-%H%M%S}.mp4")

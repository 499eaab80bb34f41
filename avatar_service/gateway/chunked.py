"""Owns the four endpoints of the chunked API: init, feed, status, delete. Translates; a session does the rest."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Final

from fastapi import APIRouter, File, Form, Request, UploadFile
from pydantic import BaseModel

from avatar_service.errors import InvalidArgumentError, NotFoundError, ResourceExhaustedError
from avatar_service.gateway.hls.sound import RATE_HZ
from avatar_service.gateway.order import Order, Preset
from avatar_service.gateway.session import Session
from avatar_service.gateway.sessions import Sessions

MAX_PORTRAIT_BYTES: Final = 10 * 1024 * 1024

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
async def init(  # noqa: PLR0913 - one argument per form field is FastAPI's way
    request: Request,
    image: Annotated[UploadFile | None, File(description="JPEG, PNG or WebP; at most 10 MiB and 16 megapixels")] = None,
    crop: Annotated[bool, Form(description="Find the face and crop to it")] = True,
    seed: Annotated[int, Form(ge=0, lt=2**64)] = 42,
    nfe: Annotated[int, Form(ge=5, le=50)] = 10,
    cfg_scale: Annotated[float, Form(ge=1, le=5, allow_inf_nan=False)] = 2.0,
    chunk_duration: Annotated[float, Form(ge=0.1, le=10, allow_inf_nan=False)] = 1.0,
    audio_sample_rate: Annotated[int, Form(ge=8000, le=48000)] = 24_000,
    pose_style: Annotated[str | None, Form(description="JSON: [pitch, yaw, roll] in radians")] = None,
    gaze_style: Annotated[str | None, Form(description="JSON: [x, y] in radians")] = None,
    engine: Annotated[str, Form(max_length=64)] = "",
    preset: Annotated[str, Form(description="lowest_latency, balanced or best_quality")] = "balanced",
    avatar_id: Annotated[str | None, Form(description="Instead of an image; none are kept yet")] = None,
    abr: Annotated[bool, Form(description="Two formats, 512 and 256 wide, between which players choose")] = False,
) -> Opened:
    """Open a session: prepare the portrait and take a slot of the service."""
    order = Order(
        crop=crop,
        seed=seed,
        nfe=nfe,
        cfg_scale=cfg_scale,
        chunk_duration=chunk_duration,
        audio_sample_rate=audio_sample_rate,
        pose_style=_angles("pose_style", pose_style, 3),
        gaze_style=_angles("gaze_style", gaze_style, 2),
        engine=engine,
        preset=_preset(preset),
        is_adaptive=abr,
    )
    session = await _sessions(request).create(order, await portrait_of(image, avatar_id))
    return Opened(
        session_id=session.id,
        **_urls(session),
        message="session is ready: feed audio, and play hls_url",
        chunk_duration=chunk_duration,
        audio_sample_rate=audio_sample_rate,
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
) -> Taken:
    """Feed the next chunk of speech; answers at once."""
    session = _sessions(request).get(session_id)
    if audio_chunk is None and not is_final_chunk:
        raise InvalidArgumentError("AUDIO_MISSING", "send audio_chunk, or is_final_chunk=true", field="audio_chunk")
    content = await audio_chunk.read() if audio_chunk else b""
    fed = await session.feed(content, (audio_chunk and audio_chunk.content_type) or "", is_final=is_final_chunk)
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


async def portrait_of(image: UploadFile | None, avatar_id: str | None) -> bytes:
    """Return the portrait that a form carries.

    Raises:
        AvatarError: if there is none, or it is too large.
    """
    if avatar_id:
        raise NotFoundError("AVATAR_NOT_FOUND", "there is no such avatar; send an image")
    if image is None:
        raise InvalidArgumentError("PORTRAIT_MISSING", "send a picture as `image`", field="image")
    content = await image.read(MAX_PORTRAIT_BYTES + 1)
    if len(content) > MAX_PORTRAIT_BYTES:
        raise ResourceExhaustedError("PORTRAIT_TOO_LARGE", "the portrait has more than 10 MiB")
    return content


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
    return samples * session.order.audio_sample_rate // RATE_HZ


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _preset(name: str) -> Preset:
    try:
        return Preset[name.upper()]
    except KeyError:
        names = ", ".join(each.name.lower() for each in Preset)
        msg = f"there is no such preset; there are {names}"
        raise InvalidArgumentError("UNKNOWN_VALUE", msg, field="preset") from None


def _angles(field: str, text: str | None, count: int) -> tuple[float, ...]:
    """Return the angles of a JSON array; nothing for an empty field or ``null``."""
    try:
        value: Any = json.loads(text) if text and text.strip() else None
    except (ValueError, RecursionError):
        value = text
    if value is None:
        return ()
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    is_angles = isinstance(value, list) and len(value) == count and all(map(_is_angle, value))
    if not is_angles:
        msg = f"{field} must be a JSON array of {count} angles in radians, each from -pi to pi"
        raise InvalidArgumentError("OUT_OF_RANGE", msg, field=field)
    return tuple(map(float, value))


def _is_angle(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= math.pi

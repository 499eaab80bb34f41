"""Owns what viewers fetch: playlists, segments, parts, the live stream. Names from outside are only ever numbers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response, StreamingResponse

from avatar_service.errors import InvalidArgumentError, NotFoundError, UnavailableError
from avatar_service.gateway.content import IMMUTABLE, NO_CACHE, content_response
from avatar_service.gateway.hls.playlist import TARGET_S, Readiness, Variant, master
from avatar_service.gateway.hls.progressive import Progressive
from avatar_service.gateway.order import LADDER
from avatar_service.gateway.session import Session

router = APIRouter(tags=["watch"])

_PLAYLIST_TYPE: Final = "application/vnd.apple.mpegurl"
_VIDEO_TYPE: Final = "video/mp4"
_BLOCK_S: Final = 3.0 * TARGET_S
_MAX_NUMBER: Final = 10**9

_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])

Number = Annotated[int | None, Query(ge=0, le=_MAX_NUMBER)]

_SEGMENT: Final = re.compile(r"(\d{1,9})\.m4s", re.ASCII)
_PART: Final = re.compile(r"(\d{1,9})\.(\d{1,4})\.m4s", re.ASCII)


def _readable(path: str) -> Callable[[_Endpoint], _Endpoint]:
    """Have an endpoint answer GET, and HEAD likewise."""

    def add(endpoint: _Endpoint) -> _Endpoint:
        router.get(path, response_class=Response)(endpoint)
        router.head(path, include_in_schema=False)(endpoint)
        return endpoint

    return add


@_readable("/hls/{session_id}/playlist.m3u8")
async def playlist(
    request: Request,
    session_id: str,
    msn: Annotated[Number, Query(alias="_HLS_msn")] = None,
    part: Annotated[Number, Query(alias="_HLS_part")] = None,
    skip: Annotated[str | None, Query(alias="_HLS_skip")] = None,
) -> Response:
    """Return the playlist: of the media, or of the formats where there are two."""
    session = _session(request, session_id)
    await _await_first(request, session)
    if len(session.take.shapes) > 1:
        return _playlist(request, _master(session))
    return await _media_playlist(request, session, msn, part, skip=skip, prefix="v0/")


@_readable("/hls/{session_id}/v{number:int}/playlist.m3u8")
async def format_playlist(
    request: Request,
    session_id: str,
    number: int,
    msn: Annotated[Number, Query(alias="_HLS_msn")] = None,
    part: Annotated[Number, Query(alias="_HLS_part")] = None,
    skip: Annotated[str | None, Query(alias="_HLS_skip")] = None,
) -> Response:
    """Return the playlist of one format."""
    session = _format(request, session_id, number)
    await _await_first(request, session)
    return await _media_playlist(request, session, msn, part, skip=skip)


@_readable("/hls/{session_id}/v{number:int}/init.mp4")
async def initialisation(request: Request, session_id: str, number: int) -> Response:
    """Return the initialisation segment of one format."""
    session = _format(request, session_id, number)
    await _await_first(request, session)
    return content_response(request, session.segments.initialisation(number), _VIDEO_TYPE, IMMUTABLE)


@_readable("/hls/{session_id}/v{number:int}/{name}")
async def segment(request: Request, session_id: str, number: int, name: str) -> Response:
    """Return a segment, or a part of one; waits for the part that the playlist hints at."""
    session = _format(request, session_id, number)
    content = await _content(session, number, name)
    return content_response(request, content, _VIDEO_TYPE, IMMUTABLE)


@router.get("/live/{session_id}.mp4", response_class=StreamingResponse)
async def live(
    request: Request, session_id: str, user_agent: Annotated[str, Header(include_in_schema=False)] = ""
) -> StreamingResponse:
    """Return the video as one response that goes on while it is made."""
    session = _session(request, session_id)
    is_over = session.publisher.playlist.ended
    parts = _whole(session) if is_over else _live(session, is_chromium="Chrome/" in user_agent)
    headers = {"Cache-Control": "no-store", "Accept-Ranges": "none"}
    return StreamingResponse(parts, media_type=_VIDEO_TYPE, headers=headers)


async def _live(session: Session, *, is_chromium: bool) -> AsyncIterator[bytes]:
    """Yield the parts from now on, as a video that begins at 0."""
    film: Progressive | None = None
    async for cue in session.publisher.watch():
        if film is None:
            film = Progressive(cue.start_s, is_chromium=is_chromium)
            yield film.begin(session.segments.initialisation(0))
        yield film.add(session.segments.part(0, cue.segment, cue.index))


async def _whole(session: Session) -> AsyncIterator[bytes]:
    if session.segments.count:
        yield session.segments.initialisation(0)
    for number in range(session.segments.count):
        yield session.segments.segment(0, number)


async def _content(session: Session, number: int, name: str) -> bytes:
    if match := _SEGMENT.fullmatch(name):
        index = int(match[1])
        if session.publisher.playlist.has_segment(index):
            return session.segments.segment(number, index)
    elif match := _PART.fullmatch(name):
        index, part = int(match[1]), int(match[2])
        readiness = await session.publisher.part(index, part, _BLOCK_S)
        if readiness is Readiness.COMING:
            raise UnavailableError("NOT_YET", "the part is not there yet")
        if readiness is Readiness.THERE:
            return _part(session, number, index, part)
    raise NotFoundError("NO_SUCH_FILE", "there is no such segment")


def _part(session: Session, number: int, index: int, part: int) -> bytes:
    try:
        return session.segments.part(number, index, part)
    except LookupError:
        raise NotFoundError("NO_SUCH_FILE", "there is no such part") from None


async def _media_playlist(
    request: Request, session: Session, msn: int | None, part: int | None, *, skip: str | None, prefix: str = ""
) -> Response:
    if msn is None and part is not None:
        raise InvalidArgumentError("BAD_BLOCKING_REQUEST", "_HLS_part needs _HLS_msn", field="_HLS_part")
    if msn is not None:
        readiness = await session.publisher.reached(msn, part, _BLOCK_S)
        if readiness is Readiness.TOO_FAR:
            msg = "_HLS_msn is more than two segments ahead of the playlist"
            raise InvalidArgumentError("BAD_BLOCKING_REQUEST", msg, field="_HLS_msn")
        if readiness is Readiness.COMING:
            raise UnavailableError("NOT_YET", "the playlist has not got that far yet; no audio may be waiting")
    is_delta = skip in {"YES", "v2"}
    return _playlist(request, session.publisher.playlist.text(prefix, skip=is_delta))


def _master(session: Session) -> str:
    return master(
        [
            Variant(f"v{number}/playlist.m3u8", shape.codec, shape.width, shape.height, session.take.fps, bitrate_kbps)
            for number, (shape, (_, bitrate_kbps)) in enumerate(zip(session.take.shapes, LADDER, strict=True))
        ]
    )


def _playlist(request: Request, text: str) -> Response:
    return content_response(request, text.encode(), _PLAYLIST_TYPE, NO_CACHE)


async def _await_first(request: Request, session: Session) -> None:
    """Wait for the first segment, bounded."""
    settings = request.app.state.settings
    if await session.publisher.first_segment(settings.first_segment_wait_s):
        return
    if session.publisher.playlist.ended:
        raise NotFoundError("TAKE_EMPTY", "the session ended without a frame")
    raise UnavailableError("NOT_YET", "nothing was made yet: feed audio first")


def _session(request: Request, session_id: str) -> Session:
    session: Session = request.app.state.sessions.get(session_id)
    return session


def _format(request: Request, session_id: str, number: int) -> Session:
    session = _session(request, session_id)
    if not 0 <= number < max(1, len(session.take.shapes)):
        raise NotFoundError("NO_SUCH_FILE", "the session has no such format")
    return session

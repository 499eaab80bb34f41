"""Owns the endpoints of live sessions: open, status, delete; and WebRTC's signalling, after WHIP and WHEP."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, File, Request, UploadFile
from fastapi.responses import Response
from pydantic import BaseModel

from avatar_service.errors import InvalidArgumentError
from avatar_service.gateway.form import degradable_form, order_form, portrait_of, refuse
from avatar_service.gateway.live.offer import read_offer
from avatar_service.gateway.live.peers import Peers
from avatar_service.gateway.live.sessions import LiveSessions
from avatar_service.gateway.order import Order

router = APIRouter(tags=["live"])

_SDP: Final = "application/sdp"


class IceServer(BaseModel):
    """A STUN or TURN server, as ``RTCPeerConnection`` takes it."""

    urls: str
    username: str = ""
    credential: str = ""


class LiveOpened(BaseModel):
    """A live session was made."""

    status: str = "success"
    session_id: str
    webrtc_url: str
    ice_servers: list[IceServer]
    engine: str
    width: int
    height: int
    fps: int
    codecs: list[str]


class LiveStanding(BaseModel):
    """How a live session stands."""

    session_id: str
    frames: int
    viewers: int
    delay_ms: float | None


class LiveDeleted(BaseModel):
    """A live session was ended."""

    status: str = "success"
    session_id: str


@router.post("/api/live")
async def open_live(
    request: Request,
    order: Annotated[Order, Depends(order_form)],
    is_degradable: Annotated[bool, Depends(degradable_form)],
    image: Annotated[UploadFile | None, File(description="JPEG, PNG or WebP; at most 10 MiB and 16 megapixels")] = None,
) -> LiveOpened:
    """Open a live session: it idles until somebody speaks, and ends when nobody watches."""
    refuse(abr=order.is_adaptive)
    order = replace(order, is_live=True, is_degradable=is_degradable)
    session = await _sessions(request).create(order, await portrait_of(image, order))
    first = session.ready.video[0]
    return LiveOpened(
        session_id=session.id,
        webrtc_url=f"/api/webrtc/{session.id}",
        ice_servers=_ice_servers(request),
        engine=session.ready.engine,
        width=first.width,
        height=first.height,
        fps=session.ready.fps,
        codecs=[each.codec for each in session.ready.video],
    )


@router.get("/api/live/{session_id}")
async def live_status(request: Request, session_id: str) -> LiveStanding:
    """Say how a live session stands."""
    figures: dict[str, Any] = _sessions(request).get(session_id).standing()
    return LiveStanding(session_id=session_id, **figures)


@router.delete("/api/live/{session_id}")
async def delete_live(request: Request, session_id: str) -> LiveDeleted:
    """End a live session; its viewers are sent away."""
    await _sessions(request).delete(session_id)
    return LiveDeleted(session_id=session_id)


@router.post(
    "/api/webrtc/{session_id}",
    status_code=201,
    response_class=Response,
    responses={201: {"content": {_SDP: {"schema": {"type": "string"}}}, "description": "The answer"}},
    openapi_extra={"requestBody": {"required": True, "content": {_SDP: {"schema": {"type": "string"}}}}},
)
async def connect(request: Request, session_id: str) -> Response:
    """Answer an SDP offer: video down; sound down and a microphone up, and a data channel, where it offers them."""
    session = _sessions(request).get(session_id)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _SDP:
        raise InvalidArgumentError("NOT_SDP", f"send the offer as {_SDP}", field="content-type")
    peers = _peers(request)
    peer_id, answer = await peers.admit(session, read_offer(await request.body()))
    headers = {"Location": f"/api/webrtc/{session_id}/{peer_id}"}
    if links := ", ".join(map(_link, _ice_servers(request))):
        headers["Link"] = links
    return Response(answer, 201, headers, _SDP)


@router.delete("/api/webrtc/{session_id}/{peer_id}")
async def disconnect(request: Request, session_id: str, peer_id: str) -> Response:
    """End a connection; the session goes on for its other viewers, and a while without any."""
    _peers(request).dismiss(session_id, peer_id)
    return Response(status_code=200)


def _sessions(request: Request) -> LiveSessions:
    sessions: LiveSessions = request.app.state.live_sessions
    return sessions


def _peers(request: Request) -> Peers:
    peers: Peers = request.app.state.peers
    return peers


def _ice_servers(request: Request) -> list[IceServer]:
    return [
        IceServer(urls=str(each.urls), username=each.username or "", credential=each.credential or "")
        for each in _peers(request).servers
    ]


def _link(server: IceServer) -> str:
    """Return a server as a Link header names it (RFC 9725, 4.6)."""
    credentials = f'; username="{server.username}"; credential="{server.credential}"; credential-type="password"'
    return f'<{server.urls}>; rel="ice-server"{credentials if server.username else ""}'

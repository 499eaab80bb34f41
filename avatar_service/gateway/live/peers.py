"""Owns which WebRTC connections there are: their ids, their number, and the ICE servers that they use."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from aiortc import RTCIceServer

from avatar_service.errors import NotFoundError, ResourceExhaustedError
from avatar_service.gateway.live.peer import Peer

if TYPE_CHECKING:
    from avatar_service.config import GatewaySettings
    from avatar_service.gateway.live.offer import Offer
    from avatar_service.gateway.live.session import LiveSession

_ID_BYTES: Final = 12


class Peers:
    """All connections of one gateway.

    Args:
        settings: bounds.

    Attributes:
        servers: of ICE.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self.servers = [ice_server(text) for text in settings.ice_servers]
        self._peers: dict[tuple[str, str], Peer] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._answering: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._peers)

    async def admit(self, session: LiveSession, offer: Offer) -> tuple[str, str]:
        """Return the id of a new connection, and its answer.

        Raises:
            ResourceExhaustedError: ``TOO_MANY_VIEWERS``.
            AvatarError: as ``Peer.answer``.
        """
        count = sum(session_id == session.id for session_id, _ in self._peers) + self._answering.get(session.id, 0)
        if count >= self._settings.max_viewers:
            msg = "the session has as many viewers as it may have"
            raise ResourceExhaustedError("TOO_MANY_VIEWERS", msg, retry_after_s=10.0)
        self._answering[session.id] = self._answering.get(session.id, 0) + 1
        try:
            peer = Peer(session, self.servers, self._settings)
            answer = await peer.answer(offer)
        finally:
            self._answering[session.id] -= 1
            if not self._answering[session.id]:
                del self._answering[session.id]
        key = (session.id, secrets.token_urlsafe(_ID_BYTES))
        self._peers[key] = peer
        task = asyncio.create_task(self._attend(key, peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return key[1], answer

    async def _attend(self, key: tuple[str, str], peer: Peer) -> None:
        try:
            await peer.run()
        finally:
            del self._peers[key]

    def dismiss(self, session_id: str, peer_id: str) -> None:
        """Have a connection end.

        Raises:
            NotFoundError: ``PEER_UNKNOWN``.
        """
        peer = self._peers.get((session_id, peer_id))
        if peer is None:
            raise NotFoundError("PEER_UNKNOWN", "there is no such connection, or not any more")
        peer.leave()

    async def close(self) -> None:
        """End all connections."""
        for peer in self._peers.values():
            peer.leave()
        if self._tasks:
            await asyncio.wait(self._tasks)


def ice_server(text: str) -> RTCIceServer:
    """Return the server of ``stun:HOST:PORT`` or ``turn:USER:PASSWORD@HOST:PORT?transport=udp``.

    Raises:
        ValueError: if it is neither.
    """
    scheme, _, rest = text.partition(":")
    if scheme not in {"stun", "turn", "turns"} or not rest:
        msg = f"{text!r} must be stun:HOST:PORT or turn:USER:PASSWORD@HOST:PORT"
        raise ValueError(msg)
    credentials, at, host = rest.rpartition("@")
    if not at:
        return RTCIceServer(urls=text)
    user, _, password = credentials.partition(":")
    return RTCIceServer(urls=f"{scheme}:{host}", username=unquote(user), credential=unquote(password))

"""Owns the methods of AvatarService: each translates, and leaves the rest to a session."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from avatar.v1 import avatar_pb2, avatar_service_pb2
from avatar.v1.avatar_service_pb2_grpc import AvatarServiceServicer
from grpc.aio import BaseError, ServicerContext

from avatar_service import __version__
from avatar_service.config import Settings
from avatar_service.errors import CancelledError
from avatar_service.pool.pool import Pool
from avatar_service.rpc import avatars, incoming, outgoing
from avatar_service.session.events import ClientEvent, ServerEvent
from avatar_service.session.registry import Registry
from avatar_service.session.stream import SessionStream
from avatar_service.session.succession import Succession

_AWAITS_ROOM: Final = "avatar-awaits-room"
"""Metadata of a call that sends nothing until it is answered: then it can be refused before its portrait travels."""


class Servicer(AvatarServiceServicer):
    """AvatarService on one pool.

    Args:
        pool: started.
        settings: bounds of the sessions.
    """

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool = pool
        self._settings = settings
        self._registry: Registry[SessionStream] = Registry()
        self._succession = Succession(pool, settings.resume_within_s)

    def go_away(self, time_left_s: float) -> None:
        """Tell every session that the server is about to end; calls that asked for nothing yet are refused."""
        self.dismiss()
        for session in self._registry.running:
            session.go_away(time_left_s)

    def dismiss(self) -> None:
        """Refuse the calls that asked for nothing yet."""
        for session in self._registry.running:
            session.dismiss()

    async def StreamAvatar(  # type: ignore[override]  # noqa: N802 - gRPC's name; writing ourselves times each write
        self,
        request_iterator: AsyncIterator[bytes],
        context: ServicerContext[Any, Any],
    ) -> None:
        """Serve one session."""
        if any(name == _AWAITS_ROOM for name, _ in context.invocation_metadata() or ()):
            await self._admit(context)

        async def send(event: ServerEvent) -> None:
            try:
                for response in outgoing.responses(event, self._settings):
                    await context.write(response)
            except BaseError:
                raise CancelledError("CLIENT_GONE", "the client left while it was written to") from None

        session = SessionStream(self._pool, self._settings, self._succession)
        self._registry.add(session.id, session)
        try:
            await session.run(_client_events(request_iterator, self._succession.check_room), send)
        finally:
            self._registry.remove(session.id, time.monotonic())

    async def _admit(self, context: ServicerContext[Any, Any]) -> None:
        """Tell a client that waits for it that there is room, or refuse it: one that resumes needs none, nor waits."""
        self._pool.check_room()
        try:
            await context.send_initial_metadata(())
        except BaseError:
            raise CancelledError("CLIENT_GONE", "the client left while it waited for room") from None

    async def GetSession(  # noqa: N802 - gRPC's name
        self,
        request: avatar_service_pb2.GetSessionRequest,
        context: ServicerContext[Any, Any],  # noqa: ARG002 - gRPC's signature
    ) -> avatar_service_pb2.GetSessionResponse:
        """Say how a session stands."""
        session = self._registry.find(request.session_id, time.monotonic())
        return avatar_service_pb2.GetSessionResponse(status=outgoing.session_status(session.status()))

    async def EndSession(  # noqa: N802 - gRPC's name
        self,
        request: avatar_service_pb2.EndSessionRequest,
        context: ServicerContext[Any, Any],  # noqa: ARG002 - gRPC's signature
    ) -> avatar_service_pb2.EndSessionResponse:
        """End a session."""
        self._registry.find(request.session_id, time.monotonic()).end()
        return avatar_service_pb2.EndSessionResponse()

    async def CreateAvatar(  # noqa: N802 - gRPC's name
        self,
        request: avatar_pb2.CreateAvatarRequest,
        context: ServicerContext[Any, Any],  # noqa: ARG002 - gRPC's signature
    ) -> avatar_pb2.CreateAvatarResponse:
        """Prepare a portrait ahead."""
        return await avatars.create(request, self._pool, self._settings)

    async def ListAvatars(  # noqa: N802 - gRPC's name
        self,
        request: avatar_pb2.ListAvatarsRequest,  # noqa: ARG002 - it has no fields
        context: ServicerContext[Any, Any],  # noqa: ARG002 - gRPC's signature
    ) -> avatar_pb2.ListAvatarsResponse:
        """Say which avatars are kept."""
        return avatars.listed(self._pool.avatars, self._pool.spec.name)

    async def DeleteAvatar(  # noqa: N802 - gRPC's name
        self,
        request: avatar_pb2.DeleteAvatarRequest,
        context: ServicerContext[Any, Any],  # noqa: ARG002 - gRPC's signature
    ) -> avatar_pb2.DeleteAvatarResponse:
        """Forget an avatar."""
        self._pool.avatars.delete(request.avatar_id)
        return avatar_pb2.DeleteAvatarResponse()

    async def GetCapabilities(  # noqa: N802 - gRPC's name
        self,
        request: avatar_service_pb2.GetCapabilitiesRequest,  # noqa: ARG002 - it has no fields
        context: ServicerContext[Any, Any],  # noqa: ARG002 - gRPC's signature
    ) -> avatar_service_pb2.GetCapabilitiesResponse:
        """Say what this server offers and how much of it is free."""
        spec = self._pool.spec
        engine = avatar_service_pb2.EngineCapability(
            name=spec.name, version=spec.version, fps=spec.fps, device=spec.device
        )
        return avatar_service_pb2.GetCapabilitiesResponse(
            version=__version__,
            engines=[engine],
            video_codecs=list(incoming.CODECS),
            audio_encodings=list(incoming.ENCODINGS),
            capacity_sessions=self._pool.capacity,
            free_sessions=self._pool.free,
            limits=outgoing.limits(self._settings),
        )


async def _client_events(requests: AsyncIterator[bytes], check_room: Callable[[], None]) -> AsyncIterator[ClientEvent]:
    """Yield what the client says; refuse, if there is no room for anybody, before the first of it is parsed.

    But not before it is read: an asyncio client that is still writing when the server ends the call gets an INTERNAL
    of its own in place of the status (grpc issue 36066); of such clients a third to two thirds did.
    """
    first = await anext(requests, None)
    if first is None:
        return
    check_room()
    yield _parsed(first)
    del first  # a portrait need not be kept in two forms
    async for request in requests:
        yield _parsed(request)


def _parsed(request: bytes) -> ClientEvent:
    return incoming.client_event(avatar_service_pb2.StreamAvatarRequest.FromString(request))

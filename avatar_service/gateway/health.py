"""Owns what the gateway says of its health: whether a session could be opened through it, and how many are free."""

from __future__ import annotations

from typing import Final

import grpc
from avatar_client import AvatarRpcError
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

router = APIRouter(tags=["health"])

_WITHIN_S: Final = 2.0


@router.get("/health")
async def health(request: Request) -> JSONResponse:
    """Say whether sessions are let in, here and at the service behind the gateway, and how much of it is free."""
    state = request.app.state
    if state.doors.are_closed:
        return _unhealthy("DRAINING")
    try:
        known = await state.health.Check(HealthCheckRequest(), timeout=_WITHIN_S)
        if known.status != HealthCheckResponse.SERVING:
            return _unhealthy("NOT_SERVING")
        found = await state.client.capabilities(timeout_s=_WITHIN_S)
    except grpc.aio.AioRpcError as error:
        return _unhealthy(error.code().name)
    except AvatarRpcError as error:
        return _unhealthy(error.reason or error.code.name)
    return JSONResponse(
        {
            "status": "healthy",
            "version": found.version,
            "engines": [engine.name for engine in found.engines],
            "capacity_sessions": found.capacity_sessions,
            "free_sessions": found.free_sessions,
        }
    )


def _unhealthy(reason: str) -> JSONResponse:
    return JSONResponse({"status": "unhealthy", "reason": reason}, 503, {"Retry-After": "2"})

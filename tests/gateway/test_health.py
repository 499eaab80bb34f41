"""Health says whether a session could be opened, at the gateway and at the service behind it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.gateway.test_app import free_port, running

if TYPE_CHECKING:
    from tests.gateway.conftest import Client, Run


async def test_a_full_service_is_healthy(run_gateway: Run) -> None:
    """A slot may be free again at any time."""
    async with run_gateway({"capacity": 1}) as client:
        await client.init()
        answer = await client.http.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (200, "healthy")
        assert (answer.json()["capacity_sessions"], answer.json()["free_sessions"]) == (1, 0)


async def test_a_gateway_that_drains_is_not(client: Client) -> None:
    """Whatever the service says."""
    client.doors.close()
    answer = await client.http.get("/health")
    assert (answer.status_code, answer.json()) == (503, {"status": "unhealthy", "reason": "DRAINING"})
    assert answer.headers["retry-after"]


async def test_a_service_that_drains_is_not(run_gateway: Run) -> None:
    """While it still serves the sessions that it has."""
    port = free_port()
    service = ("serve", "--host", "127.0.0.1", "--port", str(port), "--no-gateway", "--workers", "0")
    async with run_gateway(server=f"127.0.0.1:{port}") as client:
        with running(*service, "--engine", "fake") as server:
            await _status(client, 200)
            session_id = await client.init()
            server.terminate()
            assert await _status(client, 503) == {"status": "unhealthy", "reason": "NOT_SERVING"}
            assert (await client.status(session_id))["error"] is None


async def _status(client: Client, expected: int) -> dict[str, object]:
    """Ask until health has this status."""
    async with asyncio.timeout(30):
        while (answer := await client.http.get("/health")).status_code != expected:
            await asyncio.sleep(0.1)
    body: dict[str, object] = answer.json()
    return body

"""Live sessions over WebRTC: aiortc as the peer, the gateway, and the service with the fake engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from tests.gateway.conftest import Client, Run, tone
from tests.gateway.peer import Peer

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
async def peer(client: Client) -> AsyncIterator[Peer]:
    """A peer that is connected to a new session."""
    made = Peer(client.http)
    await made.connect(await client.live())
    try:
        yield made
    finally:
        await made.close()


async def test_a_peer_sees_an_idle_avatar_at_25_fps_with_exact_times(peer: Peer) -> None:
    """Each frame is 40 ms after the last one, on the wire's clock of 90 kHz."""
    await peer.until_pictures(50)
    times = np.array([time for time, _ in peer.pictures])
    assert np.allclose(np.diff(times), 0.04, atol=1e-9)

"""Live sessions whose media may only go through a TURN server: Debian's coturn, aiortc as the peer, the gateway."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCIceServer, RTCIceTransportPolicy

from tests.gateway.conftest import Run, tone
from tests.gateway.peer import Peer
from tests.gateway.test_app import free_port

pytestmark = [pytest.mark.alone, pytest.mark.timeout(90)]

USER, PASSWORD = "somebody", "a secret: with @ signs"


@dataclass(frozen=True)
class Turn:
    """A TURN server.

    Attributes:
        port: of UDP on 127.0.0.1.
        process: that runs it.
    """

    port: int
    process: asyncio.subprocess.Process

    async def stop(self) -> None:
        """End it."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


@pytest.fixture
async def turn(tmp_path: Path) -> AsyncIterator[Turn]:
    """A TURN server on loopback, for one user."""
    program = shutil.which("turnserver")
    if program is None:
        pytest.skip("coturn (turnserver) is not installed")
    port, log = free_port(), tmp_path / "turn.log"
    settings = {
        "listening-ip": "127.0.0.1",
        "relay-ip": "127.0.0.1",
        "listening-port": port,
        "realm": "test",
        "user": f"{USER}:{PASSWORD}",
        "log-file": log,
        "pidfile": tmp_path / "turn.pid",
        "userdb": tmp_path / "turn.db",
    }
    switches = (
        "lt-cred-mech",
        "no-cli",
        "no-tls",
        "no-dtls",
        "allow-loopback-peers",
        "simple-log",
        "new-log-timestamp",
    )
    lines = [*(f"{name}={value}" for name, value in settings.items()), *switches]
    (tmp_path / "turn.conf").write_text("\n".join(lines))
    log.touch()
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        program, "-c", str(tmp_path / "turn.conf"), stdin=quiet, stdout=quiet, stderr=quiet
    )
    made = Turn(port, process)
    try:
        async with asyncio.timeout(20):
            while "SQLite DB connection success" not in log.read_text():  # the last thing that it does before it serves
                assert process.returncode is None, log.read_text()
                await asyncio.sleep(0.05)
        yield made
    finally:
        await made.stop()


async def test_a_peer_behind_a_relay_sees_hears_and_is_heard(turn: Turn, run_gateway: Run) -> None:
    """With no way but the relay: pictures and sound come, speech goes, words go both ways; its death stops nobody."""
    address = f"turn:{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{turn.port}?transport=udp"
    async with run_gateway(ice_servers=(address,)) as client:
        session_id = await client.live()
        (known,) = (await client.http.post("/api/live", files={"image": client.photo})).json()["ice_servers"]
        assert (known["username"], known["credential"]) == (USER, PASSWORD)
        peer = Peer(
            client.http,
            configuration=RTCConfiguration(
                iceServers=[RTCIceServer(known["urls"], known["username"], known["credential"])],
                iceTransportPolicy=RTCIceTransportPolicy.RELAY,
            ),
        )
        candidates = [line for line in (await peer.offer()).splitlines() if line.startswith("a=candidate")]
        assert candidates
        assert all("typ relay" in line for line in candidates)
        await peer.connect(session_id)
        await peer.until_pictures(25)
        peer.voice.say(np.concatenate([tone(1.0, 48_000), np.zeros(48_000, np.int16)]))
        assert (await peer.until_told("segment_finished"))["played_s"] > 0.9
        peer.send({"type": "control", "emotion": "happy"})
        peer.send({"type": "nonsense"})
        assert (await peer.until_told("error"))["reason"] == "BAD_MESSAGE"
        assert max(np.abs(samples).max() for _, samples in peer.sounds) > 2000
        await turn.stop()
        seen = -1
        async with asyncio.timeout(20):
            while len(peer.pictures) != seen:  # all of it came through the relay
                seen = len(peer.pictures)
                await asyncio.sleep(0.5)
        # aioice asks a relay for 40 s to free its place.
        with suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await peer.close()
        await client.http.delete(peer.location)
        async with asyncio.timeout(10):
            while len(client.peers):
                await asyncio.sleep(0.02)


async def test_a_wrong_password_leaves_no_way(turn: Turn, run_gateway: Run) -> None:
    """The relay lets nobody else through: there is no candidate, so no connection, and no viewer."""
    async with run_gateway(connect_within_s=1.0) as client:
        session_id = await client.live()
        server = RTCIceServer(f"turn:127.0.0.1:{turn.port}?transport=udp", USER, "guessed")
        configuration = RTCConfiguration(iceServers=[server], iceTransportPolicy=RTCIceTransportPolicy.RELAY)
        peer = Peer(client.http, configuration=configuration)
        await peer.connect(session_id)
        assert "a=candidate" not in peer.connection.localDescription.sdp
        async with asyncio.timeout(20):
            while len(client.peers):
                await asyncio.sleep(0.02)
        assert not peer.pictures
        await peer.close()

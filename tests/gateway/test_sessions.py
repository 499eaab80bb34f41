"""Sessions that nobody uses go away, with their files; takes that are over make room for others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from avatar_service.errors import NotFoundError
from tests.gateway.conftest import API, tone, wav

if TYPE_CHECKING:
    from tests.gateway.conftest import Client, Run


def files(folder: Path) -> list[Path]:
    """Return all takes' files."""
    return [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]


def age(client: Client, session_id: str, seconds: float) -> None:
    """Make a session look as if it had not been used for so long."""
    client.sessions.get(session_id).touched_s -= seconds


async def test_a_deleted_session_leaves_no_file(run_gateway: Run, tmp_path: Path) -> None:
    """Portrait, speech and segments go with it, and the folder with the gateway."""
    async with run_gateway(folder=tmp_path) as client:
        session_id = await client.finished(wav(tone(1)))
        assert files(tmp_path)
        await client.http.delete(f"{API}/session/{session_id}")
        assert not files(tmp_path)
    assert not list(tmp_path.iterdir())


async def test_a_refused_session_leaves_no_file(run_gateway: Run, tmp_path: Path) -> None:
    """A portrait that the service refuses is not kept."""
    async with run_gateway(folder=tmp_path) as client:
        assert (await client.try_init(b"hello")).status_code == 415
        assert not files(tmp_path)


async def test_a_session_that_nobody_uses_ends_and_then_goes(run_gateway: Run, tmp_path: Path) -> None:
    """First its playlist ends and its slot is free, a minute later its files are gone and it is 410."""
    async with run_gateway({"capacity": 1}, folder=tmp_path) as client:
        session_id = await client.init()
        await client.feed(session_id, wav(tone(1)))
        await client.http.get(f"/hls/{session_id}/playlist.m3u8")
        age(client, session_id, 3001)
        await client.sessions.sweep()
        assert "ENDLIST" in (await client.http.get(f"/hls/{session_id}/playlist.m3u8")).text
        assert client.sessions.get(session_id).state == "error"
        other = await client.init()
        await client.http.delete(f"{API}/session/{other}")
        age(client, session_id, 60)
        await client.sessions.sweep()
        assert (await client.http.get(f"{API}/status/{session_id}")).status_code == 410
        assert not files(tmp_path)


async def test_a_session_in_use_stays(client: Client) -> None:
    """Feeding it and asking about it both count."""
    session_id = await client.init()
    age(client, session_id, 2999)
    await client.status(session_id)
    age(client, session_id, 2999)
    await client.feed(session_id, wav(tone(0.1)))
    await client.sessions.sweep()
    assert (await client.status(session_id))["error"] is None


async def test_the_takes_that_ended_first_make_room(run_gateway: Run) -> None:
    """Beyond the store's size the oldest ended take goes, and never a running one."""
    async with run_gateway(store_bytes=1) as client:
        running = await client.init()
        await client.feed(running, wav(tone(1)))
        ended = await client.finished(wav(tone(1)))
        await client.sessions.sweep()
        assert (await client.http.get(f"{API}/status/{ended}")).status_code == 410
        assert (await client.http.get(f"{API}/status/{running}")).status_code == 200


async def test_ended_sessions_are_forgotten_after_an_hour(client: Client) -> None:
    """410 turns into 404."""
    session_id = await client.init()
    await client.sessions.delete(session_id)
    with pytest.raises(NotFoundError, match="ended"):
        client.sessions.get(session_id)
    client.sessions._ended[session_id] -= 3601
    await client.sessions.sweep()
    with pytest.raises(NotFoundError, match="no such"):
        client.sessions.get(session_id)

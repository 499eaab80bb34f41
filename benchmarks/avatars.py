"""Measures avatars that are kept by name, beside portraits that are sent with each session. About a minute.

The last line is one JSON object; the same goes to ``benchmarks/results``. All medians are of sessions in LIVE with the
sample photograph, of which every copy differs in a byte that no decoder reads. What the figures mean:

- ``create_ms``: CreateAvatar of a picture that no worker has seen.
- ``first_frame_kept_ms``: from opening the call to its first frame, where ``init`` names an avatar.
- ``first_frame_beside_ms``: the same while another session's unseen portrait is being prepared, on one worker.
- ``first_frame_unseen_ms``: the same where ``init`` brings a picture that no worker has seen.
- ``switch_ms``: from sending ``control.avatar_id`` to the keyframe that shows the other face.
- ``longest_gap_ms``: between two frames of the session that was switched; 40 is the pace.
- ``memory_mib``: what one avatar counts.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any, Final

from avatar_client import AUDIO_ENCODING_LINEAR16, SESSION_MODE_LIVE, AudioFormat, AvatarClient, Control, VideoFormat
from google.protobuf.duration_pb2 import Duration
from provenance import commit

from avatar_service.assets import asset_path
from avatar_service.commands.bench import machine
from avatar_service.commands.load import loaded_server

RESULTS: Final = Path(__file__).parent / "results"
AUDIO: Final = AudioFormat(encoding=AUDIO_ENCODING_LINEAR16, sample_rate_hz=16_000)
RARE_KEYFRAMES: Final = [VideoFormat(keyframe_interval=Duration(seconds=60))]
ROUNDS: Final = 15
SWITCHES: Final = 20
FRAMES_BETWEEN: Final = 10

_copies = itertools.count()


def unseen() -> bytes:
    """Return the photograph as a file that differs from all others; what follows a PNG's end is not read."""
    return asset_path("astronaut.png").read_bytes() + str(next(_copies)).encode()


async def first_frame_ms(client: AvatarClient, portrait: bytes = b"", avatar_id: str = "") -> float:
    """Return the time from opening a call to its first frame."""
    began = time.monotonic()
    async with client.stream(portrait, avatar_id=avatar_id, audio=AUDIO, mode=SESSION_MODE_LIVE) as stream:
        async for response in stream:
            if response.HasField("video"):
                break
        return 1000 * (time.monotonic() - began)


async def beside_ms(client: AvatarClient, avatar_id: str) -> float:
    """Return the time to the first frame of a kept avatar while another portrait is being prepared."""
    other = asyncio.create_task(first_frame_ms(client, unseen()))
    await asyncio.sleep(0.1)
    found = await first_frame_ms(client, avatar_id=avatar_id)
    assert not other.done(), "the other portrait was prepared already"
    await other
    return found


async def switches(client: AvatarClient, ids: tuple[str, str]) -> tuple[list[float], float]:
    """Return how long each switch took in one session, and its longest gap between two frames, in milliseconds."""
    found: list[float] = []
    arrivals: list[float] = []
    stream = client.stream(avatar_id=ids[1], audio=AUDIO, video=RARE_KEYFRAMES, mode=SESSION_MODE_LIVE)
    async with stream as responses:
        asked, since = None, 0
        async for response in responses:
            if not response.HasField("video"):
                continue
            now = time.monotonic()
            arrivals.append(now)
            since += 1
            if asked is not None and response.video.keyframe:
                found.append(1000 * (now - asked))
                asked, since = None, 0
            if len(found) == SWITCHES:
                break
            if asked is None and since == FRAMES_BETWEEN:
                await asyncio.sleep(0.007 * (len(found) % 6))  # anywhere between two frames
                asked = time.monotonic()
                await responses.control(Control(avatar_id=ids[len(found) % 2]))
    gaps = [1000 * (after - before) for before, after in itertools.pairwise(arrivals)]
    return found, max(gaps)


async def measured() -> dict[str, Any]:
    """Return all figures."""
    async with loaded_server("--capacity", "4") as server, AvatarClient(server.target) as client:
        created, avatars = [], []
        for _ in range(4):
            began = time.monotonic()
            avatars.append(await client.create_avatar(unseen()))
            created.append(1000 * (time.monotonic() - began))
        avatar_id = avatars[0].avatar_id
        kept = [await first_frame_ms(client, avatar_id=avatar_id) for _ in range(ROUNDS)]
        fresh = [await first_frame_ms(client, unseen()) for _ in range(ROUNDS // 3)]
        took, gap = await switches(client, (avatar_id, avatars[1].avatar_id))
    async with loaded_server("--capacity", "4", "--workers", "1") as server, AvatarClient(server.target) as client:
        alone = await client.create_avatar(unseen())
        beside = [await beside_ms(client, alone.avatar_id) for _ in range(ROUNDS // 3)]
    return {
        "create_ms": round(statistics.median(created), 1),
        "first_frame_kept_ms": round(statistics.median(kept), 1),
        "first_frame_kept_ms_max": round(max(kept), 1),
        "first_frame_beside_ms": round(statistics.median(beside), 1),
        "first_frame_unseen_ms": round(statistics.median(fresh), 1),
        "switch_ms": round(statistics.median(took), 1),
        "switch_ms_max": round(max(took), 1),
        "longest_gap_ms": round(gap, 1),
        "memory_mib": round(avatars[0].memory_bytes / 2**20, 1),
    }


def main() -> None:
    """Measure, write the results, and print them as the last line."""
    report = {"benchmark": "avatars", "commit": commit(), **machine(), **asyncio.run(measured())}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "avatars.json").write_text(json.dumps(report, indent=2) + "\n")
    sys.stderr.flush()
    print(json.dumps(report))


if __name__ == "__main__":
    main()

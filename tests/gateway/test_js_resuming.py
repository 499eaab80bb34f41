"""The JavaScript client behind a connection that breaks, against the real gateway: no chunk is lost or taken twice."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.clients.test_client_resuming import Wire
from tests.gateway.conftest import Client

pytestmark = pytest.mark.alone

CLIENT = Path(__file__).parents[2] / "clients" / "js" / "src" / "index.js"
CHUNKS = 6
FRAMES_A_CHUNK = 5
SCRIPT = f"""
import {{ readFileSync }} from "node:fs";
import {{ ChunkedStreamingClient, encodeWav }} from "{CLIENT.as_uri()}";
const [, url, portrait] = process.argv;
const client = new ChunkedStreamingClient(url, {{ resumeS: 20 }});
await client.initSession(readFileSync(portrait), {{ crop: false }});
console.log(client.sessionId);
process.stdin.once("data", async () => {{
  for (let number = 1; number <= {CHUNKS}; number += 1) {{
    await client.feedAudioChunk(encodeWav(new Float32Array(3200).fill(number / 10), 16000), number === {CHUNKS});
  }}
  process.exit(0);
}});
"""


@pytest.mark.parametrize("cut", [0, 100, 700, 1_500])
async def test_a_connection_cut_anywhere_loses_and_repeats_no_chunk(
    client: Client, photo: bytes, tmp_path: Path, cut: int
) -> None:
    """Also where a chunk was taken and its answer was lost."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    portrait = tmp_path / "portrait.png"
    portrait.write_bytes(photo)
    wire = Wire(client.http.base_url.netloc.decode())
    async with asyncio.timeout(60), await wire.serve():
        command = (node, "--input-type=module", "--eval", SCRIPT, f"http://127.0.0.1:{wire.port}", str(portrait))
        pipe = asyncio.subprocess.PIPE
        page = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        assert page.stdout is not None
        session_id = (await page.stdout.readline()).decode().strip()
        wire.cut_after = cut
        await page.communicate(b"go\n")
    assert page.returncode == 0
    assert wire.cut_after is None
    standing = await client.until(session_id, "complete")
    assert standing["total_frames_generated"] == CHUNKS * FRAMES_A_CHUNK

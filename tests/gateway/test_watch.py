"""What viewers fetch: playlists that keep the rules, segments, parts, and the live file."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hls_rules import Reloads, parse

from avatar_service.engine.fake import read_number
from tests.gateway.conftest import API, Movie, tone, wav

if TYPE_CHECKING:
    from tests.gateway.conftest import Client, Run

pytestmark = pytest.mark.alone


async def test_a_session_is_valid_hls_on_every_reload(client: Client) -> None:
    """While it is published, by blocking reloads, and to its end: no rule is broken, and what is listed is there."""
    session_id = await client.init()
    await client.feed(session_id, wav(tone(3.3)), is_final_chunk="true")
    reloads, deltas = Reloads(), Reloads()
    base = f"/hls/{session_id}/"
    playlist = await client.http.get(f"{base}playlist.m3u8")
    media = reloads.check(playlist.text, time.monotonic(), audio_waits=True)
    fetched: dict[str, bytes] = {}
    while not media.ended:
        number, part = media.edge
        asked: dict[str, Any] = {"_HLS_msn": number, "_HLS_part": part}
        answers = await asyncio.gather(
            client.http.get(f"{base}playlist.m3u8", params=asked),
            client.http.get(f"{base}playlist.m3u8", params={**asked, "_HLS_skip": "YES"}),
        )
        media = reloads.check(answers[0].text, time.monotonic(), audio_waits=True)
        deltas.check(answers[1].text, time.monotonic(), audio_waits=True)
        for segment in [*media.segments, *([media.tail] if media.tail else [])]:
            for uri in [*([segment.uri] if segment.uri else []), *(each.uri for each in segment.parts)]:
                if uri not in fetched:
                    answer = await client.http.get(base + uri)
                    assert answer.status_code == 200
                    assert int(answer.headers["content-length"]) == len(answer.content) > 0
                    fetched[uri] = answer.content
    assert reloads.violations == []
    assert deltas.violations == []
    assert reloads.count > 10
    whole = b"".join(fetched[segment.uri] for segment in media.segments)
    for segment in media.segments:
        assert fetched[segment.uri] == b"".join(fetched[part.uri] for part in segment.parts) or not segment.parts
    init = (await client.http.get(f"{base}v0/init.mp4")).content
    movie = Movie.decode(init + whole)
    assert [read_number(each) for each in movie.pictures] == list(range(83))
    assert np.allclose(movie.times_s, np.arange(83) / 25, atol=1e-4)
    assert sum(segment.duration_s for segment in media.segments) == pytest.approx(83 / 25, abs=0.001)
    assert abs(len(movie.sound) / 48_000 - 83 / 25) <= 1024 / 48_000


async def test_every_segment_starts_with_a_picture_that_needs_no_other(client: Client) -> None:
    """Each can be decoded alone, behind the initialisation segment."""
    session_id = await client.init()
    client.sessions.get(session_id).publisher._is_paced = False
    await client.feed(session_id, wav(tone(1.5)), is_final_chunk="true")
    await client.until(session_id, "complete")
    init = (await client.http.get(f"/hls/{session_id}/v0/init.mp4")).content
    for number in range(3):
        segment = (await client.http.get(f"/hls/{session_id}/v0/{number}.m4s")).content
        first = Movie.decode(init + segment).pictures[0]
        assert read_number(first) == 15 * number


async def test_audio_that_came_faster_is_published_at_the_pace_at_which_it_plays(client: Client) -> None:
    """Who follows the live edge of four seconds that were fed at once sees them for about as long."""
    session_id = await client.init()
    await client.feed(session_id, wav(tone(4)), is_final_chunk="true")
    first = await client.http.get(f"/hls/{session_id}/playlist.m3u8")
    assert len(parse(first.text).segments) == 1
    await client.until(session_id, "complete")
    began = time.monotonic()
    async with asyncio.timeout(10):
        while not parse((await client.http.get(f"/hls/{session_id}/playlist.m3u8")).text).ended:
            await asyncio.sleep(0.05)
    assert 2.0 < time.monotonic() - began < 6.0


async def test_the_first_viewer_misses_nothing(client: Client) -> None:
    """Whoever asks for the playlist only after all was made still gets the first segment first."""
    session_id = await client.finished(wav(tone(3)))
    media = parse((await client.http.get(f"/hls/{session_id}/playlist.m3u8")).text)
    assert (media.first, len(media.segments), media.ended) == (0, 1, False)


async def test_a_playlist_before_the_first_segment_waits_and_is_bounded(run_gateway: Run) -> None:
    """Without audio it is 503 with Retry-After; with audio it is there soon."""
    async with run_gateway(first_segment_wait_s=0.2) as client:
        session_id = await client.init()
        early = await client.http.get(f"/hls/{session_id}/playlist.m3u8")
        assert (early.status_code, early.json()["reason"]) == (503, "NOT_YET")
        assert int(early.headers["retry-after"]) >= 1
    async with run_gateway() as client:
        session_id = await client.init()
        waiting = asyncio.create_task(client.http.get(f"/hls/{session_id}/playlist.m3u8"))
        await client.feed(session_id, wav(tone(1)))
        assert (await waiting).status_code == 200


async def test_blocking_requests_that_cannot_be_answered(client: Client) -> None:
    """Too far ahead and without a segment number: 400; a list that stands still: 503 with Retry-After."""
    session_id = await client.init()
    await client.feed(session_id, wav(tone(1)))
    base = f"/hls/{session_id}/playlist.m3u8"
    await client.http.get(base)
    for query in ("_HLS_msn=99", "_HLS_part=0", "_HLS_msn=-1", "_HLS_msn=x", "_HLS_msn=99999999999999999999"):
        answer = await client.http.get(f"{base}?{query}")
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json"), query
    late = await client.http.get(f"{base}?_HLS_msn=2&_HLS_part=0")
    assert (late.status_code, late.json()["reason"]) == (503, "NOT_YET")
    assert "retry-after" in late.headers


async def test_the_hinted_part_is_waited_for(client: Client) -> None:
    """A request for it is answered when it is published, with its bytes."""
    session_id = await client.init()
    waiting = asyncio.create_task(client.http.get(f"/hls/{session_id}/v0/0.0.m4s"))
    listed = asyncio.create_task(client.http.get(f"/hls/{session_id}/playlist.m3u8"))
    await client.feed(session_id, wav(tone(1)))
    part = await waiting
    assert part.status_code == 200
    await listed
    assert (await client.http.get(f"/hls/{session_id}/v0/0.0.m4s")).content == part.content
    assert (await client.http.get(f"/hls/{session_id}/v0/7.0.m4s")).status_code == 404


@pytest.mark.parametrize(
    ("asked", "status", "span"),
    [
        ("bytes=0-9", 206, (0, 10)),
        ("bytes=10-", 206, (10, None)),
        ("bytes=-10", 206, (-10, None)),
        ("bytes=5-99999999", 206, (5, None)),
        ("bytes=99999999-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=9-5", 200, (0, None)),
        ("bytes=0-1,5-6", 200, (0, None)),
        ("lines=0-9", 200, (0, None)),
        ("bytes=-", 200, (0, None)),
        ("bytes=x-y", 200, (0, None)),
    ],
)
async def test_ranges_of_a_segment(
    client: Client, asked: str, status: int, span: tuple[int, int | None] | None
) -> None:
    """One range is a part of the whole, one beyond it is refused, what is no single range is ignored."""
    session_id = await client.finished(wav(tone(0.6)))
    await client.http.get(f"/hls/{session_id}/playlist.m3u8")
    url = f"/hls/{session_id}/v0/0.m4s"
    whole = (await client.http.get(url)).content
    answer = await client.http.get(url, headers={"Range": asked})
    assert answer.status_code == status
    if span is None:
        assert answer.headers["content-range"] == f"bytes */{len(whole)}"
    else:
        assert answer.content == whole[slice(*span)]
    if status == 206:
        assert answer.headers["content-range"].endswith(f"/{len(whole)}")


async def test_conditions_heads_and_caching(client: Client) -> None:
    """Segments are immutable, playlists are not cached; an entity tag that is known saves the body; HEAD has none."""
    session_id = await client.finished(wav(tone(0.6)))
    playlist = await client.http.get(f"/hls/{session_id}/playlist.m3u8")
    assert playlist.headers["cache-control"] == "no-cache"
    assert playlist.headers["content-type"] == "application/vnd.apple.mpegurl"
    url = f"/hls/{session_id}/v0/0.m4s"
    whole = await client.http.get(url)
    assert "immutable" in whole.headers["cache-control"]
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-type"] == "video/mp4"
    tag = whole.headers["etag"]
    for condition in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        known = await client.http.get(url, headers={"If-None-Match": condition})
        assert (known.status_code, known.content) == (304, b"")
    assert (await client.http.get(url, headers={"If-None-Match": '"other"'})).status_code == 200
    stale = await client.http.get(url, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert stale.status_code == 200
    head = await client.http.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == len(whole.content)


async def test_segments_that_left_the_list_can_still_be_fetched(run_gateway: Run) -> None:
    """A window of nothing lists the last seconds; the first segment is there all the same."""
    async with run_gateway(window_s=0.0) as client:
        session_id = await client.init()
        client.sessions.get(session_id).publisher._is_paced = False
        for _ in range(5):
            await client.feed(session_id, wav(tone(4)))
        await client.feed(session_id, None, is_final_chunk="true")
        await client.until(session_id, "complete")
        async with asyncio.timeout(10):
            while not (media := parse((await client.http.get(f"/hls/{session_id}/playlist.m3u8")).text)).ended:
                pass
        assert media.first > 0
        assert media.duration_s < 12
        assert (await client.http.get(f"/hls/{session_id}/v0/0.m4s")).status_code == 200


async def test_the_live_file_is_the_whole_take_for_who_came_first(client: Client) -> None:
    """One response, from the first frame to the last; its sound and pictures begin at 0."""
    session_id = await client.init()
    watching = asyncio.create_task(client.http.get(f"/live/{session_id}.mp4"))
    await asyncio.sleep(0.1)
    await client.feed(session_id, wav(tone(1.1)), is_final_chunk="true")
    answer = await watching
    movie = Movie.decode(answer.content)
    assert answer.headers["content-type"] == "video/mp4"
    assert [read_number(each) for each in movie.pictures] == list(range(28))
    assert (movie.times_s[0], movie.sound_start_s) == (0.0, 0.0)


async def test_the_live_file_of_who_came_late_starts_with_a_keyframe_at_zero(client: Client) -> None:
    """It begins with a segment's first frame, shown at once, its sound within an AAC frame of it."""
    session_id = await client.init()
    await client.feed(session_id, wav(tone(3)), is_final_chunk="true")
    while len(parse((await client.http.get(f"/hls/{session_id}/playlist.m3u8")).text).segments) < 3:
        await asyncio.sleep(0.02)
    movie = Movie.decode((await client.http.get(f"/live/{session_id}.mp4")).content)
    numbers = [read_number(each) for each in movie.pictures]
    assert numbers[0] > 0
    assert numbers[0] % 15 == 0
    assert numbers == list(range(numbers[0], 75))
    assert movie.times_s[0] == 0.0
    assert 0 <= movie.sound_start_s < 0.03


async def test_the_live_file_of_a_take_that_is_over_is_all_of_it(client: Client) -> None:
    """Once the last part is out, it begins at the beginning."""
    session_id = await client.finished(wav(tone(0.5)))
    async with asyncio.timeout(10):
        while not parse((await client.http.get(f"/hls/{session_id}/playlist.m3u8")).text).ended:
            pass
    movie = Movie.decode((await client.http.get(f"/live/{session_id}.mp4")).content)
    assert [read_number(each) for each in movie.pictures] == list(range(13))


async def test_sixteen_viewers_cost_the_service_one_session(run_gateway: Run) -> None:
    """All see the same frames of the one session that there is room for."""
    async with run_gateway({"capacity": 1}) as client:
        session_id = await client.init()
        viewers = [asyncio.create_task(client.http.get(f"/live/{session_id}.mp4")) for _ in range(16)]
        await asyncio.sleep(0.3)
        await client.feed(session_id, wav(tone(0.5)), is_final_chunk="true")
        answers = {(await viewer).content for viewer in viewers}
        standing = await client.until(session_id, "complete")
    assert len(answers) == 1
    assert standing["total_frames_generated"] == 13


async def test_a_deleted_session_lets_its_viewers_go(client: Client) -> None:
    """A live response ends, a blocked reload is answered."""
    session_id = await client.init()
    await client.feed(session_id, wav(tone(1)))
    await client.http.get(f"/hls/{session_id}/playlist.m3u8")
    watching = asyncio.create_task(client.http.get(f"/live/{session_id}.mp4"))
    blocked = asyncio.create_task(client.http.get(f"/hls/{session_id}/playlist.m3u8?_HLS_msn=2"))
    await asyncio.sleep(0.1)
    await client.http.delete(f"{API}/session/{session_id}")
    async with asyncio.timeout(2):
        assert (await watching).status_code == 200
        assert "#EXT-X-ENDLIST" in (await blocked).text


async def test_only_configured_origins_may_read(run_gateway: Run) -> None:
    """CORS headers are for those origins, and for no others."""
    async with run_gateway(cors_origins=("https://page.example",)) as client:
        session_id = await client.finished(wav(tone(0.6)))
        url = f"/hls/{session_id}/playlist.m3u8"
        known = await client.http.get(url, headers={"Origin": "https://page.example"})
        assert known.headers["access-control-allow-origin"] == "https://page.example"
        other = await client.http.get(url, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
        before = await client.http.options(
            url,
            headers={
                "Origin": "https://page.example",
                "Access-Control-Request-Method": "GET",
                "Access-Control-Request-Headers": "range",
            },
        )
        assert before.status_code == 200


async def test_without_configured_origins_nobody_elsewhere_may(client: Client) -> None:
    """There is no CORS header at all."""
    answer = await client.http.get("/health", headers={"Origin": "https://page.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_viewer_who_lags_is_sent_away(client: Client) -> None:
    """His response ends; nobody else notices, and no more than a few seconds are kept for him."""
    session_id = await client.init()
    publisher = client.sessions.get(session_id).publisher
    publisher._is_paced = False
    slow = aiter(publisher.watch())
    first = asyncio.ensure_future(anext(slow))
    await asyncio.sleep(0)
    await client.feed(session_id, wav(tone(8)), is_final_chunk="true")
    await client.until(session_id, "complete")
    await first
    with pytest.raises(StopAsyncIteration):
        await anext(slow)

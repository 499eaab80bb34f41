"""Owns the rows of bad inputs along the life of a take: before its first segment, fed too fast, over, deleted.

Those who send at once have a take each, and the cases are played in the order of that life.
"""

from __future__ import annotations

import asyncio
from typing import Final

import httpx

from load.bad_cases import API, Answer, Case, Sender, problem

SECONDS: Final = 2
"""Of speech in a take, fed at once."""
RATE_HZ: Final = 24_000
CHUNK_S: Final = 10
MOST_CHUNKS: Final = 60
"""Of ten seconds: each of those who fill the spool would fill it alone."""
GONE: Final = (410, "SESSION_ENDED")
WHOLE: Final = "whole"
POLL_S: Final = 0.5
MADE_WITHIN_S: Final = 90.0


def cases() -> list[Case]:
    """Return all of them."""
    return [
        *_before_the_first_segment(),
        Case(22, "HTTP: faster than real time", _feed_all, ("200", f"{SECONDS * 25} frames")),
        *_ranges(),
        *_conditions(),
        *_dots(),
        *_deleted(),
        # At the end, or the others would wait while it is made of so much speech.
        Case(22, "HTTP: more than the spool holds", _fill, ("429", "SPOOL_FULL")),
    ]


def _take(sender: Sender, number: int, path: str) -> str:
    return path.format(id=sender.takes[number])


def _asked(row: int, path: str, status: int, reason: str, method: str = "GET") -> Case:
    async def send(sender: Sender, number: int) -> Answer:
        return problem(await sender.http.request(method, _take(sender, number, path)))

    return Case(row, f"HTTP: {method} {path}, {status}", send, (str(status), reason))


def _before_the_first_segment() -> list[Case]:
    return [
        _asked(59, "/hls/{id}/v0/0.m4s", 404, "NO_SUCH_FILE"),
        _asked(59, "/hls/{id}/v0/0.0.m4s", 503, "NOT_YET"),
        _asked(59, "/hls/{id}/playlist.m3u8", 503, "NOT_YET"),
        _asked(59, "/api/hls/{id}/download", 409, "TAKE_RUNNING"),
    ]


# Speech ----------------------------------------------------------------------------------------------------------


async def feed(sender: Sender, take: str, seconds: int, *, is_final: bool) -> Answer:
    """Feed so many seconds of silence at once."""
    files = {"audio_chunk": ("chunk", bytes(2 * RATE_HZ * seconds), f"audio/pcm;rate={RATE_HZ}")}
    data = {"session_id": take, "is_final_chunk": str(is_final)}
    return await sender.post(f"{API}/feed", data=data, files=files)


async def _fill(sender: Sender, _: int) -> Answer:
    """Feed the take that belongs to all until no more is taken."""
    answer = ("200", "")
    for _ in range(MOST_CHUNKS):
        if answer[0] == "200":
            answer = await feed(sender, sender.takes[-1], CHUNK_S, is_final=False)
    return answer


async def _feed_all(sender: Sender, number: int) -> Answer:
    """Feed all of the take, which by now has given its slot back and gets one again; return how many frames it has."""
    answer = await feed(sender, sender.takes[number], SECONDS, is_final=True)
    if answer[0] != "200":
        return answer
    async with asyncio.timeout(MADE_WITHIN_S):
        while (found := (await _status(sender, number)))["status"] not in {"complete", "error"}:
            await asyncio.sleep(POLL_S)
    return "200", f"{found['total_frames_generated']} frames" if found["status"] == "complete" else found["error"]


async def _status(sender: Sender, number: int) -> dict[str, str]:
    found: dict[str, str] = (await sender.http.get(_take(sender, number, f"{API}/status/{{id}}"))).json()
    return found


# What is fetched of a take that is over --------------------------------------------------------------------------


def _fetched(name: str, expected: Answer, **headers: str) -> Case:
    """Return the case of asking for the first segment, with headers: told are the status and which bytes came."""

    async def send(sender: Sender, number: int) -> Answer:
        known, url = await _known(sender, number)
        answer = await sender.http.get(url, headers=headers)
        return str(answer.status_code), _which(answer.content, known.content)

    return Case(59, f"HTTP: {name}", send, expected)


async def _known(sender: Sender, number: int) -> tuple[httpx.Response, str]:
    """Return the first segment and where it is."""
    url = _take(sender, number, "/hls/{id}/v0/0.m4s")
    return (await sender.http.get(url)).raise_for_status(), url


def _which(content: bytes, whole: bytes) -> str:
    """Say which bytes of the whole these are."""
    if not content or content == whole:
        return WHOLE if content else "nothing"
    return f"{len(content)} from {whole.find(content)}"


def _ranges() -> list[Case]:
    return [
        _asked(59, "/hls/{id}/playlist.m3u8", 200, ""),
        _fetched("whole segment", ("200", WHOLE)),
        _fetched("first bytes", ("206", "40 from 0"), Range="bytes=0-39"),
        _fetched("bytes in between", ("206", "40 from 4"), Range="bytes=4-43"),
        _fetched("range beyond the end", ("416", "nothing"), Range="bytes=99999999-"),
        _fetched("last no bytes", ("416", "nothing"), Range="bytes=-0"),
        *(_fetched(f"no range: {r}", ("200", WHOLE), Range=r) for r in ("bytes=9-5", "bytes=0-1,5-6", "lines=0-9")),
        _fetched("range of another state", ("200", WHOLE), **{"Range": "bytes=0-9", "If-Range": '"other"'}),
    ]


def _conditions() -> list[Case]:
    return [
        Case(59, "HTTP: known entity tag", _known_tag, ("304", "nothing")),
        _fetched("any entity tag", ("304", "nothing"), **{"If-None-Match": "*"}),
        _fetched("other entity tag", ("200", WHOLE), **{"If-None-Match": '"other"'}),
        Case(59, "HTTP: HEAD", _head, ("200", "nothing, but its length")),
        _asked(59, "/hls/{id}/v0/9999.m4s", 404, "NO_SUCH_FILE"),
        _asked(59, "/hls/{id}/v1/0.m4s", 404, "NO_SUCH_FILE"),
        _asked(59, "/hls/{id}/v0/0.m4s", 405, "METHOD_NOT_ALLOWED", "PUT"),
    ]


async def _known_tag(sender: Sender, number: int) -> Answer:
    known, url = await _known(sender, number)
    answer = await sender.http.get(url, headers={"If-None-Match": known.headers["etag"]})
    return str(answer.status_code), _which(answer.content, known.content)


async def _head(sender: Sender, number: int) -> Answer:
    known, url = await _known(sender, number)
    answer = await sender.http.head(url)
    is_told = answer.headers.get("content-length") == str(len(known.content))
    return str(answer.status_code), f"{_which(answer.content, known.content)}{', but its length' * is_told}"


def _dots() -> list[Case]:
    names = ("%2e%2e", "..%5c..%5cportrait", "portrait", "v0-000000.m4s", "%00")
    paths = ("%2e%2e%2fportrait", "%2e%2e/%2e%2e/%2e%2e/etc/passwd")
    return [
        *(_asked(59, f"/hls/{{id}}/v0/{name}", 404, "NO_SUCH_FILE") for name in names),
        *(_asked(59, f"/hls/{{id}}/v0/{path}", 404, "NOT_FOUND") for path in paths),
    ]


# What is said of it once it is deleted ---------------------------------------------------------------------------


def _deleted() -> list[Case]:
    session = f"{API}/session/{{id}}"
    media = ("/hls/{id}/playlist.m3u8", "/hls/{id}/v0/init.mp4", "/hls/{id}/v0/0.m4s")
    return [
        _asked(30, session, 200, "", "DELETE"),
        _asked(30, session, *GONE, "DELETE"),
        _asked(30, f"{API}/status/{{id}}", *GONE),
        *(_asked(59, path, *GONE) for path in (*media, "/live/{id}.mp4", "/api/hls/{id}/download")),
        Case(30, "HTTP: feed", _feed_deleted, (str(GONE[0]), GONE[1])),
    ]


async def _feed_deleted(sender: Sender, number: int) -> Answer:
    return await feed(sender, sender.takes[number], 1, is_final=False)

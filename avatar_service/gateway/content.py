"""Owns how bytes in memory are answered: ranges, entity tags and HEAD (RFC 9110), caching and CORS-safe headers."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from fastapi import Request
from fastapi.responses import Response

IMMUTABLE: Final = "public, max-age=31536000, immutable"
NO_CACHE: Final = "no-cache"

_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def content_response(request: Request, content: bytes, media_type: str, caching: str) -> Response:
    """Return ``content``, or the range of it that is asked for: 200, 206, 304 or 416.

    Several ranges at once are answered with the whole, as RFC 9110 14.2 allows.
    """
    tag = f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": caching, "Accept-Ranges": "bytes"}
    if _matches(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    asked = request.headers.get("range")
    if asked is not None and request.headers.get("if-range", tag) == tag:
        match = _RANGE.fullmatch(asked.strip())
        if match is not None and any(match.groups()):
            return _partial(content, match[1], match[2], media_type, headers)
    return _whole(request, content, media_type, headers)


def _whole(request: Request, content: bytes, media_type: str, headers: dict[str, str]) -> Response:
    if request.method == "HEAD":
        return Response(media_type=media_type, headers={**headers, "Content-Length": str(len(content))})
    return Response(content, media_type=media_type, headers=headers)


def _partial(content: bytes, first: str, last: str, media_type: str, headers: dict[str, str]) -> Response:
    size = len(content)
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last), size - 1) if first and last else size - 1
    if start > end or (not first and int(last) == 0):
        if first and last and int(first) > int(last):  # no range at all: ignored
            return Response(content, media_type=media_type, headers=headers)
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {start}-{end}/{size}"
    return Response(content[start : end + 1], 206, headers, media_type)


def _matches(condition: str, tag: str) -> bool:
    tags = [each.strip().removeprefix("W/") for each in condition.split(",")]
    return tag in tags or tags == ["*"]

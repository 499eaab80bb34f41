"""Owns the checks of an offer: what it may hold, and what of it can be served. Opens no connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiortc.sdp import SessionDescription

from avatar_service.errors import InvalidArgumentError

MAX_BYTES: Final = 32 * 1024
_MAX_LINES: Final = 1000
_MAX_CANDIDATES: Final = 64
_KINDS: Final = ("video", "audio", "application")
"""Media that an offer may have, each once."""

_STUMBLES: Final = (ValueError, LookupError, TypeError, AttributeError, AssertionError, StopIteration)
"""What aiortc's parser raises where the text is not what it expects."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer that was checked.

    Attributes:
        text: the SDP.
        codecs: of video, in lower case, in the peer's order.
        has_sound: whether it takes or sends sound.
    """

    text: str
    codecs: tuple[str, ...]
    has_sound: bool


def read_offer(content: bytes) -> Offer:
    """Return the offer that a peer sent.

    Raises:
        InvalidArgumentError: ``BAD_SDP`` if it is none, or holds more than it may.
    """
    if len(content) > MAX_BYTES:
        raise refusal("BAD_SDP", f"an offer has at most {MAX_BYTES // 1024} KiB")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise refusal("BAD_SDP", "the offer is not UTF-8") from None
    lines = text.splitlines()
    if len(lines) > _MAX_LINES or sum(line.startswith("a=candidate:") for line in lines) > _MAX_CANDIDATES:
        raise refusal("BAD_SDP", f"an offer has at most {_MAX_LINES} lines and {_MAX_CANDIDATES} candidates")
    kinds = [line[2:].split(" ", 1)[0] for line in lines if line.startswith("m=")]
    if not text.startswith("v=0") or len(set(kinds)) != len(kinds) or not set(kinds) <= set(_KINDS):
        raise refusal("BAD_SDP", "the offer must have one video, at most one audio and at most one application media")
    if "video" not in kinds:
        raise refusal("BAD_SDP", "the offer takes no video")
    return Offer(text, _codecs(text), "audio" in kinds)


def refusal(reason: str, message: str) -> InvalidArgumentError:
    """Return the error of an offer that cannot be taken."""
    return InvalidArgumentError(reason, message, field="sdp")


def _codecs(text: str) -> tuple[str, ...]:
    try:
        description = SessionDescription.parse(text)
    except _STUMBLES:
        raise refusal("BAD_SDP", "the offer is no SDP that can be read") from None
    for media in description.media:
        has_ice = media.ice is not None and media.ice.usernameFragment and media.ice.password
        if not (has_ice and media.dtls and media.dtls.fingerprints and media.rtp.muxId):
            raise refusal("BAD_SDP", "every media of the offer needs a mid, ICE credentials and a DTLS fingerprint")
    mids = {media.rtp.muxId for media in description.media}
    bundles = [group.items for group in description.group if group.semantic == "BUNDLE"]
    if len(mids) != len(description.media) or any(not set(items) <= mids for items in bundles):
        raise refusal("BAD_SDP", "every media needs a mid of its own, and BUNDLE may name no others")
    video = next(media for media in description.media if media.kind == "video")
    return tuple(codec.mimeType.lower() for codec in video.rtp.codecs)

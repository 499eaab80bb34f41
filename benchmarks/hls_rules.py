"""Owns the rules that a live playlist must keep from one reload to the next, whoever makes it.

It reads the text by itself, so that it shares no mistake with what wrote it. Sources: RFC 8216, its second edition
(draft-pantos-hls-rfc8216bis) and what players were seen to need.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)')
_MILLISECOND = 0.0015


@dataclass(frozen=True)
class Part:
    """One EXT-X-PART."""

    uri: str
    duration_s: float
    independent: bool


@dataclass
class Segment:
    """One EXTINF, or the parts after the last one (then without a URI)."""

    number: int
    uri: str = ""
    duration_s: float = 0.0
    date: datetime | None = None
    discontinuity: bool = False
    parts: list[Part] = field(default_factory=list)

    @property
    def identity(self) -> tuple[object, ...]:
        """What may never change."""
        return self.uri, self.duration_s, self.date, self.discontinuity


@dataclass
class Media:
    """One media playlist, parsed."""

    tags: dict[str, str] = field(default_factory=dict)
    first: int = 0
    segments: list[Segment] = field(default_factory=list)
    tail: Segment | None = None
    hint: str = ""
    skipped: int = 0
    ended: bool = False
    first_line: str = ""

    @property
    def duration_s(self) -> float:
        """Of the whole segments that are listed."""
        return sum(segment.duration_s for segment in self.segments)

    @property
    def edge(self) -> tuple[int, int]:
        """Segment and part that come next."""
        return self.first + self.skipped + len(self.segments), len(self.tail.parts) if self.tail else 0

    def control(self, name: str) -> str:
        """Return an attribute of EXT-X-SERVER-CONTROL; empty if there is none."""
        return attributes(self.tags.get("EXT-X-SERVER-CONTROL", "")).get(name, "")


def attributes(text: str) -> dict[str, str]:
    """Return an attribute list, quotes taken off."""
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(text)}


def parse(text: str) -> Media:
    """Return a media playlist."""
    media = Media(first_line=text.split("\n", 1)[0])
    current = Segment(0)
    pending = 0.0
    for line in filter(None, text.splitlines()):
        name, _, value = line.removeprefix("#").partition(":")
        if not line.startswith("#"):
            current.number = media.first + media.skipped + len(media.segments)
            current.uri, current.duration_s = line, pending
            media.segments.append(current)
            current = Segment(0)
        elif name == "EXTINF":
            pending = float(value.rstrip(",").split(",")[0])
        elif name == "EXT-X-PART":
            found = attributes(value)
            current.parts.append(Part(found["URI"], float(found["DURATION"]), found.get("INDEPENDENT") == "YES"))
        elif name == "EXT-X-PROGRAM-DATE-TIME":
            current.date = datetime.fromisoformat(value)
        elif name == "EXT-X-DISCONTINUITY":
            current.discontinuity = True
        else:
            _read_tag(media, name, value)
    if current.parts:
        current.number = media.first + media.skipped + len(media.segments)
        media.tail = current
    return media


def _read_tag(media: Media, name: str, value: str) -> None:
    media.tags[name] = value
    if name == "EXT-X-MEDIA-SEQUENCE":
        media.first = int(value)
    elif name == "EXT-X-SKIP":
        media.skipped = int(attributes(value)["SKIPPED-SEGMENTS"])
    elif name == "EXT-X-PRELOAD-HINT":
        media.hint = attributes(value)["URI"]
    elif name == "EXT-X-ENDLIST":
        media.ended = True


class Reloads:
    """Checks one playlist over all its reloads.

    Attributes:
        count: reloads so far.
        violations: what was wrong, in words, in order.
    """

    def __init__(self) -> None:
        self.count = 0
        self.violations: list[str] = []
        self._known: dict[int, Segment] = {}
        self._last: Media | None = None
        self._last_text = ""
        self._changed_s = 0.0

    def check(self, text: str, now: float, *, audio_waits: bool = False) -> Media:
        """Check a reload that came at ``now``, in seconds; ``audio_waits`` says that more should have come."""
        self.count += 1
        media = parse(text)
        found = [*_shape(media), *_low_latency(media), *self._continuity(media, text, now, audio_waits=audio_waits)]
        self.violations += [f"reload {self.count}: {each}" for each in found]
        if text != self._last_text:
            self._changed_s = now
        self._last, self._last_text = media, text
        self._known |= {segment.number: segment for segment in media.segments}
        return media

    def _continuity(self, media: Media, text: str, now: float, *, audio_waits: bool) -> list[str]:
        last = self._last
        if last is None:
            return []
        found = []
        if last.ended and text != self._last_text:
            found.append("something follows ENDLIST")
        if last.tags.get("EXT-X-TARGETDURATION") != media.tags.get("EXT-X-TARGETDURATION"):
            found.append("TARGETDURATION changed")
        if media.first < last.first or media.edge < last.edge:
            found.append("the playlist went back")
        target_s = float(media.tags.get("EXT-X-TARGETDURATION", "0"))
        if media.first > last.first and media.duration_s < 3 * target_s and not media.skipped:
            found.append("segments were removed from a list of less than three target durations")
        for segment in media.segments:
            known = self._known.get(segment.number)
            if known is not None and known.identity != segment.identity:
                found.append(f"segment {segment.number} changed")
        if last.hint and media.edge > last.edge and not _was_kept(last, media):
            found.append(f"the hint {last.hint} was not honoured")
        if audio_waits and not media.ended and text == self._last_text and now - self._changed_s > 1.5 * target_s:
            found.append("nothing new for 1.5 target durations while audio waits")
        return found


def _was_kept(last: Media, media: Media) -> bool:
    """Say whether the part that was hinted at came, or its segment ended without it."""
    number, index = last.edge
    every = [*media.segments, *([media.tail] if media.tail else [])]
    segment = next((each for each in every if each.number == number), None)
    if segment is None or not segment.parts or index >= len(segment.parts):
        return True  # its parts have aged out, or the segment ended
    return segment.parts[index].uri == last.hint


def _shape(media: Media) -> list[str]:
    found = []
    tags = media.tags
    if media.first_line != "#EXTM3U":
        found.append("EXTM3U is not the first line")
    needed = 9 if "EXT-X-SKIP" in tags or media.control("CAN-SKIP-UNTIL") else 6
    if int(tags.get("EXT-X-VERSION", "1")) < needed:
        found.append(f"VERSION is less than {needed}")
    found += [f"{tag} is missing" for tag in ("EXT-X-INDEPENDENT-SEGMENTS", "EXT-X-MAP") if tag not in tags]
    target_s = int(tags.get("EXT-X-TARGETDURATION", "0"))
    dates = []
    for segment in media.segments:
        if round(segment.duration_s) > target_s:
            found.append(f"segment {segment.number} is longer than TARGETDURATION")
        if segment.parts and abs(sum(part.duration_s for part in segment.parts) - segment.duration_s) > _MILLISECOND:
            found.append(f"the parts of segment {segment.number} are not as long as it is")
        if segment.date is None:
            found.append(f"segment {segment.number} has no date")
        else:
            dates.append((segment.date, segment.duration_s))
    for (earlier, duration_s), (later, _) in pairwise(dates):
        if (later - earlier).total_seconds() < duration_s - _MILLISECOND:
            found.append("a date is earlier than the end of the segment before")
    return found


def _low_latency(media: Media) -> list[str]:
    found = []
    target_s = float(attributes(media.tags.get("EXT-X-PART-INF", "")).get("PART-TARGET", "0"))
    if not target_s:
        return ["PART-TARGET is missing"]
    if float(media.control("PART-HOLD-BACK") or 0) < 3 * target_s - _MILLISECOND:
        found.append("PART-HOLD-BACK is less than three part targets")
    if media.control("CAN-BLOCK-RELOAD") != "YES":
        found.append("CAN-BLOCK-RELOAD is missing")
    if float(media.control("CAN-SKIP-UNTIL") or 99) < 6 * float(media.tags.get("EXT-X-TARGETDURATION", "0")):
        found.append("CAN-SKIP-UNTIL is less than six target durations")
    if not media.hint and not media.ended:
        found.append("PRELOAD-HINT is missing")
    for segment in [*media.segments, *([media.tail] if media.tail else [])]:
        if segment.parts and not segment.parts[0].independent:
            found.append(f"segment {segment.number} does not start with an independent part")
        found += [
            f"part {part.uri} is longer than PART-TARGET"
            for part in segment.parts
            if part.duration_s > target_s + _MILLISECOND
        ]
        found += [
            f"part {part.uri} is shorter than 85 % of PART-TARGET and not the last of its segment"
            for part in segment.parts[:-1]
            if part.duration_s < 0.85 * target_s
        ]
    return found

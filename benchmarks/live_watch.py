"""Owns what the benchmark of LIVE sees of a session, and the figures that it comes to."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from avatar_client import FRAME_KIND_IDLE, FRAME_KIND_SPEECH, StreamAvatarResponse

MESSAGE_S: Final = 0.02
FRAME_TICKS: Final = 3600
FRAME_SAMPLES: Final = 640


@dataclass
class Watch:
    """What was seen of one session.

    Attributes:
        arrivals: time and pts of each frame.
        sent_at: of each paced segment, when each of its messages was sent.
        latencies_ms: of the frames of paced segments.
        interrupts: when each was sent, and not yet answered.
        acks_ms: of the interrupts.
        closing_since: when the interrupt was sent behind which the lips do not rest yet.
        closed_ms: how long that took.
        shown: frames of each segment up to the last one that came.
        played_errors: in frames, of each interrupt.
        events: how many of each kind.
        excused: pts behind which a gap is an interrupt's.
    """

    arrivals: list[tuple[float, int]] = field(default_factory=list)
    sent_at: dict[str, list[float]] = field(default_factory=dict)
    latencies_ms: list[float] = field(default_factory=list)
    interrupts: list[float] = field(default_factory=list)
    acks_ms: list[float] = field(default_factory=list)
    closing_since: float | None = None
    closed_ms: list[float] = field(default_factory=list)
    shown: Counter[str] = field(default_factory=Counter)
    played_errors: list[float] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)
    excused: set[int] = field(default_factory=set)

    def see(self, response: StreamAvatarResponse, now: float) -> None:
        """Take one response."""
        if response.HasField("video"):
            self._see_frame(response.video, now)
        elif response.HasField("event"):
            name = response.event.WhichOneof("event")
            self.events[name] += 1
            if name == "interrupted":
                self._see_interrupted(response.event.interrupted, now)

    def _see_frame(self, video: Any, now: float) -> None:
        self.arrivals.append((now, video.pts))
        if video.kind == FRAME_KIND_SPEECH:
            self.shown[video.segment_id] = video.frame_index + 1
            self.closing_since = None  # the next segment speaks already
            sent = self.sent_at.get(video.segment_id)
            if sent:
                last = min(round((video.frame_index + 1) * 0.04 / MESSAGE_S), len(sent)) - 1
                self.latencies_ms.append(1000 * (now - sent[last]))
        elif video.kind == FRAME_KIND_IDLE and self.closing_since is not None:
            self.closed_ms.append(1000 * (now - self.closing_since))
            self.closing_since = None

    def _see_interrupted(self, interrupted: Any, now: float) -> None:
        asked = self.interrupts.pop(0)
        self.acks_ms.append(1000 * (now - asked))
        self.excused.add(self.arrivals[-1][1])
        if interrupted.segment_ids:
            self.closing_since = asked
            played = interrupted.played.ToMilliseconds() * 16 / FRAME_SAMPLES
            seen = sum(self.shown[name] for name in interrupted.segment_ids)
            self.played_errors.append(abs(played - seen))


def figures(watch: Watch) -> dict[str, Any]:
    """Return what was seen, as numbers."""
    times = np.array([arrival for arrival, _ in watch.arrivals])
    ticks = np.array([pts // FRAME_TICKS for _, pts in watch.arrivals])
    gaps = [(int(before), int(after - before) - 1) for before, after in itertools.pairwise(ticks)]
    cut = {before for before, lost in gaps if lost > 0 and before * FRAME_TICKS in watch.excused}
    late_ms = 1000 * (times - times[0] - (ticks - ticks[0]) / 25)
    tenth = max(1, len(late_ms) // 10)
    return {
        "speech_latency_ms_p95": quantile(watch.latencies_ms, 0.95),
        "speech_latency_ms_p50": quantile(watch.latencies_ms, 0.5),
        "interrupt_ack_ms_p99": quantile(watch.acks_ms, 0.99),
        "mouth_closed_ms_p99": quantile(watch.closed_ms, 0.99),
        "played_error_frames_max": round(max(watch.played_errors, default=0.0), 3),
        "missing": sum(lost for before, lost in gaps if lost > 0 and before not in cut),
        "duplicate": sum(lost < 0 for _, lost in gaps),
        "cut": sum(lost for before, lost in gaps if before in cut),
        "fps": round(float((ticks[-1] - ticks[0]) / (times[-1] - times[0])), 3),
        "drift_ms": round(float(np.median(late_ms[-tenth:]) - np.median(late_ms[:tenth])), 1),
        "longest_gap_ms": round(1000 * float(np.diff(times).max()), 1),
        "frames": len(ticks),
        "interrupts": len(watch.acks_ms),
        "events": dict(watch.events),
    }


def quantile(values: list[float], share: float) -> float:
    """Return a quantile, rounded."""
    return round(float(np.quantile(values, share)), 1)

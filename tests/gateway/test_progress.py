"""The figures of a session."""

from __future__ import annotations

import pytest
from avatar_client import Ready, Video
from google.protobuf.duration_pb2 import Duration

from avatar_service.gateway.progress import Progress


def test_lateness_counts_from_the_last_audio_that_a_frame_needs() -> None:
    """Two pieces of 100 ms at 1 s and 2 s; frame 0 needs 140 ms with the look-ahead, so the second one."""
    now = [0.0]
    progress = Progress(lambda: now[0])
    progress.begin_call(Ready(engine="fake", fps=25, look_ahead=Duration(nanos=100_000_000)))
    assert progress.lateness_ms is None
    progress.fed()
    for at in (1.0, 2.0):
        now[0] = at
        progress.sent(4800)
    now[0] = 2.03
    progress.shown(Video(frame_index=0))
    assert progress.lateness_ms == pytest.approx(30)
    assert progress.first_frame_ms == pytest.approx(2030)
    assert progress.uptime_s == pytest.approx(2.03)


def test_the_first_frame_is_counted_once() -> None:
    """From the first feed; later ones change nothing."""
    now = [5.0]
    progress = Progress(lambda: now[0])
    progress.fed()
    now[0] = 5.5
    progress.shown(Video())
    now[0] = 9.0
    progress.fed()
    progress.shown(Video())
    assert progress.first_frame_ms == pytest.approx(500)

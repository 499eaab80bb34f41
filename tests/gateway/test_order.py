"""What is ordered, in the words of StreamAvatar."""

from __future__ import annotations

import pytest
from avatar_client import PRESET_BALANCED, PRESET_BEST_QUALITY, PRESET_LOWEST_LATENCY

from avatar_service.gateway.order import Order, Preset


@pytest.mark.parametrize("is_live", [False, True])
@pytest.mark.parametrize(
    ("preset", "kbps", "expected"),
    [
        (Preset.LOWEST_LATENCY, 600, PRESET_LOWEST_LATENCY),
        (Preset.BALANCED, 0, PRESET_BALANCED),
        (Preset.BEST_QUALITY, 4000, PRESET_BEST_QUALITY),
    ],
)
def test_a_preset_is_look_ahead_and_rate(preset: Preset, kbps: int, expected: int, *, is_live: bool) -> None:
    """Of takes and of streams that go on."""
    order = Order(preset=preset, is_live=is_live)
    assert order.generation().preset == expected
    assert [video.bitrate_kbps for video in order.video()] == [kbps]

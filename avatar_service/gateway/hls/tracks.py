"""Owns the numbers of a take's tracks and the ticks of each."""

from __future__ import annotations

from typing import Final

from avatar_service.media import TIME_BASE_HZ

VIDEO_TRACK: Final = 1
SOUND_TRACK: Final = 2

SOUND_RATE_HZ: Final = 48_000

TICKS_HZ: Final = {VIDEO_TRACK: TIME_BASE_HZ, SOUND_TRACK: SOUND_RATE_HZ}

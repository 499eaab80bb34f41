"""Owns the two forms of an H.264 access unit: Annex B, as the service sends it, and MP4's own."""

from __future__ import annotations

import re
from typing import Final

_START: Final = re.compile(b"\x00*\x00\x00\x01")
_SPS: Final = 7
_PPS: Final = 8
_DELIMITER: Final = 9
_LENGTH_BYTES: Final = 4


def nal_units(access_unit: bytes) -> list[bytes]:
    """Return the NAL units of an Annex B byte stream, in order (ITU-T H.264, annex B)."""
    return [unit for unit in _START.split(access_unit) if unit]


def parameter_sets(access_unit: bytes) -> tuple[bytes, ...]:
    """Return the sequence and picture parameter sets that an access unit carries."""
    return tuple(unit for unit in nal_units(access_unit) if unit[0] & 0x1F in {_SPS, _PPS})


def length_prefixed(access_unit: bytes) -> bytes:
    """Return an access unit as an ``avc1`` sample: a length before each NAL unit, parameter sets left out.

    They are in the initialisation segment (ISO/IEC 14496-15, 5.3.3 and 5.4.2).
    """
    kept = [unit for unit in nal_units(access_unit) if unit[0] & 0x1F not in {_SPS, _PPS, _DELIMITER}]
    return b"".join(len(unit).to_bytes(_LENGTH_BYTES, "big") + unit for unit in kept)

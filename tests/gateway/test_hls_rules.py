"""The checker of playlists finds what is wrong, so that its silence means something."""

from __future__ import annotations

import hls_rules
import pytest

GOOD = """#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:1
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=6.0,HOLD-BACK=3.0,PART-HOLD-BACK=0.6
#EXT-X-PART-INF:PART-TARGET=0.2
#EXT-X-MEDIA-SEQUENCE:4
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI="init.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000+00:00
#EXT-X-PART:DURATION=0.2,URI="4.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.2,URI="4.1.m4s"
#EXTINF:0.4,
4.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.400+00:00
#EXT-X-PART:DURATION=0.2,URI="5.0.m4s",INDEPENDENT=YES
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="5.1.m4s"
"""


def faults(*texts: str, audio_waits: bool = False, apart_s: float = 1.0) -> list[str]:
    """Return what is wrong with reloads that came one after the other."""
    reloads = hls_rules.Reloads()
    for number, text in enumerate(texts):
        reloads.check(text, number * apart_s, audio_waits=audio_waits)
    return reloads.violations


def test_a_good_playlist_has_no_fault() -> None:
    """Neither alone, nor when it comes again, nor when it goes on."""
    more = GOOD.replace(
        '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="5.1.m4s"',
        '#EXT-X-PART:DURATION=0.2,URI="5.1.m4s"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI="5.2.m4s"',
    )
    assert faults(GOOD, GOOD, more) == []


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("#EXTM3U\n", "\n#EXTM3U\n", "EXTM3U"),
        ("VERSION:9", "VERSION:6", "VERSION"),
        ("#EXT-X-INDEPENDENT-SEGMENTS\n", "", "INDEPENDENT-SEGMENTS"),
        ('#EXT-X-MAP:URI="init.mp4"\n', "", "MAP"),
        ("#EXTINF:0.4", "#EXTINF:1.6", "TARGETDURATION"),
        ("#EXTINF:0.4", "#EXTINF:0.6", "parts of segment 4"),
        ("#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000+00:00\n", "", "no date"),
        ("PART-HOLD-BACK=0.6", "PART-HOLD-BACK=0.5", "PART-HOLD-BACK"),
        ("CAN-BLOCK-RELOAD=YES", "CAN-BLOCK-RELOAD=NO", "CAN-BLOCK-RELOAD"),
        ("CAN-SKIP-UNTIL=6.0", "CAN-SKIP-UNTIL=5.0", "CAN-SKIP-UNTIL"),
        ("#EXT-X-PART-INF:PART-TARGET=0.2\n", "", "PART-TARGET"),
        ('#EXT-X-PRELOAD-HINT:TYPE=PART,URI="5.1.m4s"\n', "", "PRELOAD-HINT"),
        ('URI="5.0.m4s",INDEPENDENT=YES', 'URI="5.0.m4s"', "independent"),
        ('DURATION=0.2,URI="5.0.m4s"', 'DURATION=0.3,URI="5.0.m4s"', "longer than PART-TARGET"),
        ('DURATION=0.2,URI="4.0.m4s"', 'DURATION=0.1,URI="4.0.m4s"', "85 %"),
    ],
)
def test_one_fault_in_one_playlist_is_named(old: str, new: str, word: str) -> None:
    """Each rule that a single playlist can break."""
    assert old in GOOD
    assert any(word in fault for fault in faults(GOOD.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("TARGETDURATION:1", "TARGETDURATION:2", "TARGETDURATION changed"),
        ("MEDIA-SEQUENCE:4", "MEDIA-SEQUENCE:3", "went back"),
        ("#EXTINF:0.4", "#EXTINF:0.3995", "segment 4 changed"),
        ("\n4.m4s", "\n4.mp4", "segment 4 changed"),
        ("00:00:00.000+00:00", "00:00:00.001+00:00", "segment 4 changed"),
        ("MEDIA-SEQUENCE:4", "MEDIA-SEQUENCE:5", "removed"),
        (
            '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="5.1.m4s"',
            '#EXT-X-PART:DURATION=0.2,URI="x.m4s"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI="5.2.m4s"',
            "hint",
        ),
    ],
)
def test_a_fault_from_one_reload_to_the_next_is_named(old: str, new: str, word: str) -> None:
    """Each rule that only two reloads together can break."""
    assert any(word in fault for fault in faults(GOOD, GOOD.replace(old, new)))


def test_nothing_may_follow_the_end() -> None:
    """A list with ENDLIST is frozen."""
    ended = GOOD + "#EXT-X-ENDLIST\n"
    assert faults(ended, ended) == []
    assert any("ENDLIST" in fault for fault in faults(ended, GOOD))


def test_standing_still_is_a_fault_only_while_audio_waits() -> None:
    """Two seconds without anything new."""
    assert faults(GOOD, GOOD, GOOD) == []
    assert any("1.5" in fault for fault in faults(GOOD, GOOD, GOOD, audio_waits=True))


def test_dates_may_not_overlap() -> None:
    """A segment's date is not before the end of the one before."""
    closed = GOOD.replace(
        '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="5.1.m4s"',
        '#EXTINF:0.2,\n5.m4s\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI="6.0.m4s"',
    )
    assert faults(closed) == []
    assert any("date" in fault for fault in faults(closed.replace("00:00:00.400", "00:00:00.300")))

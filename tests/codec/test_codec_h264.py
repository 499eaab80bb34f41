"""H.264: one access unit a frame, decodable by others."""

from __future__ import annotations

import av
import numpy as np
import pytest

from avatar_service.codec.base import AccessUnit, Frame
from avatar_service.codec.h264 import H264Encoder

SLICE, IDR, SPS, PPS = 1, 5, 7, 8


def moving(number: int, size: tuple[int, int] = (128, 96)) -> Frame:
    """Return a picture with a bright bar that moves a little each frame."""
    frame = np.full((size[1], size[0], 3), (40, 80, 120), np.uint8)
    left = 4 * number % (size[0] - 16)
    frame[:, left : left + 16] = (230, 60, 30)
    return frame


def units_of(content: bytes) -> list[int]:
    """Return the types of the NAL units of an Annex B access unit."""
    return [piece[0] & 0x1F for piece in content.split(b"\x00\x00\x01")[1:]]


def encode(
    count: int, keyframes: frozenset[int] = frozenset(), **options: float
) -> tuple[H264Encoder, list[AccessUnit]]:
    """Encode a moving picture."""
    chosen = {"bitrate_kbps": 0, "keyframe_interval_s": 60.0, **options}
    encoder = H264Encoder((128, 96), 25, **chosen)  # type: ignore[arg-type]
    return encoder, [encoder.encode(moving(number), keyframe=number in keyframes) for number in range(count)]


def decode(units: list[AccessUnit]) -> list[Frame]:
    """Decode with FFmpeg's own decoder, access unit by access unit."""
    context = av.CodecContext.create("h264", "r")
    frames = [frame for unit in units for frame in context.decode(av.Packet(unit.content))]
    return [frame.to_ndarray(format="rgb24") for frame in frames + context.decode(None)]


def test_frames_decode_to_what_was_encoded() -> None:
    """Every access unit is one picture, near the original and with its colours in order."""
    _, units = encode(20)
    pictures = decode(units)
    assert len(pictures) == 20
    for number, picture in enumerate(pictures):
        assert np.abs(picture.astype(int) - moving(number)).mean() < 8


def test_no_frame_is_held_back() -> None:
    """Each encode call gives exactly one coded picture."""
    _, units = encode(12, frozenset({0, 5}))
    for unit in units:
        assert sum(kind in {SLICE, IDR} for kind in units_of(unit.content)) == 1
        assert unit.content.startswith((b"\x00\x00\x00\x01", b"\x00\x00\x01"))


def test_forced_keyframes_are_idr_with_parameter_sets() -> None:
    """A keyframe asked for carries SPS and PPS; between them there is none."""
    _, units = encode(20, frozenset({0, 7, 8, 15}))
    assert [number for number, unit in enumerate(units) if unit.keyframe] == [0, 7, 8, 15]
    for unit in units:
        kinds = units_of(unit.content)
        assert unit.keyframe == (IDR in kinds)
        assert unit.keyframe == (SPS in kinds and PPS in kinds)


@pytest.mark.parametrize("start", [7, 15])
def test_decoding_may_start_at_any_keyframe(start: int) -> None:
    """A viewer who joins at a forced keyframe sees the same pictures."""
    _, units = encode(20, frozenset({0, 7, 15}))
    whole, joined = decode(units), decode(units[start:])
    assert len(joined) == 20 - start
    for late, early in zip(joined, whole[start:], strict=True):
        np.testing.assert_array_equal(late, early)


@pytest.mark.parametrize(("interval_s", "frames"), [(0.2, 5), (0.4, 10), (2.0, 50)])
def test_keyframes_come_at_least_so_often(interval_s: float, frames: int) -> None:
    """Without any force, one keyframe an interval."""
    _, units = encode(2 * frames + 1, keyframe_interval_s=interval_s)
    assert [number for number, unit in enumerate(units) if unit.keyframe] == [0, frames, 2 * frames]


@pytest.mark.parametrize(("interval_s", "keyframes"), [(0.4, [0, 5, 10, 15]), (0.36, [0, 4, 8, 12, 16]), (2.0, [0])])
def test_frames_that_are_left_out_count_for_the_interval(interval_s: float, keyframes: list[int]) -> None:
    """With every second one skipped no two keyframes are farther apart than without, and all can be decoded."""
    encoder, units = encode(0, keyframe_interval_s=interval_s)
    for number in range(0, 40, 2):
        units.append(encoder.encode(moving(number), keyframe=False))
        encoder.skip()
    assert [number for number, unit in enumerate(units) if unit.keyframe] == keyframes
    assert len(decode(units)) == 20


@pytest.mark.parametrize("size", [(64, 64), (512, 512), (1920, 1080), (66, 98)])
def test_codec_string_says_constrained_baseline(size: tuple[int, int]) -> None:
    """Profile 42 with constraints, and the same bytes as in the stream's own parameter set."""
    encoder = H264Encoder(size, 25, 0, 2.0)
    assert encoder.codec_string.startswith("avc1.42")
    assert int(encoder.codec_string[7:9], 16) & 0xC0 == 0xC0
    unit = encoder.encode(moving(0, size), keyframe=True)
    (sps,) = [piece for piece in unit.content.split(b"\x00\x00\x01")[1:] if piece[0] & 0x1F == SPS]
    assert encoder.codec_string == f"avc1.{sps[1:4].hex()}"
    (picture,) = decode([unit])
    assert picture.shape == (size[1], size[0], 3)


def test_bitrate_bounds_the_stream() -> None:
    """Noise at 200 kbit/s takes far less room than at constant quality."""
    noise = np.random.default_rng(0)
    frames = [noise.integers(0, 256, (96, 128, 3), np.uint8) for _ in range(50)]
    sizes = {}
    for bitrate in (0, 200):
        encoder = H264Encoder((128, 96), 25, bitrate, 60.0)
        sizes[bitrate] = sum(len(encoder.encode(frame, keyframe=False).content) for frame in frames)
    assert sizes[200] < sizes[0] / 2
    assert sizes[200] * 8 / 2 < 2 * 200_000


def test_encoders_do_not_know_each_other() -> None:
    """Two streams in turn give what each gives alone."""
    _, alone = encode(6)
    first, second = H264Encoder((128, 96), 25, 0, 60.0), H264Encoder((128, 96), 25, 0, 60.0)
    together = []
    for number in range(6):
        together.append(first.encode(moving(number), keyframe=False))
        second.encode(moving(number + 3), keyframe=True)
    assert together == alone


def test_another_bitrate_begins_with_a_keyframe_and_is_kept() -> None:
    """From noise that needs it, a tenth of the rate makes frames of about a tenth; the stream stays decodable."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 96, 128, 3), np.uint8)
    encoder = H264Encoder((128, 96), 25, bitrate_kbps=2000, keyframe_interval_s=60.0)
    units = [encoder.encode(picture, keyframe=False) for picture in noise[:30]]
    encoder.set_bitrate(200)
    units += [encoder.encode(picture, keyframe=False) for picture in noise[30:]]
    assert [number for number, unit in enumerate(units) if unit.keyframe] == [0, 30]
    before, after = (sum(len(unit.content) for unit in part) for part in (units[10:30], units[40:]))
    assert after < before / 4
    assert len(decode(units)) == 60


def test_constant_quality_keeps_its_bound() -> None:
    """Noise, which would take ten times as much, soon comes at 4000 kbit/s, in a stream that goes on to decode."""
    noise = np.random.default_rng(0).integers(0, 256, (75, 256, 384, 3), np.uint8)
    encoder = H264Encoder((384, 256), 25, bitrate_kbps=0, keyframe_interval_s=60.0)
    units = [encoder.encode(picture, keyframe=False) for picture in noise]
    sizes = [8 * len(unit.content) for unit in units]
    assert sum(sizes[25:50]) == pytest.approx(4_000_000, rel=0.1)
    assert sum(sizes[50:]) == pytest.approx(4_000_000, rel=0.1)
    begins, *again = [number for number, unit in enumerate(units) if unit.keyframe]
    assert begins == 0
    assert len(again) == 1
    assert len(decode(units)) == 75


def test_constant_quality_that_costs_little_stays_as_it_is() -> None:
    """Ten frames above the bound within a calm stream do not change how the rest is encoded."""
    noise = np.random.default_rng(0).integers(0, 256, (10, 144, 192, 3), np.uint8)
    encoder = H264Encoder((192, 144), 25, bitrate_kbps=0, keyframe_interval_s=60.0)
    calm = [moving(number, (192, 144)) for number in range(40)]
    units = [encoder.encode(picture, keyframe=False) for picture in [*calm, *noise, *calm]]
    assert [number for number, unit in enumerate(units) if unit.keyframe] == [0]
    assert 8 * sum(len(unit.content) for unit in units[40:50]) > 4_000_000 * 10 / 25


def test_another_bitrate_forgets_the_bound() -> None:
    """Back at constant quality the stream is encoded as at the beginning."""
    noise = np.random.default_rng(0).integers(0, 256, (20, 256, 384, 3), np.uint8)
    encoder = H264Encoder((384, 256), 25, bitrate_kbps=0, keyframe_interval_s=60.0)
    first = [encoder.encode(picture, keyframe=False) for picture in noise]
    encoder.set_bitrate(0)
    assert [encoder.encode(picture, keyframe=False) for picture in noise] == first

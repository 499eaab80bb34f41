"""Uploaded chunks become one stream of 48 kHz speech, whatever they were and however they were cut."""

from __future__ import annotations

import io
import math

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar_service.errors import InvalidArgumentError, ResourceExhaustedError
from avatar_service.gateway.feed import Chunk, Joiner, decode
from avatar_service.gateway.spool import Spool
from tests.gateway.conftest import tone


def encoded(kind: str, codec: str, rate_hz: int = 48_000) -> bytes:
    """Return a second of a tone as a file."""
    content = io.BytesIO()
    with av.open(content, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=rate_hz, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(1, rate_hz)[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = rate_hz
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return content.getvalue()


@pytest.mark.parametrize(
    ("kind", "codec", "content_type"),
    [
        ("mp3", "libmp3lame", "audio/mpeg"),
        ("flac", "flac", "audio/flac"),
        ("ogg", "libopus", "audio/ogg"),
        ("webm", "libopus", "audio/webm;codecs=opus"),
        ("ipod", "aac", "audio/mp4"),
        ("wav", "pcm_s16le", "application/octet-stream"),
    ],
)
def test_files_are_decoded(kind: str, codec: str, content_type: str) -> None:
    """Every format that browsers and scripts record, whatever type they claim; a second stays a second."""
    chunk = decode(encoded(kind, codec), content_type, 24_000)
    assert chunk.rate_hz == 48_000
    assert len(chunk.samples) == pytest.approx(48_000, abs=2500)
    heard = chunk.samples[12_000:36_000].astype(float)
    assert abs(np.fft.rfft(heard)).argmax() == 110  # 220 Hz in half a second


@pytest.mark.parametrize(
    ("content_type", "rate_hz"),
    [
        ("audio/pcm", 24_000),
        ("audio/pcm;rate=16000", 16_000),
        ("audio/x-raw; rate=8000", 8_000),
        ("", 24_000),
        ("application/octet-stream", 24_000),
        ("AUDIO/PCM; RATE=44100", 44_100),
    ],
)
def test_raw_samples_are_little_endian(content_type: str, rate_hz: int) -> None:
    """At the session's rate, or at the one that the type names."""
    samples = np.arange(-50, 50, dtype=np.int16)
    chunk = decode(samples.tobytes(), content_type, 24_000)
    assert chunk.rate_hz == rate_hz
    assert np.array_equal(chunk.samples, samples)


def test_l16_is_big_endian_as_its_standard_says() -> None:
    """RFC 2586."""
    samples = np.arange(-50, 50, dtype=np.int16)
    assert np.array_equal(decode(samples.astype(">i2").tobytes(), "audio/L16;rate=16000", 24_000).samples, samples)


def test_two_channels_are_averaged() -> None:
    """Raw as in files."""
    pairs = np.array([[100, 200], [-3, -4]], np.int16)
    assert decode(pairs.tobytes(), "audio/pcm;channels=2", 24_000).samples.tolist() == [150, -4]


def test_ten_seconds_are_the_longest_chunk() -> None:
    """And not a sample more."""
    assert len(decode(bytes(480_000), "audio/pcm", 24_000).samples) == 240_000
    with pytest.raises(InvalidArgumentError) as refused:
        decode(bytes(480_002), "audio/pcm", 24_000)
    assert refused.value.reason == "AUDIO_TOO_LONG"


@given(st.sampled_from([8_000, 16_000, 22_050, 24_000, 44_100, 48_000]), st.lists(st.integers(0, 6000), max_size=6))
@settings(max_examples=40)
def test_cutting_makes_no_difference(rate_hz: int, places: list[int]) -> None:
    """The joined chunks are the whole, sample by sample, and as long as they should be."""
    speech = np.random.default_rng(0).integers(-9000, 9000, 6000).astype(np.int16)
    whole, parts = Joiner(), Joiner()
    expected = np.concatenate([whole.join(Chunk(speech, rate_hz)), whole.flush()])
    pieces = [parts.join(Chunk(piece, rate_hz)) for piece in np.split(speech, sorted(places))]
    assert np.array_equal(np.concatenate([*pieces, parts.flush()]), expected)
    assert len(expected) == math.ceil(6000 * 48_000 / rate_hz)


def test_a_change_of_rate_loses_nothing() -> None:
    """Each stretch of one rate is as long as it should be."""
    joiner = Joiner()
    made = sum(len(joiner.join(Chunk(np.ones(1001, np.int16), rate))) for rate in (16_000, 44_100, 48_000, 22_050))
    made += len(joiner.flush())
    assert made == sum(math.ceil(1001 * 48_000 / rate) for rate in (16_000, 44_100, 48_000, 22_050))


@given(st.lists(st.tuples(st.binary(max_size=50), st.integers(0, 60)), max_size=20))
def test_the_spool_gives_back_what_it_was_given(steps: list[tuple[bytes, int]]) -> None:
    """In order, all of it, and knows how much waits."""
    spool = Spool(io.BytesIO(), 10_000)
    given_, taken = b"", b""
    for content, size in steps:
        spool.put(content)
        given_ += content
        taken += spool.take(size)
        assert len(spool) == len(given_) - len(taken)
    assert taken + spool.take(10_000) == given_


def test_the_spool_refuses_what_does_not_fit() -> None:
    """And says when to come again."""
    spool = Spool(io.BytesIO(), 10)
    spool.check(10, 6.0)
    spool.put(bytes(8))
    with pytest.raises(ResourceExhaustedError) as refused:
        spool.check(3, 6.0)
    assert (refused.value.reason, refused.value.retry_after_s) == ("SPOOL_FULL", 6.0)

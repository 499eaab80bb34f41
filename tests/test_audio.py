"""From a client's bytes to 16 kHz mono floats."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from avatar_service.audio import (
    MAX_MESSAGE_BYTES,
    AudioEncoding,
    AudioFormat,
    SpeechDecoder,
    refuse_files,
    to_mono,
)
from avatar_service.errors import InvalidArgumentError
from avatar_service.pcm import to_samples

Split = Callable[[bytes, Sequence[int], int], list[bytes]]

RAW = [encoding for encoding in AudioEncoding if encoding is not AudioEncoding.OPUS]
_ENCODINGS = st.sampled_from(RAW)
_RATES = st.one_of(st.sampled_from([8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000]), st.integers(8_000, 48_000))


def decoded(audio_format: AudioFormat, messages: Sequence[bytes]) -> NDArray[np.float32]:
    """Return all samples of one segment sent in these messages."""
    decoder = SpeechDecoder(audio_format)
    return to_samples(b"".join([*(decoder.decode(message) for message in messages), decoder.flush()]))


def mono(message: bytes, audio_format: AudioFormat) -> NDArray[np.float32]:
    """Return the samples of one message at its own rate."""
    return to_samples(to_mono(message, audio_format))


def speech_bytes(encoding: AudioEncoding, count: int, seed: int) -> bytes:
    """Return ``count`` samples of noise as the encoding stores them."""
    noise = np.random.default_rng(seed)
    match encoding:
        case AudioEncoding.LINEAR16:
            return noise.integers(-32768, 32768, count).astype("<i2").tobytes()
        case AudioEncoding.FLOAT32:
            return noise.uniform(-1, 1, count).astype("<f4").tobytes()
        case _:
            return noise.integers(0, 256, count).astype(np.uint8).tobytes()


def refusal(audio_format: AudioFormat, *messages: bytes) -> InvalidArgumentError:
    """Return the error that decoding ends with."""
    with pytest.raises(InvalidArgumentError) as caught:
        decoded(audio_format, messages)
    return caught.value


LINEAR = AudioFormat(AudioEncoding.LINEAR16, 16_000)
FLOAT = AudioFormat(AudioEncoding.FLOAT32, 16_000)

# Encodings -------------------------------------------------------------------------------------------------------


def test_linear16_is_little_endian_and_full_scale() -> None:
    """-32768 is -1, and the low byte comes first."""
    samples = mono(struct.pack("<5h", -32768, -1, 0, 1, 32767), LINEAR)
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, np.array([-32768, -1, 0, 1, 32767], np.float32) / 32768)


def test_float32_is_taken_as_it_is_and_clipped() -> None:
    """Within [-1, 1] it is rounded to 16 bits at the most; up to 8 it is clipped."""
    samples = mono(struct.pack("<6f", -8.0, -1.0, -0.25, 0.125, 1.0, 7.5), FLOAT)
    loudest = 32767 / 32768
    np.testing.assert_array_equal(samples, np.array([-1, -1, -0.25, 0.125, loudest, loudest], np.float32))


@pytest.mark.parametrize(
    ("code", "value"), [(0x00, -8031), (0x80, 8031), (0xFF, 0), (0x7F, 0), (0xF0, 30), (0x6F, -33)]
)
def test_mulaw_values_of_the_standard(code: int, value: int) -> None:
    """Values of ITU-T G.711, table 2, in 14 bits."""
    samples = mono(bytes([code]), AudioFormat(AudioEncoding.MULAW, 8_000))
    assert samples[0] == np.float32(value / 8192)


@pytest.mark.parametrize(("code", "value"), [(0xD5, 1), (0x55, -1), (0xAA, 4032), (0x2A, -4032), (0xC5, 33)])
def test_alaw_values_of_the_standard(code: int, value: int) -> None:
    """Values of ITU-T G.711, table 1, in 13 bits."""
    samples = mono(bytes([code]), AudioFormat(AudioEncoding.ALAW, 8_000))
    assert samples[0] == np.float32(value / 4096)


@pytest.mark.parametrize(
    ("encoding", "codec"), [(AudioEncoding.MULAW, "pcm_mulaw"), (AudioEncoding.ALAW, "pcm_alaw")], ids=str
)
def test_all_256_codes_agree_with_ffmpeg(encoding: AudioEncoding, codec: str) -> None:
    """Another decoder of G.711 gives the same 256 values."""
    every = bytes(range(256))
    context = av.CodecContext.create(codec, "r")
    context.sample_rate = 8_000
    context.layout = "mono"
    (frame,) = context.decode(av.Packet(every))
    np.testing.assert_array_equal(mono(every, AudioFormat(encoding, 8_000)), frame.to_ndarray()[0] / 32768)


@given(encoding=_ENCODINGS, count=st.integers(0, 500), seed=st.integers(0, 99))
def test_two_channels_are_averaged(encoding: AudioEncoding, count: int, seed: int) -> None:
    """Stereo is the mean of its two channels, each decoded alone."""
    size = encoding.sample_bytes
    left, right = speech_bytes(encoding, count, seed), speech_bytes(encoding, count, seed + 1)
    both = b"".join(left[i : i + size] + right[i : i + size] for i in range(0, len(left), size))
    one, stereo = AudioFormat(encoding, 16_000), AudioFormat(encoding, 16_000, 2)
    expected = (mono(left, one) + mono(right, one)) / 2
    np.testing.assert_allclose(mono(both, stereo), expected, atol=0.5 / 32768)


# Formats ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0, 1, 7_999, 48_001, 384_001, 2**32 - 1])
def test_rates_out_of_range_are_refused(rate: int) -> None:
    """Only 8 to 48 kHz are speech."""
    with pytest.raises(InvalidArgumentError) as caught:
        AudioFormat(AudioEncoding.LINEAR16, rate)
    assert (caught.value.reason, caught.value.field) == ("SAMPLE_RATE", "init.audio.sample_rate_hz")


@pytest.mark.parametrize("channels", [-1, 0, 3, 1024])
def test_channel_counts_out_of_range_are_refused(channels: int) -> None:
    """Only mono and stereo are speech."""
    with pytest.raises(InvalidArgumentError) as caught:
        AudioFormat(AudioEncoding.LINEAR16, 16_000, channels)
    assert (caught.value.reason, caught.value.field) == ("CHANNELS", "init.audio.channels")


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("encoding", RAW, ids=lambda encoding: encoding.name)
def test_messages_that_end_inside_a_sample_are_refused(encoding: AudioEncoding, channels: int) -> None:
    """One byte too few is an error wherever a sample has more than one."""
    audio_format = AudioFormat(encoding, 16_000, channels)
    assert audio_format.block_bytes == encoding.sample_bytes * channels
    whole = bytes(audio_format.block_bytes)
    assert decoded(audio_format, [whole]).size == 1
    if audio_format.block_bytes > 1:
        error = refusal(audio_format, whole + whole[:-1])
        assert (error.reason, error.field) == ("PARTIAL_SAMPLE", "audio.data")


def test_messages_have_a_size_limit() -> None:
    """64 KiB pass, a sample more does not."""
    assert decoded(LINEAR, [bytes(MAX_MESSAGE_BYTES)]).size == MAX_MESSAGE_BYTES // 2
    assert refusal(LINEAR, bytes(MAX_MESSAGE_BYTES + 2)).reason == "AUDIO_TOO_LARGE"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30, -1e30, 8.001])
@pytest.mark.parametrize("place", [0, 77, 159])
def test_floats_that_are_no_audio_are_refused(value: float, place: int) -> None:
    """One wild value anywhere refuses the message."""
    samples = np.zeros(160, "<f4")
    samples[place] = value
    assert refusal(FLOAT, samples.tobytes()).reason == "AUDIO_NOT_FINITE"


@given(message=st.binary(max_size=400).map(lambda content: content[: len(content) // 4 * 4]))
def test_any_bits_as_floats_give_finite_samples_or_a_refusal(message: bytes) -> None:
    """No bit pattern, signalling NaN included, comes through as anything but a sample in [-1, 1]."""
    try:
        samples = decoded(FLOAT, [message])
    except InvalidArgumentError as error:
        assert error.reason in {"AUDIO_NOT_FINITE", "AUDIO_IS_A_FILE"}  # noqa: PT017 - either outcome is right
    else:
        assert np.abs(samples).max(initial=0) <= 1


_FILES = {
    "wav": b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x01\x00\x00\x00",
    "flac": b"fLaC\x00\x00\x00\x22",
    "ogg": b"OggS\x00\x02\x00\x00",
    "m3u8": b"#EXTM3U\n#EXT-X-VERSION:3\nhttp://127.0.0.1:1/a.ts\n",
    "ffconcat": b"ffconcat version 1.0\nfile 'file:///etc/passwd'\n",
    "mpd": b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'/>",
    "bare mpd": b"<MPD xmlns='urn:mpeg:dash:schema:mpd:2011'></MPD>",
    "webm": b"\x1aE\xdf\xa3\x01\x00\x00\x00",
    "mp4": b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00",
}


@pytest.mark.parametrize("step", [2, 4, 64])
@pytest.mark.parametrize("name", list(_FILES))
def test_files_are_refused_however_they_are_split(name: str, step: int) -> None:
    """The first bytes of a segment tell a file, even two by two."""
    content = _FILES[name][: len(_FILES[name]) // 2 * 2]
    messages = [content[start : start + step] for start in range(0, len(content), step)]
    error = refusal(LINEAR, *messages)
    assert error.reason == "AUDIO_IS_A_FILE"
    assert "without a file header" in error.message


def test_file_words_inside_the_audio_are_audio() -> None:
    """Only the start of a segment is looked at."""
    assert decoded(LINEAR, [bytes(12), b"fLaC", b"OggS"]).size == 10
    refuse_files(b"RIFFxxxxAVI ")


# Resampling ------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(encoding=_ENCODINGS, rate=_RATES, count=st.integers(0, 6_000))
def test_length_is_exact_at_any_rate(encoding: AudioEncoding, rate: int, count: int) -> None:
    """So many samples, n, become ceil(16000 n / rate), all finite."""
    samples = decoded(AudioFormat(encoding, rate), [speech_bytes(encoding, count, 1)])
    assert samples.size == math.ceil(Fraction(16_000 * count, rate))
    assert np.isfinite(samples).all()


@settings(max_examples=60)
@given(
    encoding=_ENCODINGS,
    rate=_RATES,
    channels=st.sampled_from([1, 2]),
    count=st.integers(1, 6_000),
    places=st.lists(st.integers(0, 6_000), max_size=12),
)
def test_any_split_gives_the_same_bits(
    split: Split, encoding: AudioEncoding, rate: int, channels: int, count: int, places: list[int]
) -> None:
    """However a segment is cut into messages, empty ones among them, its samples are bit-identical."""
    audio_format = AudioFormat(encoding, rate, channels)
    content = speech_bytes(encoding, count * channels, 2)
    pieces = split(content, places, audio_format.block_bytes)
    pieces.insert(len(pieces) // 2, b"")
    np.testing.assert_array_equal(decoded(audio_format, pieces), decoded(audio_format, [content]))


def test_segments_do_not_know_each_other() -> None:
    """A fresh decoder starts from silence, whatever the last one heard."""
    audio_format = AudioFormat(AudioEncoding.LINEAR16, 44_100)
    content = speech_bytes(AudioEncoding.LINEAR16, 3_000, 3)
    first = decoded(audio_format, [content])
    decoded(audio_format, [speech_bytes(AudioEncoding.LINEAR16, 3_000, 4)])
    np.testing.assert_array_equal(decoded(audio_format, [content]), first)


# Opus ------------------------------------------------------------------------------------------------------------


def opus_packets(samples: NDArray[np.float32], packet: int = 960) -> list[bytes]:
    """Encode 48 kHz mono in packets of so many samples."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "flt"
    encoder.options = {"frame_duration": str(packet / 48)}
    encoder.open()
    packets = []
    for start in range(0, samples.size, packet):
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis, start : start + packet], format="flt", layout="mono")
        frame.sample_rate = 48_000
        packets += [bytes(encoded) for encoded in encoder.encode(frame)]
    return packets


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("packet", [480, 960, 2_880])
def test_opus_is_heard(channels: int, packet: int) -> None:
    """A tone comes through with its pitch, level and length, whatever the packets' length."""
    time = np.arange(48_000) / 48_000
    tone = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    decoder = SpeechDecoder(AudioFormat(AudioEncoding.OPUS, 48_000, channels))
    packets = opus_packets(tone, packet)
    heard = to_samples(b"".join([*(decoder.decode(each) for each in packets), decoder.flush()]))
    assert heard.size == len(packets) * packet // 3
    middle = heard[4_000:12_000]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.05)
    assert np.argmax(np.abs(np.fft.rfft(middle))) == 220


def test_an_empty_message_is_no_packet() -> None:
    """It opens a segment and says nothing, as with raw samples."""
    assert SpeechDecoder(AudioFormat(AudioEncoding.OPUS, 48_000)).decode(b"") == b""


@pytest.mark.parametrize(
    ("message", "reason"), [(b"\xff" * 50, "AUDIO_PACKET"), (b"OggS" + bytes(60), "AUDIO_IS_A_FILE")]
)
def test_what_is_no_packet_is_refused(message: bytes, reason: str) -> None:
    """Rubbish, and a file that holds packets."""
    with pytest.raises(InvalidArgumentError) as caught:
        SpeechDecoder(AudioFormat(AudioEncoding.OPUS, 48_000)).decode(message)
    assert caught.value.reason == reason


@given(message=st.binary(max_size=300))
def test_no_bytes_break_the_decoder(message: bytes) -> None:
    """They are heard as something finite, or refused."""
    decoder = SpeechDecoder(AudioFormat(AudioEncoding.OPUS, 48_000))
    try:
        heard = to_samples(decoder.decode(message) + decoder.flush())
    except InvalidArgumentError:
        return
    assert np.abs(heard).max(initial=0) < 2
    assert heard.size <= 1_920 * 3


def test_opus_has_one_rate() -> None:
    """The decoder's."""
    with pytest.raises(InvalidArgumentError) as caught:
        AudioFormat(AudioEncoding.OPUS, 16_000)
    assert caught.value.reason == "SAMPLE_RATE"

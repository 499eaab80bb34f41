"""Reading audio files: every format comes out whole, and no file hurts the reader."""

from __future__ import annotations

import http.server
import io
import struct
import threading
import wave
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar_service.errors import InvalidArgumentError
from avatar_service.recording import MAX_OUTPUT_RATE_HZ, open_recording, read_recording

_CHANNELS_AT = 22
_RATE_AT = 24
_LENGTH_AT = 40
_HEADER_BYTES = 44


def _tone(samples: int, channels: int = 1) -> np.ndarray:
    tone = np.sin(np.arange(samples) / 20) * 8000
    return np.repeat(tone.astype("<i2")[:, None], channels, axis=1)


def _wav(samples: int, rate_hz: int = 16000, channels: int = 1) -> bytearray:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(_tone(samples, channels).tobytes())
    return bytearray(file.getvalue())


def _encoded(container: str, codec: str, rate_hz: int, samples: int, layout: str = "mono") -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate_hz, layout=layout)
        frame = av.AudioFrame.from_ndarray(_tone(samples).T.copy(), format="s16", layout="mono")
        frame.sample_rate = rate_hz
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file.getvalue()


def _reason(source: bytes | str | Path, **limits: float) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        read_recording(source, **limits)
    assert caught.value.field == "audio"
    return caught.value.reason


def _answer(content: bytes) -> str:
    """Return a reason or "audio"; anything else that is raised is a fault."""
    try:
        read_recording(content, max_duration_s=10)
    except InvalidArgumentError as error:
        return error.reason
    return "audio"


@given(
    samples=st.integers(0, 5000),
    rate_hz=st.sampled_from([8000, 11025, 16000, 44100, 48000]),
    channels=st.integers(1, 2),
)
@settings(deadline=None, max_examples=30)
def test_wav_comes_out_as_it_is(samples: int, rate_hz: int, channels: int) -> None:
    """PCM of a rate in range keeps rate, length and every sample."""
    recording = read_recording(bytes(_wav(samples, rate_hz, channels)))
    assert recording.sample_rate_hz == rate_hz
    assert recording.duration_s == samples / rate_hz
    assert np.array_equal(recording.samples, _tone(samples)[:, 0])


@given(samples=st.integers(0, 5000), rate_hz=st.sampled_from([64000, 88200, 96000]))
@settings(deadline=None, max_examples=30)
def test_high_rates_are_brought_to_48_khz_with_exact_length(samples: int, rate_hz: int) -> None:
    """Resampling loses or adds nothing beyond the last sample's rounding up."""
    recording = read_recording(bytes(_wav(samples, rate_hz)))
    assert recording.sample_rate_hz == MAX_OUTPUT_RATE_HZ
    assert len(recording.samples) == -(-samples * MAX_OUTPUT_RATE_HZ // rate_hz)


def test_two_channels_are_averaged() -> None:
    """Speech on the left channel alone comes out at half the level."""
    content = _wav(1000, channels=2)
    both = np.frombuffer(content, "<i2", offset=_HEADER_BYTES).reshape(-1, 2).copy()
    both[:, 1] = 0
    content[_HEADER_BYTES:] = both.tobytes()
    assert np.abs(read_recording(bytes(content)).samples - both[:, 0] / 2).max() <= 1


@pytest.mark.parametrize(
    ("container", "codec", "rate_hz", "slack"),
    [
        ("mp3", "libmp3lame", 44100, 0),
        ("mp3", "libmp3lame", 8000, 0),
        ("flac", "flac", 16000, 0),
        ("ogg", "libopus", 48000, 0),
        ("webm", "libopus", 48000, 0),
        ("ipod", "aac", 44100, 2048),
        ("mp4", "aac", 22050, 2048),
        ("adts", "aac", 16000, 2048),
        ("aiff", "pcm_s16be", 44100, 0),
        ("wav", "pcm_f32le", 16000, 0),
        ("wav", "pcm_mulaw", 8000, 0),
    ],
)
def test_every_format_is_read_whole(container: str, codec: str, rate_hz: int, slack: int) -> None:
    """Two seconds come out as two seconds; AAC may add the padding of its frames."""
    content = _encoded(container, codec, rate_hz, 2 * rate_hz)
    recording = read_recording(content)
    assert recording.sample_rate_hz == rate_hz
    assert 0 <= len(recording.samples) - 2 * rate_hz <= slack
    assert 4000 < np.abs(recording.samples).max() < 16000


def test_path_reads_like_bytes(tmp_path: Path) -> None:
    """A file on disk is read as the same bytes in memory are."""
    content = bytes(_wav(1000))
    path = tmp_path / "a file.wav"
    path.write_bytes(content)
    assert np.array_equal(read_recording(path).samples, read_recording(content).samples)


def test_reading_piece_by_piece_gives_the_same() -> None:
    """The streaming reader yields small pieces that make up the whole."""
    content = bytes(_wav(100_000))
    with open_recording(content) as reader:
        pieces = list(reader)
    assert max(map(len, pieces)) < 10_000
    assert np.array_equal(np.concatenate(pieces), read_recording(content).samples)


@pytest.mark.parametrize("rate_hz", [0, 1, 7999, 96001, 384001, 2**32 - 1])
def test_wav_with_an_absurd_rate_is_refused_before_decoding(rate_hz: int) -> None:
    """A header of 1 Hz, which would ask a resampler for gigabytes, is refused by its header."""
    content = _wav(100_000)
    struct.pack_into("<I", content, _RATE_AT, rate_hz)
    assert _reason(bytes(content)) == "AUDIO_RATE"


@pytest.mark.parametrize("channels", [0, 3, 1024, 65535])
def test_wav_with_absurd_channels_is_refused_before_decoding(channels: int) -> None:
    """A header of a thousand channels is refused by its header."""
    content = _wav(1000)
    struct.pack_into("<H", content, _CHANNELS_AT, channels)
    assert _reason(bytes(content)) == "AUDIO_CHANNELS"


def test_channels_that_change_within_a_file_are_refused() -> None:
    """An MP3 whose frames are mono first and stereo then has no one shape that could be averaged."""
    mono, stereo = (_encoded("mp3", "libmp3lame", 48000, 48000, layout) for layout in ("mono", "stereo"))
    assert _reason(mono + stereo) == "AUDIO_CHANNELS"


def test_surround_sound_is_refused() -> None:
    """More than two channels are refused in every container."""
    assert _reason(_encoded("flac", "flac", 48000, 4800, "5.1")) == "AUDIO_CHANNELS"


@pytest.mark.parametrize("declared", [0xFFFFFFFF, 0x7FFFFFFF, 100_000])
def test_wav_that_claims_more_than_it_has_is_read_to_its_end(declared: int) -> None:
    """A length that a streaming writer never filled in costs nothing: the real samples are used."""
    content = _wav(1000)
    struct.pack_into("<I", content, _LENGTH_AT, declared)
    assert len(read_recording(bytes(content)).samples) == 1000


@pytest.mark.parametrize(
    ("container", "codec"), [("wav", "pcm_s16le"), ("mp3", "libmp3lame"), ("flac", "flac"), ("ogg", "libopus")]
)
def test_truncated_file_gives_what_is_there(container: str, codec: str) -> None:
    """Half a file is about half the audio, at once."""
    content = _encoded(container, codec, 48000, 96000)
    samples = read_recording(content[: len(content) // 2]).samples
    assert 30_000 < len(samples) < 66_000


def test_truncated_mp4_is_refused() -> None:
    """An MP4 without its index cannot be read, and the error says so."""
    content = _encoded("mp4", "aac", 16000, 32000)
    assert _reason(content[: len(content) // 2]) == "AUDIO_UNREADABLE"


def test_decoded_length_is_bounded_while_decoding() -> None:
    """A tiny file of hours of silence is stopped at the limit, not after it."""
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as out:
        stream = out.add_stream("flac", rate=48000, layout="mono")
        for _ in range(60):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.int16), format="s16", layout="mono")
            frame.sample_rate = 48000
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    content = file.getvalue()
    assert len(content) < 60 * 48000 * 2 / 100
    taken: list[int] = []
    with open_recording(content, max_duration_s=10) as reader, pytest.raises(InvalidArgumentError) as caught:
        taken.extend(map(len, reader))
    assert caught.value.reason == "AUDIO_TOO_LONG"
    assert sum(taken) <= 10 * 48000
    assert _reason(content, max_duration_s=59.9) == "AUDIO_TOO_LONG"
    assert read_recording(content, max_duration_s=60).duration_s == 60


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e30, 8.1])
def test_float_samples_that_are_no_audio_are_refused(value: float) -> None:
    """NaN, infinity and the absurdly loud are refused wherever they stand."""
    content = bytearray(_encoded("wav", "pcm_f32le", 16000, 16000))
    struct.pack_into("<f", content, len(content) - 8, value)
    assert _reason(bytes(content)) == "AUDIO_NOT_FINITE"


@pytest.fixture
def canary() -> Iterator[tuple[str, list[str]]]:
    """An HTTP server that must never be asked for anything."""
    hits: list[str] = []

    class Canary(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hits.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Canary)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", hits
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}/a.ts\n#EXT-X-ENDLIST\n",
        "\ufeff \n#extm3u\n{url}/a.mp3\n",
        "ffconcat version 1.0\nfile '{url}/a.wav'\n",
        '<?xml version="1.0"?><MPD><BaseURL>{url}/</BaseURL></MPD>',
        "<MPD><BaseURL>{url}/</BaseURL></MPD>",
        "[playlist]\nFile1={url}/a.mp3\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=audio 9 RTP/AVP 0\n",
    ],
    ids=["hls", "hls-hidden", "ffconcat", "mpd-xml", "mpd", "pls", "sdp"],
)
def test_playlists_are_refused_and_never_followed(text: str, canary: tuple[str, list[str]], tmp_path: Path) -> None:
    """A list of addresses is refused as such, from memory and from a file of any name, and nothing is fetched."""
    url, hits = canary
    content = text.format(url=url).encode()
    path = tmp_path / "innocent.wav"
    path.write_bytes(content)
    assert _reason(content) == "AUDIO_PLAYLIST"
    assert _reason(path) == "AUDIO_PLAYLIST"
    assert hits == []


def test_address_is_not_a_path(canary: tuple[str, list[str]]) -> None:
    """A string is a path on this machine, never an address."""
    url, hits = canary
    with pytest.raises(FileNotFoundError):
        read_recording(f"{url}/a.wav")
    assert hits == []


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0", b"<html>", bytes(1000), b"\x89PNG\r\n\x1a\n"],
)
def test_other_files_are_refused(content: bytes) -> None:
    """Nothing that is not audio gets as far as a demuxer's guess."""
    assert _reason(content) == "AUDIO_UNREADABLE"


def test_video_without_sound_is_refused() -> None:
    """A film without an audio track has nothing to say."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert _reason(file.getvalue()) == "AUDIO_UNREADABLE"


def test_devices_and_folders_are_refused(tmp_path: Path) -> None:
    """A source that is no regular file is refused instead of waited for."""
    assert _reason("/dev/zero") == "AUDIO_UNREADABLE"
    assert _reason(tmp_path) == "AUDIO_UNREADABLE"


@given(
    magic=st.sampled_from(
        [
            b"fLaC",
            b"OggS",
            b"\x1aE\xdf\xa3",
            b"ID3",
            b"\xff\xfb",
            b"\xff\xf1",
            b"\0\0\0\x20ftypisom",
            b"FORM\0\0\0\0AIFF",
        ]
    ),
    rest=st.binary(max_size=3000),
)
@settings(deadline=None, max_examples=150)
def test_garbage_after_a_good_beginning_never_crashes(magic: bytes, rest: bytes) -> None:
    """Whatever follows the first bytes, the answer is audio or a refusal."""
    assert _answer(magic + rest)


@given(at=st.integers(12, 60), value=st.binary(min_size=1, max_size=8))
@settings(deadline=None, max_examples=150)
def test_damaged_wav_header_never_crashes(at: int, value: bytes) -> None:
    """Any bytes overwritten in a WAV header give audio or a refusal."""
    content = _wav(500)
    content[at : at + len(value)] = value
    assert _answer(bytes(content))

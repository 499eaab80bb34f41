"""Bad inputs, each beside a session that must not notice: the code, the reason, the detail and a text that helps."""

from __future__ import annotations

import asyncio
import io
import re
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
from avatar.v1 import avatar_service_pb2, event_pb2, init_pb2
from PIL import Image

from avatar_service.assets import asset_path
from avatar_service.audio import MAX_MESSAGE_BYTES
from avatar_service.picture import MAX_BYTES
from tests.conftest import details_of

if TYPE_CHECKING:
    from tests.conftest import Heard, Request, Say, Serve, Service

Voice = Callable[..., bytes]

CODE = grpc.StatusCode
LINEAR16, FLOAT32 = init_pb2.AUDIO_ENCODING_LINEAR16, init_pb2.AUDIO_ENCODING_FLOAT32
LEAKS = re.compile(r"Traceback|\w+Error\b|\w+Exception\b|(^|\s)/\w+|\w\.py\b|avatar_service|0x[0-9a-f]{6}|<class")


def assert_refused(heard: Heard, code: grpc.StatusCode, reason: str, *, field: str = "", subject: str = "") -> None:
    """Check a refusal: code, reason, the detail that fits, and a text that tells a person what to do and no more."""
    assert heard.code is code, heard.text
    assert heard.reason == reason
    assert heard.details["ErrorInfo"].domain == "avatar.v1"
    assert not heard.videos
    assert len(heard.text) > 20
    assert not LEAKS.search(heard.text), heard.text
    if field:
        (violation,) = heard.details["BadRequest"].field_violations
        assert (violation.field, violation.description) == (field, heard.text)
    if subject:
        (broken,) = heard.details["PreconditionFailure"].violations
        assert (broken.type, broken.subject, broken.description) == (reason, subject, heard.text)


@asynccontextmanager
async def beside(service: Service, say: Say, voice: Voice) -> AsyncIterator[None]:
    """Run a good session meanwhile; afterwards check that it got every frame, bit by bit, and that slots are free."""
    halves = [say.audio(voice(8_000, seed)) for seed in (1, 2)]
    expected = await service.talk(say.init(), *halves, say.over())
    capacity = await service.free()
    talk = service.open()
    await talk.tell(say.init(), halves[0])
    await talk.frames(3)
    yield
    await talk.tell(halves[1], say.over())
    heard = await talk.rest()
    assert heard.code is CODE.OK
    assert len(heard.videos) == 25
    assert heard.pictures() == expected.pictures()
    await service.until_free(capacity)


@pytest.fixture
async def crowded(service: Service, say: Say, voice: Voice) -> AsyncIterator[Service]:
    """The fake engine's server with a good session on it, which is checked afterwards."""
    async with asyncio.timeout(60), beside(service, say, voice):
        yield service


Refuse = Callable[..., Any]


@pytest.fixture
def refuse(crowded: Service) -> Refuse:
    """Return what sends some messages, leaves the stream open, and returns all that was heard."""

    async def send(*requests: Request) -> Heard:
        return await crowded.talk(*requests, half_close=False)

    return send


def png(image: Image.Image) -> bytes:
    """Return an image as a PNG file."""
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


# The order of messages -------------------------------------------------------------------------------------------


async def test_row_01_audio_before_init(refuse: Refuse, say: Say) -> None:
    """The first message must be init."""
    heard = await refuse(say.audio(bytes(640)))
    assert_refused(heard, CODE.FAILED_PRECONDITION, "OUT_OF_ORDER", subject="session")
    assert "first message must be init" in heard.text


@pytest.mark.parametrize("name", ["end", "over", "interrupt"])
async def test_row_01_anything_before_init(refuse: Refuse, say: Say, name: str) -> None:
    """Nor does any other message open a session."""
    assert_refused(await refuse(getattr(say, name)()), CODE.FAILED_PRECONDITION, "OUT_OF_ORDER", subject="session")


async def test_row_02_second_init(refuse: Refuse, say: Say) -> None:
    """A session has one portrait."""
    heard = await refuse(say.init(), say.init())
    assert_refused(heard, CODE.FAILED_PRECONDITION, "OUT_OF_ORDER", subject="session")
    assert "sent already" in heard.text


async def test_row_03_nothing_is_sent(serve: Serve, say: Say, voice: Voice) -> None:
    """A stream that stays silent is closed after its time."""
    async with serve(init_timeout_s=0.1) as service, beside(service, say, voice):
        heard = await service.talk(half_close=False)
    assert_refused(heard, CODE.DEADLINE_EXCEEDED, "INIT_TIMEOUT")
    assert "0.1 s" in heard.text


async def test_row_03_nothing_is_sent_and_the_stream_closed(crowded: Service) -> None:
    """A stream closed before init never was a session."""
    assert_refused(await crowded.talk(), CODE.CANCELLED, "NO_INIT")


# The portrait ----------------------------------------------------------------------------------------------------


async def test_row_04_no_portrait(refuse: Refuse, say: Say) -> None:
    """A session without a portrait is told which formats work."""
    heard = await refuse(say.init(portrait=b""))
    assert_refused(heard, CODE.INVALID_ARGUMENT, "PORTRAIT_MISSING", field="init.portrait")
    assert "JPEG, PNG or WebP" in heard.text


async def test_row_05_portrait_beyond_its_limit(refuse: Refuse, say: Say) -> None:
    """A little more than 10 MiB is refused by us, and no retry is advised."""
    heard = await refuse(say.init(portrait=bytes(MAX_BYTES + 1)))
    assert_refused(heard, CODE.RESOURCE_EXHAUSTED, "PORTRAIT_TOO_LARGE")
    assert str(MAX_BYTES) in heard.text
    assert "RetryInfo" not in heard.details


async def test_row_05_portrait_beyond_the_transport_s_limit(refuse: Refuse, say: Say) -> None:
    """Far more than 10 MiB is refused by the transport."""
    heard = await refuse(say.init(portrait=bytes(2 * MAX_BYTES)))
    assert heard.code is CODE.RESOURCE_EXHAUSTED
    assert "larger than max" in heard.text


def jpeg() -> bytes:
    """Return a good JPEG."""
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(content, "JPEG")
    return content.getvalue()


@pytest.mark.parametrize(
    ("portrait", "reason"),
    [
        (b"this is a text", "PORTRAIT_FORMAT"),
        (b"%PDF-1.7\n" + jpeg(), "PORTRAIT_FORMAT"),
        (jpeg()[:400], "PORTRAIT_DAMAGED"),
        (png(Image.new("RGB", (64, 64)))[:60], "PORTRAIT_DAMAGED"),
    ],
    ids=["text", "polyglot", "truncated JPEG", "truncated PNG"],
)
async def test_row_06_no_picture(refuse: Refuse, say: Say, portrait: bytes, reason: str) -> None:
    """What is no picture, or only half of one, is refused."""
    assert_refused(await refuse(say.init(portrait=portrait)), CODE.INVALID_ARGUMENT, reason, field="init.portrait")


def other_format(kind: str) -> bytes:
    """Return a picture in a format that is not allowed."""
    if kind == "SVG":
        return b"<svg xmlns='http://www.w3.org/2000/svg' width='64' height='64'/>"
    if kind == "PSD":
        return b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 64, 64, 8, 3) + bytes(12 + 2 + 64 * 64 * 3)
    content = io.BytesIO()
    Image.new("RGB", (64, 64)).save(content, kind)
    return content.getvalue()


@pytest.mark.parametrize("kind", ["EPS", "PSD", "TIFF", "SVG", "BMP", "GIF"])
async def test_row_07_other_formats(refuse: Refuse, say: Say, kind: str) -> None:
    """A picture in a format that nobody needs is not opened."""
    heard = await refuse(say.init(portrait=other_format(kind)))
    assert_refused(heard, CODE.INVALID_ARGUMENT, "PORTRAIT_FORMAT", field="init.portrait")


def huge_png(side: int) -> bytes:
    """Return a grey PNG of zeros: about 140 kB for 12000 x 12000."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(side + 1)) for _ in range(side)) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [12_000, 14_000])
async def test_row_08_pixel_bombs(refuse: Refuse, say: Say, side: int) -> None:
    """A small file with hundreds of megapixels is refused by its header."""
    heard = await refuse(say.init(portrait=huge_png(side)))
    assert_refused(heard, CODE.INVALID_ARGUMENT, "PORTRAIT_PIXELS", field="init.portrait")
    assert "16 megapixels" in heard.text


@pytest.mark.parametrize("size", [(1, 1), (20_000, 1)])
async def test_row_09_odd_shapes(refuse: Refuse, say: Say, size: tuple[int, int]) -> None:
    """A portrait has a shape in which a face has room."""
    heard = await refuse(say.init(portrait=png(Image.new("RGB", size))))
    assert_refused(heard, CODE.INVALID_ARGUMENT, "PORTRAIT_SHAPE", field="init.portrait")


def unusual(kind: str) -> bytes:
    """Return a good picture of an unusual kind."""
    image = Image.new("RGB", (96, 64), (200, 100, 50))
    content = io.BytesIO()
    match kind:
        case "CMYK":
            image.convert("CMYK").save(content, "JPEG")
        case "16 bit":
            Image.fromarray(np.full((64, 96), 40_000, np.uint16)).save(content, "PNG")
        case "EXIF":
            exif = Image.Exif()
            exif[0x0112] = 6
            image.save(content, "JPEG", exif=exif)
        case _:
            image.save(content, kind, save_all=True, append_images=[Image.new("RGB", (96, 64))] * 50)
    return content.getvalue()


@pytest.mark.parametrize("kind", ["CMYK", "16 bit", "EXIF", "PNG", "WEBP"])
async def test_row_09_unusual_pictures_work(crowded: Service, say: Say, kind: str) -> None:
    """Print colours, deep grey, rotation and animations give a video."""
    heard = await crowded.talk(say.init(portrait=unusual(kind)), say.audio(bytes(1_280)), say.over())
    assert heard.code is CODE.OK
    assert len(heard.videos) == 1


# Faces: the portrait engine --------------------------------------------------------------------------------------


def astronaut() -> Image.Image:
    """Return a portrait with one face."""
    return Image.open(asset_path("astronaut.png")).convert("RGB")


@pytest.fixture
async def portraits(serve: Serve, say: Say, voice: Voice) -> AsyncIterator[Service]:
    """A server with the portrait engine and a good session on it."""
    photo = png(astronaut())
    small = [init_pb2.VideoFormat(codec=init_pb2.VIDEO_CODEC_JPEG, width=64)]
    async with serve(engine="portrait") as service, asyncio.timeout(60):
        talk = service.open()
        await talk.tell(say.init(portrait=photo, video=small), say.audio(voice(6_400)))
        await talk.frames(3)
        yield service
        await talk.tell(say.over())
        heard = await talk.rest()
    assert heard.code is CODE.OK
    assert len(heard.videos) == 10


def cropped(say: Say, image: Image.Image, *, crop: bool) -> Request:
    """Open a session of the portrait engine."""
    generation = init_pb2.GenerationParameters(crop=crop)
    small = [init_pb2.VideoFormat(codec=init_pb2.VIDEO_CODEC_JPEG, width=64)]
    return say.init(portrait=png(image), generation=generation, video=small)


async def test_row_10_no_face(portraits: Service, say: Say) -> None:
    """To find and crop a face there must be one."""
    flat = Image.new("RGB", (512, 512), (128, 128, 128))
    heard = await portraits.talk(cropped(say, flat, crop=True), half_close=False)
    assert_refused(heard, CODE.INVALID_ARGUMENT, "NO_FACE", field="init.portrait")


async def test_row_10_small_face(portraits: Service, say: Say) -> None:
    """A face of a few pixels cannot be animated."""
    canvas = Image.new("RGB", (512, 512), (128, 128, 128))
    canvas.paste(astronaut().resize((224, 224)), (144, 144))
    heard = await portraits.talk(cropped(say, canvas, crop=True), half_close=False)
    assert_refused(heard, CODE.INVALID_ARGUMENT, "SMALL_FACE", field="init.portrait")


async def test_row_10_several_faces(portraits: Service, say: Say) -> None:
    """Of two faces one is taken, and a warning says so."""
    close = astronaut().crop((130, 0, 330, 250))
    couple = Image.new("RGB", (400, 250))
    couple.paste(close, (0, 0))
    couple.paste(close, (200, 0))
    heard = await portraits.talk(cropped(say, couple, crop=True), say.audio(bytes(1_280)), say.over())
    assert heard.code is CODE.OK
    assert "SEVERAL_FACES" in [warning.reason for warning in heard.events("warning")]
    assert len(heard.videos) == 1


async def test_row_10_no_face_without_crop(portraits: Service, say: Say) -> None:
    """A picture that is said to be a face is animated as one, and a warning says so."""
    flat = Image.new("RGB", (512, 512), (128, 128, 128))
    heard = await portraits.talk(cropped(say, flat, crop=False), say.audio(bytes(1_280)), say.over())
    assert heard.code is CODE.OK
    assert "NO_FACE_CANONICAL_LAYOUT" in [warning.reason for warning in heard.events("warning")]
    assert len(heard.videos) == 1


# Parameters ------------------------------------------------------------------------------------------------------


def generation(**fields: Any) -> dict[str, Any]:
    """Return the fields of an init with these generation parameters."""
    return {"generation": init_pb2.GenerationParameters(**fields)}


def video(**fields: Any) -> dict[str, Any]:
    """Return the fields of an init with this video format."""
    return {"video": [init_pb2.VideoFormat(**fields)]}


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        (generation(nfe=4), "init.generation.nfe", "OUT_OF_RANGE"),
        (generation(nfe=51), "init.generation.nfe", "OUT_OF_RANGE"),
        (generation(cfg_scale=0.5), "init.generation.cfg_scale", "OUT_OF_RANGE"),
        (generation(cfg_scale=5.5), "init.generation.cfg_scale", "OUT_OF_RANGE"),
        (generation(cfg_scale=NAN), "init.generation.cfg_scale", "OUT_OF_RANGE"),
        (generation(crop_scale=0.4), "init.generation.crop_scale", "OUT_OF_RANGE"),
        (generation(crop_scale=-INF), "init.generation.crop_scale", "OUT_OF_RANGE"),
        (generation(pose_style={"pitch": NAN}), "init.generation.pose_style.pitch", "OUT_OF_RANGE"),
        (generation(pose_style={"yaw": INF}), "init.generation.pose_style.yaw", "OUT_OF_RANGE"),
        (generation(pose_style={"roll": 3.2}), "init.generation.pose_style.roll", "OUT_OF_RANGE"),
        (generation(gaze_style={"x": -INF}), "init.generation.gaze_style.x", "OUT_OF_RANGE"),
        (generation(gaze_style={"y": -3.2}), "init.generation.gaze_style.y", "OUT_OF_RANGE"),
        (generation(head_motion=-0.1), "init.generation.head_motion", "OUT_OF_RANGE"),
        (generation(head_motion=2.1), "init.generation.head_motion", "OUT_OF_RANGE"),
        (generation(head_motion=NAN), "init.generation.head_motion", "OUT_OF_RANGE"),
        (generation(chunk_duration={"nanos": 99_000_000}), "init.generation.chunk_duration", "OUT_OF_RANGE"),
        (generation(chunk_duration={"seconds": 11}), "init.generation.chunk_duration", "OUT_OF_RANGE"),
        (generation(chunk_duration={"seconds": -(10**11)}), "init.generation.chunk_duration", "OUT_OF_RANGE"),
        (generation(crop=False, paste_back=True), "init.generation.paste_back", "PASTE_BACK_NEEDS_CROP"),
        (video(width=62), "init.video[0].width", "VIDEO_SIZE"),
        (video(height=1922), "init.video[0].height", "VIDEO_SIZE"),
        (video(width=129), "init.video[0].width", "VIDEO_SIZE"),
        (video(width=2**32 - 1), "init.video[0].width", "VIDEO_SIZE"),
        (video(width=256, height=128), "init.video[0]", "VIDEO_SHAPE"),
        (video(quality=101), "init.video[0].quality", "OUT_OF_RANGE"),
        (video(bitrate_kbps=49), "init.video[0].bitrate_kbps", "OUT_OF_RANGE"),
        (video(keyframe_interval={"nanos": 100_000_000}), "init.video[0].keyframe_interval", "OUT_OF_RANGE"),
        ({"video": [init_pb2.VideoFormat()] * 3}, "init.video", "OUT_OF_RANGE"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_row_11_values_out_of_range(
    refuse: Refuse, say: Say, fields: dict[str, Any], field: str, reason: str
) -> None:
    """A value that can never work names its field."""
    assert_refused(await refuse(say.init(**fields)), CODE.INVALID_ARGUMENT, reason, field=field)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"mode": 99}, "init.mode"),
        ({"audio": init_pb2.AudioFormat(sample_rate_hz=16_000)}, "init.audio.encoding"),
        ({"audio": init_pb2.AudioFormat(encoding=99, sample_rate_hz=16_000)}, "init.audio.encoding"),
        (video(codec=99), "init.video[0].codec"),
        (generation(preset=99), "init.generation.preset"),
    ],
    ids=["mode", "no encoding", "encoding", "codec", "preset"],
)
async def test_row_12_unknown_values(refuse: Refuse, say: Say, fields: dict[str, Any], field: str) -> None:
    """A word that this server does not know is refused, and the field is named."""
    heard = await refuse(say.init(**fields))
    assert_refused(heard, CODE.INVALID_ARGUMENT, "UNKNOWN_VALUE", field=field)
    assert field in heard.text


async def test_row_12_unknown_engine(refuse: Refuse, say: Say) -> None:
    """An engine that is not here is refused, and the one that is here is named."""
    heard = await refuse(say.init(engine="torch/../x"))
    assert_refused(heard, CODE.INVALID_ARGUMENT, "ENGINE", field="init.engine")
    assert "'fake'" in heard.text


async def test_row_12_empty_message(refuse: Refuse, say: Say) -> None:
    """A message that says nothing, first or later, is refused."""
    empty = type(say.over())()
    for requests in ([empty], [say.init(), empty]):
        assert_refused(await refuse(*requests), CODE.INVALID_ARGUMENT, "EMPTY_MESSAGE", field="message")


@pytest.mark.parametrize("rate", [0, 1, 7_999, 48_001, 384_001, 2**32 - 1])
async def test_row_13_sample_rates(refuse: Refuse, say: Say, rate: int) -> None:
    """A rate that no speech has is refused before anything is computed with it."""
    heard = await refuse(say.init(rate=rate))
    assert_refused(heard, CODE.INVALID_ARGUMENT, "SAMPLE_RATE", field="init.audio.sample_rate_hz")
    assert "8000 to 48000" in heard.text


# Audio -----------------------------------------------------------------------------------------------------------


def wav(rate: int, length: int = 0xFFFFFFFF) -> bytes:
    """Return a WAV file that declares a rate and a length."""
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 0xFFFFFFFF, b"WAVE", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16)
    return head + struct.pack("<4sI", b"data", length) + bytes(4_000)


FILES = [
    pytest.param(wav(1), id="row 14: WAV of 1 Hz"),
    pytest.param(wav(16_000), id="row 16: WAV of unknown length"),
    pytest.param(wav(16_000, 10**6), id="row 16: WAV cut short"),
    pytest.param(b"fLaC\x00\x00\x00\x22" + bytes(76_000 // 2), id="row 17: FLAC"),
    pytest.param(b"OggS\x00\x02" + bytes(22) + b"OpusHead", id="row 17: Opus"),
    pytest.param(b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n", id="row 20: m3u8"),
    pytest.param(b"ffconcat version 1.0\nfile file:///etc/passwd\n", id="row 20: ffconcat"),
    pytest.param(b'<?xml version="1.0"?><MPD><BaseURL>file:///etc/</BaseURL></MPD>', id="row 20: MPD"),
    pytest.param(b"<MPD><BaseURL>http://127.0.0.1:1/</BaseURL></MPD>", id="row 20: bare MPD"),
]


@pytest.mark.parametrize("content", FILES)
async def test_rows_14_16_17_20_files_are_no_audio(refuse: Refuse, say: Say, content: bytes) -> None:
    """A file's bytes are refused by their start, and nothing of them is decoded or fetched."""
    heard = await refuse(say.init(), say.audio(content + bytes(len(content) % 2)))
    assert_refused(heard, CODE.INVALID_ARGUMENT, "AUDIO_IS_A_FILE", field="audio.data")
    assert "without a file header" in heard.text


@pytest.mark.parametrize("channels", [3, 1_024, 2**32 - 1])
async def test_row_15_channels(refuse: Refuse, say: Say, channels: int) -> None:
    """Speech has one channel or two."""
    audio = init_pb2.AudioFormat(encoding=LINEAR16, sample_rate_hz=16_000, channels=channels)
    heard = await refuse(say.init(audio=audio))
    assert_refused(heard, CODE.INVALID_ARGUMENT, "CHANNELS", field="init.audio.channels")


@pytest.mark.parametrize(("encoding", "channels", "size"), [(LINEAR16, 1, 641), (LINEAR16, 2, 642), (FLOAT32, 1, 642)])
async def test_row_15_half_a_sample(refuse: Refuse, say: Say, encoding: int, channels: int, size: int) -> None:
    """A message holds whole samples of all channels."""
    audio = init_pb2.AudioFormat(encoding=encoding, sample_rate_hz=16_000, channels=channels)
    heard = await refuse(say.init(audio=audio), say.audio(bytes(size)))
    assert_refused(heard, CODE.INVALID_ARGUMENT, "PARTIAL_SAMPLE", field="audio.data")


@pytest.mark.parametrize("value", [NAN, INF, -INF, 1e30])
async def test_row_18_floats_that_are_no_audio(refuse: Refuse, say: Say, value: float) -> None:
    """One wild sample among good ones is refused."""
    samples = np.zeros(640, "<f4")
    samples[100] = value
    heard = await refuse(say.init(encoding=FLOAT32), say.audio(samples.tobytes()))
    assert_refused(heard, CODE.INVALID_ARGUMENT, "AUDIO_NOT_FINITE", field="audio.data")


SQUARE = np.where(np.arange(6_400) % 80 < 40, 32_767, -32_768).astype("<i2").tobytes()


@pytest.mark.parametrize(
    ("content", "frames"),
    [(bytes(12_800), 10), (b"\x00\x40" * 6_400, 10), (SQUARE, 10), (b"\x01\x00", 1), (b"", 0)],
    ids=["silence", "direct current", "full-scale square", "one sample", "no sample"],
)
async def test_row_19_odd_audio_is_audio(crowded: Service, say: Say, content: bytes, frames: int) -> None:
    """Whatever the samples say, there are exactly as many frames as they last."""
    heard = await crowded.talk(say.init(), say.audio(content, "a"), say.over())
    assert heard.code is CODE.OK
    assert len(heard.videos) == frames
    assert [event.frames for event in heard.events("segment_finished")] == [frames]


async def test_row_21_messages_beyond_their_limit(refuse: Refuse, say: Say) -> None:
    """A message of more than 64 KiB is refused, and the limit is told; no 64 KiB last longer than 10 s."""
    heard = await refuse(say.init(), say.audio(bytes(MAX_MESSAGE_BYTES + 2)))
    assert_refused(heard, CODE.INVALID_ARGUMENT, "AUDIO_TOO_LARGE", field="audio.data")
    assert str(MAX_MESSAGE_BYTES) in heard.text


# Segments --------------------------------------------------------------------------------------------------------


async def test_a_second_segment_beside_an_open_one(refuse: Refuse, say: Say) -> None:
    """Segments do not overlap."""
    heard = await refuse(say.init(), say.audio(b"", "a"), say.audio(b"", "b"))
    assert_refused(heard, CODE.FAILED_PRECONDITION, "SEGMENT_OPEN", subject="a")


async def test_row_26_audio_after_the_end(refuse: Refuse, say: Say) -> None:
    """After end of audio there is none; the session in which it comes all the same is refused."""
    heard = await refuse(say.init(), say.audio(bytes(2 * 16_000), "a"), say.over(), say.audio(bytes(640), "b"))
    assert heard.code is CODE.FAILED_PRECONDITION
    assert heard.reason == "OUT_OF_ORDER"
    assert "end_of_audio was sent already" in heard.text


async def test_row_27_half_close_without_the_end_of_audio(crowded: Service, say: Say) -> None:
    """An abort is told as one."""
    heard = await crowded.talk(say.init(), say.audio(b"", "a"))
    assert_refused(heard, CODE.CANCELLED, "NO_END_OF_AUDIO")


async def test_row_38_what_is_no_protobuf(crowded: Service) -> None:
    """Rubbish for a message is the caller's mistake, told without the parser's text."""
    call = crowded.channel.stream_stream("/avatar.v1.AvatarService/StreamAvatar")()
    await call.write(b"\xff" * 1_000)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(call))
    assert caught.value.code() is CODE.INVALID_ARGUMENT
    assert not LEAKS.search(caught.value.details() or "")


# Numbered messages, and sessions by their id ----------------------------------------------------------------------


async def test_row_24_a_message_that_comes_twice(crowded: Service, say: Say, voice: Voice) -> None:
    """The last message repeated changes no frame."""
    first, second = voice(8_000, 1), voice(8_000, 2)
    once = await crowded.talk(say.init(), say.audio(first, seq=1), say.audio(second, seq=2), say.over())
    twice = [say.audio(first, seq=1), say.audio(first, seq=1), say.audio(second, seq=2), say.audio(second, seq=2)]
    heard = await crowded.talk(say.init(), *twice, say.over())
    assert heard.code is CODE.OK
    assert len(heard.videos) == 25
    assert heard.pictures() == once.pictures()


@pytest.mark.parametrize(("numbers", "reason"), [((1, 3), "SEQUENCE_GAP"), ((1, 2, 1), "SEQUENCE_OLD")])
async def test_row_24_messages_missing_or_out_of_order(
    refuse: Refuse, say: Say, numbers: tuple[int, ...], reason: str
) -> None:
    """A hole in the speech is told, not played."""
    heard = await refuse(say.init(), *(say.audio(bytes(64), seq=number) for number in numbers))
    assert_refused(heard, CODE.OUT_OF_RANGE, reason)


async def test_row_25_the_same_number_with_other_audio(refuse: Refuse, say: Say) -> None:
    """Nobody can tell which of the two was meant."""
    heard = await refuse(say.init(), say.audio(b"\0\0", seq=1), say.audio(b"\1\1", seq=1))
    assert_refused(heard, CODE.ABORTED, "SEQUENCE_CONFLICT")


def refusal(error: grpc.aio.AioRpcError) -> tuple[grpc.StatusCode, str]:
    """Return code and reason of a failed call."""
    assert not LEAKS.search(error.details() or "")
    return error.code(), details_of(error)["ErrorInfo"].reason


@pytest.mark.parametrize("name", ["GetSession", "EndSession"])
@pytest.mark.parametrize(
    "session_id",
    ["", "unknown", "..", "%2e%2e", "/abs", "nul\0", "x" * 10_000, "\N{FULLWIDTH FULL STOP}", "a\\\\b"],
    ids=["empty", "unknown", "dots", "escaped dots", "path", "nul", "long", "wide dot", "backslash"],
)
async def test_rows_28_and_29_sessions_that_never_were(crowded: Service, name: str, session_id: str) -> None:
    """Whatever the id looks like, the answer is the same."""
    request = getattr(avatar_service_pb2, f"{name}Request")(session_id=session_id)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await getattr(crowded.stub, name)(request)
    assert refusal(caught.value) == (CODE.NOT_FOUND, "SESSION_UNKNOWN")


async def test_row_30_a_session_that_is_over(crowded: Service, say: Say) -> None:
    """It can be asked for while it runs; afterwards it is said to have ended."""
    talk = crowded.open()
    await talk.tell(say.init())
    ready = (await talk.until("ready")).ready
    request = avatar_service_pb2.GetSessionRequest(session_id=ready.session_id)
    assert (await crowded.stub.GetSession(request)).status.state == event_pb2.SESSION_STATE_WAITING_FOR_AUDIO
    await talk.tell(say.over())
    assert (await talk.rest()).code is CODE.OK
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await crowded.stub.GetSession(request)
    assert refusal(caught.value) == (CODE.NOT_FOUND, "SESSION_ENDED")


async def test_a_session_ended_from_outside(crowded: Service, say: Say) -> None:
    """Its own call is told, and its slot is free."""
    talk = crowded.open()
    await talk.tell(say.init())
    ready = (await talk.until("ready")).ready
    await crowded.stub.EndSession(avatar_service_pb2.EndSessionRequest(session_id=ready.session_id))
    heard = await talk.rest()
    assert (heard.code, heard.reason) == (CODE.ABORTED, "SESSION_ENDED")


# The transport ----------------------------------------------------------------------------------------------------


async def failure(call: grpc.aio.StreamStreamCall[Any, Any] | grpc.aio.UnaryUnaryCall[Any, Any]) -> grpc.StatusCode:
    """Return the code with which a call ends."""
    async with asyncio.timeout(10):
        return await call.code()


async def test_row_39_metadata_beyond_all_bounds(crowded: Service) -> None:
    """64 kB of headers are refused by the transport."""
    call = crowded.stub.GetCapabilities(
        avatar_service_pb2.GetCapabilitiesRequest(), metadata=[("x-long", "x" * 65_536)]
    )
    assert await failure(call) is CODE.RESOURCE_EXHAUSTED


async def test_row_40_a_compressed_bomb(crowded: Service) -> None:
    """64 MiB that travel as 64 kB are not unpacked."""
    call = crowded.channel.stream_stream(
        "/avatar.v1.AvatarService/StreamAvatar", request_serializer=bytes, response_deserializer=bytes
    )(compression=grpc.Compression.Gzip)
    await call.write(bytes(64 * 1024 * 1024))
    assert await failure(call) is CODE.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("path", ["/avatar.v1.AvatarService/Unknown", "/avatar.v2.AvatarService/StreamAvatar"])
async def test_row_41_what_is_not_served(crowded: Service, path: str) -> None:
    """Other methods and services are unknown."""
    assert await failure(crowded.channel.unary_unary(path)(b"")) is CODE.UNIMPLEMENTED


async def test_row_42_a_deadline_that_passes(crowded: Service, say: Say) -> None:
    """The client is told, and the slot is free again."""
    call = crowded.stub.StreamAvatar(timeout=0.3)
    await call.write(say.init())
    assert await failure(call) is CODE.DEADLINE_EXCEEDED

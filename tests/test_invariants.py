"""The invariants of the architecture, through the real service."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import av
import grpc
import numpy as np
import pytest
from avatar.v1 import event_pb2, init_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar_service.engine.base import Frame, RenderStep
from avatar_service.engine.fake import FakeEngine, read_number

if TYPE_CHECKING:
    from tests.conftest import Faulty, Heard, Say, Serve, Service

Split = Callable[[bytes, Sequence[int], int], list[bytes]]
Voice = Callable[..., bytes]

LINEAR16, FLOAT32 = init_pb2.AUDIO_ENCODING_LINEAR16, init_pb2.AUDIO_ENCODING_FLOAT32
MULAW, ALAW = init_pb2.AUDIO_ENCODING_MULAW, init_pb2.AUDIO_ENCODING_ALAW
SAMPLE_BYTES = {LINEAR16: 2, FLOAT32: 4, MULAW: 1, ALAW: 1}
SMALL_JPEG = [init_pb2.VideoFormat(codec=init_pb2.VIDEO_CODEC_JPEG, width=64, quality=10)]


def bytes_of(encoding: int, count: int) -> bytes:
    """Return ``count`` samples of noise."""
    noise = np.random.default_rng(count)
    if encoding == LINEAR16:
        return noise.integers(-9000, 9000, count).astype("<i2").tobytes()
    if encoding == FLOAT32:
        return noise.uniform(-0.5, 0.5, count).astype("<f4").tobytes()
    return noise.integers(0, 256, count).astype(np.uint8).tobytes()


def whole_segments(heard: Heard) -> None:
    """Check what holds in every session that ended well."""
    assert heard.code is grpc.StatusCode.OK
    assert heard.kinds[0] == "ready"
    assert heard.kinds[-1] == "status"
    assert heard.statuses[-1].state == event_pb2.SESSION_STATE_COMPLETE
    assert [status.state for status in heard.statuses].count(event_pb2.SESSION_STATE_COMPLETE) == 1
    assert [video.pts for video in heard.videos] == [3600 * i for i in range(len(heard.videos))]
    assert {video.duration for video in heard.videos} <= {3600}
    started = [event.segment_id for event in heard.events("segment_started")]
    finished = [event.segment_id for event in heard.events("segment_finished")]
    assert len(set(started)) == len(started)
    assert len(set(finished)) == len(finished)
    assert {video.segment_id for video in heard.videos} <= set(started) <= set(finished)
    for event in heard.events("segment_finished"):
        own = [video for video in heard.videos if video.segment_id == event.segment_id]
        assert [video.frame_index for video in own] == list(range(event.frames))
        assert all(video.keyframe for video in own[:1])


# Chunking --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "rate"),
    [(LINEAR16, 16_000), (LINEAR16, 44_100), (FLOAT32, 22_050), (MULAW, 8_000), (ALAW, 48_000)],
    ids=["linear16", "44.1k", "float32", "mulaw 8k", "alaw 48k"],
)
@settings(max_examples=6)
@given(data=st.data())
async def test_frames_do_not_depend_on_the_messages(
    service: Service, say: Say, split: Split, encoding: int, rate: int, data: st.DataObject
) -> None:
    """Any split of the audio into messages gives bit-identical frames."""
    count = data.draw(st.integers(1, rate // 2))
    places = data.draw(st.lists(st.integers(0, count), max_size=8))
    content = bytes_of(encoding, count)
    opening = say.init(encoding=encoding, rate=rate)
    whole = await service.talk(opening, *say.pieces(content), say.over())
    pieces = [say.audio(piece) for piece in split(content, places, SAMPLE_BYTES[encoding])]
    parts = await service.talk(opening, *pieces, say.over())
    whole_segments(whole)
    whole_segments(parts)
    assert parts.pictures() == whole.pictures()
    assert len(whole.videos) == math.ceil(25 * count / rate)


@pytest.mark.parametrize("chunk_ms", [100, 250, 10_000])
async def test_the_longest_hop_changes_no_frame_count(serve: Serve, say: Say, voice: Voice, chunk_ms: int) -> None:
    """However long an engine may wait, a segment has as many frames."""
    generation = init_pb2.GenerationParameters()
    generation.chunk_duration.FromMilliseconds(chunk_ms)
    async with serve(lambda: FakeEngine(hop_frames=8)) as service:
        heard = await service.talk(say.init(generation=generation), say.audio(voice(10_001)), say.over())
    whole_segments(heard)
    assert len(heard.videos) == 16


# Length ----------------------------------------------------------------------------------------------------------


@settings(max_examples=15)
@given(lengths=st.lists(st.integers(0, 8_000), min_size=1, max_size=4))
async def test_every_segment_has_the_frames_of_its_samples(service: Service, say: Say, lengths: list[int]) -> None:
    """So many samples, n, give ceil(25 n / 16000) frames, segment by segment, and played says n."""
    requests = [say.init(video=SMALL_JPEG)]
    for number, length in enumerate(lengths):
        requests += [say.audio(bytes(2 * length), f"s{number}"), say.end(f"s{number}")]
    heard = await service.talk(*requests, say.over())
    whole_segments(heard)
    finished = heard.events("segment_finished")
    assert [event.frames for event in finished] == [math.ceil(length / 640) for length in lengths]
    assert [event.played.ToMicroseconds() for event in finished] == [length * 1_000_000 // 16_000 for length in lengths]


@pytest.mark.parametrize("seconds", [0.04, 1.0, 61.7, 600.0])
async def test_length_is_exact_over_any_time(service: Service, say: Say, seconds: float) -> None:
    """Neither one frame nor ten minutes of them lose or gain any."""
    content = bytes(2 * round(seconds * 16_000))
    heard = await service.talk(say.init(video=SMALL_JPEG), *say.pieces(content), say.over())
    whole_segments(heard)
    assert len(heard.videos) == math.ceil(25 * round(seconds * 16_000) / 16_000)


async def test_the_frames_say_which_they_are(service: Service, say: Say, voice: Voice) -> None:
    """Decoded from H.264, every picture carries its own number, and so none is lost, doubled or swapped."""
    opening = say.init(video=[init_pb2.VideoFormat(codec=init_pb2.VIDEO_CODEC_H264)])
    heard = await service.talk(opening, *say.pieces(voice(40_000)), say.over())
    whole_segments(heard)
    context = av.CodecContext.create("h264", "r")
    frames = [frame for content in heard.pictures() for frame in context.decode(av.Packet(content))]
    numbers = [read_number(frame.to_ndarray(format="rgb24")) for frame in [*frames, *context.decode(None)]]
    assert numbers == list(range(63))


async def test_two_formats_show_the_same_frames(service: Service, say: Say, voice: Voice) -> None:
    """Each frame comes in each format, with one pts."""
    raw = init_pb2.VideoFormat(codec=init_pb2.VIDEO_CODEC_RAW_RGB)
    heard = await service.talk(say.init(video=[raw, *SMALL_JPEG]), say.audio(voice(3_200)), say.over())
    assert [(video.pts, video.format) for video in heard.videos] == [
        (3600 * i, number) for i in range(5) for number in (0, 1)
    ]
    assert [(video.width, video.height) for video in heard.responses[0].ready.video] == [(128, 128), (64, 64)]


# Isolation -------------------------------------------------------------------------------------------------------


async def test_company_changes_no_frame(service: Service, say: Say, voice: Voice) -> None:
    """Three sessions at once give what each gives alone."""
    calls = [
        (say.init(seed=seed), *say.pieces(voice(9_000 + seed, seed), size=999 * 2), say.over()) for seed in (1, 2, 3)
    ]
    alone = [await service.talk(*call) for call in calls]
    together = await asyncio.gather(*(service.talk(*call) for call in calls))
    for one, among in zip(alone, together, strict=True):
        whole_segments(among)
        assert among.pictures() == one.pictures()
    assert alone[0].pictures() != alone[1].pictures()


@pytest.mark.parametrize("after", [0, 5])
@pytest.mark.parametrize("stage", ["motion", "render", "nan"])
async def test_a_failing_session_fails_alone(
    serve: Serve, say: Say, voice: Voice, faulty: type[Faulty], stage: str, after: int
) -> None:
    """INTERNAL without the cause's text for the guilty one; the others get every frame, bit-identical."""
    good = (say.init(seed=1), *say.pieces(voice(16_000), size=640), say.over())
    bad = (say.init(seed=13), say.audio(voice(16_000)))
    async with serve(lambda: faulty(stage, after)) as service:
        alone = await service.talk(*good)
        first, failed, second = await asyncio.gather(
            service.talk(*good), service.talk(*bad, half_close=False), service.talk(*good)
        )
        assert failed.code is grpc.StatusCode.INTERNAL
        assert failed.reason == "ENGINE_FAILED"
        assert not {"secret", "srv", "Error"} & set(failed.text.replace("/", " ").split())
        assert failed.statuses[-1].state == event_pb2.SESSION_STATE_ERROR
        assert len(failed.videos) <= after
        for heard in (first, second):
            whole_segments(heard)
            assert heard.pictures() == alone.pictures()
        await service.until_free(4)


# Generation ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def speaking(serve: Serve) -> AsyncIterator[Service]:
    """Serve with an engine that takes a moment for each frame, so that there is something to interrupt."""
    async with serve(lambda: FakeEngine(cost_ms=1.0)) as service, asyncio.timeout(30):
        yield service


@settings(max_examples=8)
@given(shown=st.integers(0, 20), length=st.integers(1, 60))
async def test_no_frame_of_a_cut_segment_follows(serve: Serve, say: Say, voice: Voice, shown: int, length: int) -> None:
    """After `interrupted` the segment is silent; pts run on, and the next segment starts with a keyframe."""
    async with speaking(serve) as service:
        talk = service.open()
        h264 = init_pb2.VideoFormat(codec=init_pb2.VIDEO_CODEC_H264, keyframe_interval={"seconds": 60})
        await talk.tell(say.init(video=[h264]), *say.pieces(voice(640 * (length + 20)), "dead"))
        await talk.frames(min(shown, length))
        await talk.tell(say.interrupt("dead"), say.audio(voice(6_400), "next"), say.over())
        heard = await talk.rest()
    whole_segments(heard)
    (cut,) = heard.events("interrupted")
    assert list(cut.segment_ids) == ["dead"]
    after = heard.responses[heard.kinds.index("interrupted") :]
    assert {response.video.segment_id for response in after if response.HasField("video")} == {"next"}
    assert len(heard.pictures("next")) == 10
    ends = {event.segment_id: event for event in heard.events("segment_finished")}
    assert {name: end.interrupted for name, end in ends.items()} == {"dead": True, "next": False}
    played, dropped = cut.played.ToMicroseconds(), cut.dropped.ToMicroseconds()
    assert played + dropped == 40_000 * (length + 20)
    assert played == 40_000 * len(heard.pictures("dead"))


async def test_an_interrupt_before_the_first_frame_wins(service: Service, say: Say, voice: Voice) -> None:
    """Sent with the audio, while the portrait is still prepared, it leaves no frame of the segment."""
    heard = await service.talk(say.init(), say.audio(voice(16_000), "dead"), say.interrupt(), say.over())
    whole_segments(heard)
    assert heard.videos == []
    (end,) = heard.events("segment_finished")
    assert (end.segment_id, end.interrupted, end.frames) == ("dead", True, 0)


@pytest.mark.parametrize("name", ["first", "second"])
async def test_of_two_queued_segments_one_can_be_cut(service: Service, say: Say, voice: Voice, name: str) -> None:
    """The other is shown whole, from pts 0 on if it is the only one."""
    requests = [say.init()]
    for each in ("first", "second"):
        requests += [say.audio(voice(6_400), each), say.end(each)]
    heard = await service.talk(*requests, say.interrupt(name), say.over())
    whole_segments(heard)
    other = ({"first", "second"} - {name}).pop()
    assert len(heard.pictures(other)) == 10
    assert heard.pictures(name) == []


async def test_late_audio_of_a_cut_segment_is_ignored(service: Service, say: Say, voice: Voice) -> None:
    """A client that has not yet heard of its own interrupt is not punished."""
    late = [say.audio(voice(6_400), "a"), say.interrupt("a"), say.audio(voice(6_400), "a"), say.end("a")]
    heard = await service.talk(say.init(), *late, say.audio(voice(640), "b"), say.over())
    whole_segments(heard)
    assert {video.segment_id for video in heard.videos} == {"b"}


# Order -----------------------------------------------------------------------------------------------------------


async def test_events_frame_their_frames(service: Service, say: Say, voice: Voice) -> None:
    """Started, then the frames, then finished, segment after segment; ready first and COMPLETE last."""
    requests = [say.init()]
    for name in ("a", "b", "c"):
        requests += [say.audio(voice(1_280), name), say.end(name)]
    heard = await service.talk(*requests, say.over())
    whole_segments(heard)
    kinds = [kind for kind in heard.kinds if kind != "status"]
    assert kinds == ["ready", *["segment_started", "video", "video", "segment_finished"] * 3]
    assert [event.pts for event in heard.events("segment_started")] == [0, 7200, 14400]


# Bounds ----------------------------------------------------------------------------------------------------------


class Counting(FakeEngine):
    """Counts what it renders."""

    def __init__(self) -> None:
        super().__init__(size=512)
        self.rendered = 0

    def render(self, steps: Sequence[RenderStep]) -> list[Frame]:
        """Count."""
        self.rendered += len(steps)
        return super().render(steps)


async def settled(measure: Callable[[], Awaitable[int]]) -> int:
    """Return what ``measure`` gives once it gives the same many times on end."""
    last, same = await measure(), 0
    async with asyncio.timeout(20):
        while same < 50:
            now = await measure()
            last, same = now, same + 1 if now == last else 0
    return last


async def test_a_reader_that_stops_costs_bounded_work(serve: Serve, say: Say) -> None:
    """Rendering stops with the reader: at most the window and what the transport holds is ahead of it."""
    engine = Counting()
    window = 5
    async with serve(lambda: engine, window_frames=window) as service:
        talk = service.open()
        await talk.tell(say.init(), *say.pieces(bytes(2 * 16_000 * 8)))
        await talk.frames(1)

        async def rendered() -> int:
            await service.free()  # a round trip through the same event loop
            return engine.rendered

        ahead = await settled(rendered) - 1
        # A frame is 768 KiB here, so the transport holds next to nothing.
        assert ahead <= window + 3
        await talk.tell(say.over())
        heard = await talk.rest()
    whole_segments(heard)
    assert len(heard.videos) == 200


async def test_a_reader_that_stops_is_ended(serve: Serve, say: Say) -> None:
    """After its time the session is ABORTED with SLOW_CONSUMER, and its slot is free for others."""
    async with serve(Counting, slow_reader_timeout_s=0.3, capacity=1) as service, asyncio.timeout(20):
        talk = service.open()
        await talk.tell(say.init(), *say.pieces(bytes(2 * 16_000 * 8)))
        await talk.frames(1)
        await service.until_free(1)
        heard = await talk.rest()
        assert heard.code is grpc.StatusCode.ABORTED
        assert heard.reason == "SLOW_CONSUMER"
        whole_segments(await service.talk(say.init(), say.audio(bytes(1_280)), say.over()))


async def test_a_stopped_reader_stops_nobody_else(serve: Serve, say: Say, voice: Voice) -> None:
    """Beside it, another session gets all its frames."""
    async with serve(Counting, window_frames=4) as service, asyncio.timeout(30):
        talk = service.open()
        await talk.tell(say.init(), *say.pieces(bytes(2 * 16_000 * 8)))
        await talk.frames(1)
        other = await service.talk(say.init(), *say.pieces(voice(32_000)), say.over())
        whole_segments(other)
        assert len(other.videos) == 50
        talk.call.cancel()
        await service.until_free(4)


async def test_buffered_audio_is_bounded(serve: Serve, say: Say) -> None:
    """However much is sent at once, the server holds ten seconds and one message, and in the end shows all."""
    async with serve(lambda: FakeEngine(cost_ms=0.2)) as service, asyncio.timeout(60):
        heard = await service.talk(say.init(video=SMALL_JPEG), *say.pieces(bytes(2 * 16_000 * 90)), say.over())
    whole_segments(heard)
    assert len(heard.videos) == 90 * 25
    most = max(status.buffered_audio.ToMilliseconds() for status in heard.statuses)
    assert 0 < most <= 10_000 + 2_048

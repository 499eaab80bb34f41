"""LIVE through the real service: the clock's pace, idling, speech, interrupts, controls, and readers that are slow."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import av
import grpc
import pytest
from avatar.v1 import avatar_service_pb2, control_pb2, init_pb2, media_pb2

from avatar_service.engine.fake import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Say, Serve, Service, Talk

    Voice = Callable[..., bytes]

pytestmark = pytest.mark.alone

LIVE = init_pb2.SESSION_MODE_LIVE
JPEG = [init_pb2.VideoFormat(codec=init_pb2.VIDEO_CODEC_JPEG, width=64, quality=10)]
H264 = [init_pb2.VideoFormat(codec=init_pb2.VIDEO_CODEC_H264)]
SPEECH, IDLE = media_pb2.FRAME_KIND_SPEECH, media_pb2.FRAME_KIND_IDLE


def control(**fields: Any) -> avatar_service_pb2.StreamAvatarRequest:
    """Change something."""
    return avatar_service_pb2.StreamAvatarRequest(control=control_pb2.Control(**fields))


async def opened(service: Service, say: Say, **fields: Any) -> Talk:
    """Open a LIVE session; it is ready."""
    talk = service.open()
    await talk.tell(say.init(mode=LIVE, **{"video": JPEG, **fields}))
    await talk.until("ready")
    return talk


def places(talk: Talk) -> list[int]:
    """Return where on the grid the frames are."""
    return [video.pts // 3600 for video in talk.heard.videos]


async def test_idle_frames_come_at_the_pace_of_the_clock(service: Service, say: Say) -> None:
    """The first at once, then one every 40 ms, without a burst and without anybody asking."""
    async with asyncio.timeout(20):
        talk = await opened(service, say)
        arrivals = []
        for _ in range(26):
            [frame] = await talk.frames(1)
            arrivals.append(time.monotonic())
            assert (frame.kind, frame.segment_id) == (IDLE, "")
        assert places(talk) == list(range(26))
        assert 0.9 < arrivals[-1] - arrivals[0] < 2.0
        talk.call.cancel()


async def test_idle_speech_idle(service: Service, say: Say, voice: Voice) -> None:
    """Speech fed at once is shown at its pace, told when it begins and ends; and the end of audio ends the call."""
    async with asyncio.timeout(20):
        talk = await opened(service, say)
        await talk.frames(2)
        await talk.tell(*say.pieces(voice(10 * 640), "a"), say.end())
        await talk.until("idle")
        await talk.frames(2)
        await talk.tell(say.over())
        heard = await talk.rest()
    assert heard.code is grpc.StatusCode.OK
    assert places(talk) == list(range(len(heard.videos)))
    kinds = [kind for kind in heard.kinds if kind not in {"ready", "video", "status"}]
    assert kinds == ["segment_started", "segment_finished", "idle"]
    [started], [finished], [idle] = (heard.events(kind) for kind in kinds)
    spoken = [video for video in heard.videos if video.kind == SPEECH]
    assert [video.frame_index for video in spoken] == list(range(10))
    assert spoken[0].pts == started.pts
    assert idle.pts == started.pts + 10 * 3600
    assert (finished.played.ToMilliseconds(), finished.frames) == (400, 10)


async def test_late_audio_is_an_underrun(service: Service, say: Say, voice: Voice) -> None:
    """The avatar idles within the segment, and says so once; what was said in all is shown."""
    async with asyncio.timeout(20):
        talk = await opened(service, say)
        await talk.tell(say.audio(voice(8 * 640), "a"))
        await talk.until("underrun")
        await talk.frames(5)
        await talk.tell(say.audio(voice(4 * 640), "a"), say.over())
        heard = await talk.rest()
    assert len(heard.events("underrun")) == 1
    assert heard.events("segment_finished")[0].frames == 12
    assert places(talk) == list(range(len(heard.videos)))


async def test_the_end_of_audio_plays_the_last_segment_to_its_end(service: Service, say: Say, voice: Voice) -> None:
    """At its pace, and then the call is over, without idling on."""
    async with asyncio.timeout(20):
        talk = await opened(service, say)
        await talk.tell(say.audio(voice(25 * 640), "a"), say.over())
        heard = await talk.rest()
    assert heard.code is grpc.StatusCode.OK
    assert heard.videos[-1].frame_index == 24
    assert heard.videos[-1].kind == SPEECH


async def test_an_interrupt_stops_speech_at_once(service: Service, say: Say, voice: Voice) -> None:
    """Nothing of the segment follows the answer, the next frame can be decoded, and the next segment may start."""
    async with asyncio.timeout(20):
        talk = await opened(service, say, video=H264)
        await talk.tell(*say.pieces(voice(200 * 640), "a"))
        while (await talk.until("video")).video.frame_index < 6:
            pass
        await talk.tell(say.interrupt(), say.audio(voice(5 * 640), "b"), say.end())
        await talk.until("idle")
        await talk.frames(3)
        await talk.tell(say.over())
        heard = await talk.rest()
    place = heard.kinds.index("interrupted")
    before = [each.video for each in heard.responses[:place] if each.HasField("video")]
    after = [each.video for each in heard.responses[place:] if each.HasField("video")]
    assert not [video for video in after if video.segment_id == "a"]
    assert after[0].keyframe
    [cut] = heard.events("interrupted")
    assert cut.played.ToMilliseconds() == 40 * len([video for video in before if video.segment_id == "a"])
    assert [event.interrupted for event in heard.events("segment_finished")] == [True, False]
    assert places(talk) == sorted(set(places(talk)))
    context = av.CodecContext.create("h264", "r")
    decoded = [frame for content in heard.pictures() for frame in context.decode(av.Packet(content))]
    assert len([*decoded, *context.decode(None)]) == len(heard.videos)


async def test_an_interrupt_before_the_first_frame_wins(service: Service, say: Say, voice: Voice) -> None:
    """The segment never starts."""
    async with asyncio.timeout(20):
        talk = await opened(service, say)
        await talk.tell(say.audio(voice(640), "a"), say.interrupt("a"), say.over())
        heard = await talk.rest()
    assert heard.events("segment_started") == []
    [finished] = heard.events("segment_finished")
    assert (finished.frames, finished.interrupted) == (0, True)


async def test_controls_are_done_and_mistakes_are_told(service: Service, say: Say) -> None:
    """A gesture, a keyframe and a rate; what is out of range is a warning, and the stream goes on."""
    async with asyncio.timeout(20):
        talk = await opened(service, say, video=H264)
        await talk.frames(3)
        emotion = control_pb2.Emotion(kind=control_pb2.EMOTION_KIND_HAPPY)
        await talk.tell(control(emotion=emotion, force_keyframe=True, head_motion=9))
        warning = (await talk.until("warning")).event.warning
        assert warning.reason == "CONTROL_OUT_OF_RANGE"
        frames = await talk.frames(5)
        assert [frame.keyframe for frame in frames].count(True) == 1
        await talk.tell(control(bitrate_kbps=100))
        assert True in [frame.keyframe for frame in await talk.frames(5)]
        talk.call.cancel()


async def test_a_paused_session_sends_no_frames_and_is_not_ended(serve: Serve, say: Say) -> None:
    """Time goes on meanwhile, and the first frame after it is a keyframe."""
    async with serve(FakeEngine, idle_timeout_s=0.4) as service, asyncio.timeout(20):
        talk = await opened(service, say, video=H264)
        await talk.frames(2)
        await talk.tell(control(paused=True))
        for _ in range(2):
            await talk.until("status")
        await talk.tell(control(paused=False))
        paused_at = talk.heard.videos[-1].pts
        [frame] = await talk.frames(1)
        assert frame.keyframe
        assert frame.pts - paused_at > 10 * 3600
        talk.call.cancel()


async def test_a_pause_is_for_live_only(service: Service, say: Say) -> None:
    """On audio it is a warning; frames come as they would."""
    heard = await service.talk(say.init(video=JPEG), control(paused=True), say.audio(bytes(1280)), say.over())
    assert [event.reason for event in heard.events("warning")] == ["PAUSE_NEEDS_LIVE"]
    assert len(heard.videos) == 1


async def test_a_live_session_has_no_idle_limit(serve: Serve, say: Say) -> None:
    """A client that listens and says nothing is no mistake."""
    async with serve(FakeEngine, idle_timeout_s=0.3) as service, asyncio.timeout(20):
        talk = await opened(service, say)
        assert len(await talk.frames(30)) == 30
        talk.call.cancel()


async def test_a_slow_reader_misses_frames_and_is_told(serve: Serve, say: Say) -> None:
    """What it did not read in time is left out at the source; what comes then is of now."""
    async with serve(lambda: FakeEngine(size=512), window_frames=3) as service, asyncio.timeout(30):
        talk = await opened(service, say, video=[init_pb2.VideoFormat(codec=init_pb2.VIDEO_CODEC_RAW_RGB)])
        await talk.frames(1)
        await asyncio.to_thread(time.sleep, 1.0)
        degraded = (await talk.until("degraded")).event.degraded
        assert degraded.reason == "SLOW_CONSUMER"
        await talk.frames(12)
        assert places(talk) == sorted(set(places(talk)))
        assert places(talk)[-1] > 24
        talk.call.cancel()


async def test_a_reader_that_stops_is_ended(serve: Serve, say: Say) -> None:
    """After its time, and its slot is free."""
    async with serve(lambda: FakeEngine(size=512), slow_reader_timeout_s=0.5, capacity=1) as service:
        async with asyncio.timeout(20):
            talk = await opened(service, say, video=[init_pb2.VideoFormat(codec=init_pb2.VIDEO_CODEC_RAW_RGB)])
            await service.until_free(1)
            heard = await talk.rest()
        assert heard.reason == "SLOW_CONSUMER"


@pytest.mark.parametrize("cut", [False, True])
async def test_played_is_what_was_shown(service: Service, say: Say, voice: Voice, *, cut: bool) -> None:
    """Several segments on one stream: each has one finish, and its frames are counted right."""
    async with asyncio.timeout(30):
        talk = await opened(service, say)
        for number in range(4):
            await talk.tell(say.audio(voice(700 + 3_000 * number), f"s{number}"), say.end())
            if cut and number % 2:
                await talk.tell(say.interrupt(f"s{number}"))
            await talk.frames(6)
        await talk.tell(say.over())
        heard = await talk.rest()
    finished = heard.events("segment_finished")
    assert sorted(event.segment_id for event in finished) == [f"s{number}" for number in range(4)]
    for event in finished:
        number = int(event.segment_id[1:])
        own = [video for video in heard.videos if video.segment_id == event.segment_id]
        assert [video.frame_index for video in own] == list(range(event.frames))
        assert event.played.ToNanoseconds() == 62_500 * min(700 + 3_000 * number, 640 * len(own))

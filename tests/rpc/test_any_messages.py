"""Every kind of message, in any order, with any values, through the real servicer: exact answers, and no harm."""

from __future__ import annotations

import asyncio
import math
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from avatar.v1 import avatar_service_pb2, control_pb2, init_pb2, media_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import Heard

if TYPE_CHECKING:
    from tests.conftest import Say, Service

Request = avatar_service_pb2.StreamAvatarRequest

# A failure of the server itself is never the answer to what a client says.
CALLERS_OWN = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
}
REASONS = set(re.findall(r"^\| ([A-Z_]+) \|", (Path(__file__).parents[2] / "docs/errors.md").read_text(), re.MULTILINE))

names = st.sampled_from(["", "a", "b", "\0", "x" * 300])
words = st.integers(0, 2**32 - 1) | st.sampled_from([0, 1, 2, 16_000])
floats = st.floats(width=32) | st.floats(-1, 1, width=32)
kinds = st.integers(-1, 6)
durations = st.fixed_dictionaries({"seconds": st.integers(-2, 12), "nanos": st.sampled_from([0, 1, 500_000_000, -1])})
angles = st.fixed_dictionaries({"pitch": floats, "yaw": floats, "roll": floats})
gazes = st.fixed_dictionaries({"x": floats, "y": floats})


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return what makes any of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


videos = some(codec=kinds, width=words, height=words, quality=words, bitrate_kbps=words, keyframe_interval=durations)
generations = some(
    crop=st.booleans(),
    crop_scale=floats,
    paste_back=st.booleans(),
    seed=st.integers(0, 2**64 - 1),
    nfe=words,
    cfg_scale=floats,
    chunk_duration=durations,
    pose_style=angles,
    gaze_style=gazes,
    preset=kinds,
    head_motion=floats,
    adapter=names,
)
inits = some(
    portrait=st.binary(max_size=64),
    engine=names,
    audio=some(encoding=kinds, sample_rate_hz=words, channels=words),
    video=st.lists(videos, max_size=3),
    mode=kinds,
    generation=generations,
    avatar_id=names,
    resumable=st.booleans(),
    degradation_preference=st.integers(0, 3),
    resume=some(token=names, received_messages=words),
)
controls = some(
    pose=angles,
    gaze=gazes,
    emotion=some(kind=kinds, intensity=floats),
    head_motion=floats,
    bitrate_kbps=words,
    force_keyframe=st.booleans(),
    paused=st.booleans(),
    avatar_id=names,
)
speech = st.builds(
    lambda name, content, number: Request(audio=media_pb2.Audio(segment_id=name, data=content, seq=number)),
    names,
    st.binary(max_size=64).map(lambda content: content * 20),
    st.none() | st.integers(0, 4) | words,
)
messages = st.one_of(
    speech,
    names.map(lambda name: Request(end_of_segment=media_pb2.EndOfSegment(segment_id=name))),
    names.map(lambda name: Request(interrupt=media_pb2.Interrupt(segment_id=name))),
    controls.map(lambda fields: Request(control=control_pb2.Control(**fields))),
    st.just(Request(end_of_audio=media_pb2.EndOfAudio())),
    st.just(Request()),
    inits.map(lambda fields: Request(init=init_pb2.Init(**fields))),
)


@settings(max_examples=120)
@given(opens_well=st.booleans(), live=st.booleans(), rest=st.lists(messages, max_size=12), half_close=st.booleans())
async def test_any_messages_get_exact_answers(
    service: Service, say: Say, opens_well: bool, live: bool, rest: list[Request], half_close: bool
) -> None:
    """OK or the caller's own fault with a listed reason, in time; the slot is free, and the next session whole."""
    opening = [say.init(mode=init_pb2.SESSION_MODE_LIVE) if live else say.init()] if opens_well else []
    requests = [*opening, *rest]
    # Whoever says nothing that ends a session would wait for the server's deadline.
    ended = [] if half_close else [Request(end_of_audio=media_pb2.EndOfAudio()), Request()]
    heard = await service.talk(*requests, *ended, half_close=half_close)
    check(heard)
    await service.until_free(8)


def check(heard: Heard) -> None:
    """Check how a call ended, and that every frame that came had its place."""
    if heard.code is not grpc.StatusCode.OK and "ErrorInfo" in heard.details:
        assert heard.code in CALLERS_OWN, (heard.code, heard.reason, heard.text)
        assert heard.reason in REASONS, heard.reason
    elif heard.code is not grpc.StatusCode.OK:
        # What the client's own library says of a write at the moment in which the server ends the call.
        assert heard.text == "Internal error from Core", heard.text
    pts = [video.pts for video in heard.videos]
    assert pts == sorted(pts)
    assert all(math.isfinite(each) and each % 3600 == 0 for each in pts)


@settings(max_examples=60)
@given(first=st.binary(max_size=200), rest=st.lists(st.binary(max_size=200), max_size=3))
async def test_any_bytes_get_exact_answers(service: Service, first: bytes, rest: list[bytes]) -> None:
    """What is no protobuf, or another message, is the caller's fault too, and none of the parser's words comes back."""
    call = service.channel.stream_stream("/avatar.v1.AvatarService/StreamAvatar")()
    heard = Heard(code=grpc.StatusCode.OK)
    try:
        with suppress(asyncio.InvalidStateError):  # the call was ended behind an earlier message
            for content in (first, *rest):
                await call.write(content)
            await call.done_writing()
        async for _ in call:
            pass
    except grpc.aio.AioRpcError as error:
        heard.end(error)
    check(heard)
    await service.until_free(8)


async def test_every_kind_of_message_is_among_them() -> None:
    """A message that is added to the protocol is added here."""
    known = {"audio", "end_of_segment", "interrupt", "control", "end_of_audio", "init"}
    assert {field.name for field in Request.DESCRIPTOR.fields} == known

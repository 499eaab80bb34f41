"""The engine behind the real service, around a model of nothing: the invariants that every engine keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
from avatar.v1 import control_pb2, init_pb2, media_pb2

from avatar_service.engine.base import Samples

if TYPE_CHECKING:
    from tests.conftest import Say, Serve

Make = Callable[..., Any]
WHOLE = {"crop": False}


@pytest.fixture
def said(spoken: Samples) -> bytes:
    """Two seconds of speech and a bit as 16-bit integers."""
    return np.round(spoken[:33_000] * 32_767).astype("<i2").tobytes()


def generation(**fields: Any) -> init_pb2.GenerationParameters:
    """Return how to animate a picture that the face fills."""
    return init_pb2.GenerationParameters(**WHOLE, **fields)


@pytest.mark.parametrize("preset", [init_pb2.PRESET_LOWEST_LATENCY, init_pb2.PRESET_BALANCED])
async def test_frames_do_not_depend_on_the_messages(
    serve: Serve, say: Say, engine: Make, said: bytes, preset: init_pb2.Preset
) -> None:
    """However the samples are split, the frames are bit-identical, and there are ceil(25 n / 16000) of them."""
    async with serve(engine) as service:
        opening = say.init(generation=generation(preset=preset))
        whole = await service.talk(opening, *say.pieces(said), say.over())
        parts = await service.talk(opening, *say.pieces(said, size=1_234), say.over())
    assert whole.code is parts.code is grpc.StatusCode.OK
    assert len(whole.videos) == 52
    assert parts.pictures() == whole.pictures()
    assert len(set(whole.pictures())) > 40


async def test_sessions_together_are_as_each_alone(serve: Serve, say: Say, engine: Make, said: bytes) -> None:
    """At most one step of a byte apart, in batches of whatever is due."""
    async with serve(lambda: engine(max_batch=8), capacity=4) as service:
        openings = [say.init(generation=generation(seed=seed)) for seed in range(4)]
        alone = [await service.talk(opening, *say.pieces(said), say.over()) for opening in openings]
        together = await asyncio.gather(*(service.talk(opening, *say.pieces(said), say.over()) for opening in openings))
    for one, other in zip(alone, together, strict=True):
        frames = [np.frombuffer(b"".join(heard.pictures()), np.uint8).astype(int) for heard in (one, other)]
        assert np.abs(frames[0] - frames[1]).max() <= 1


async def test_a_live_session_idles_speaks_and_idles(serve: Serve, say: Say, engine: Make, said: bytes) -> None:
    """Every frame says what it is, and pose may be asked for at any time."""
    async with serve(engine) as service, asyncio.timeout(30):
        talk = service.open()
        await talk.tell(say.init(mode=init_pb2.SESSION_MODE_LIVE, generation=generation()))
        await talk.frames(5)
        control = control_pb2.Control(pose=init_pb2.HeadPose(yaw=0.2))
        await talk.tell(type(say.over())(control=control), *say.pieces(said, "s"), say.end("s"))
        await talk.until("idle")
        await talk.frames(3)
        await talk.tell(say.over())
        heard = await talk.rest()
    assert heard.code is grpc.StatusCode.OK
    [finished] = heard.events("segment_finished")
    assert finished.frames == 52
    kinds = [video.kind for video in heard.videos]
    assert kinds.count(media_pb2.FRAME_KIND_SPEECH) >= 45, "a busy machine may leave some out"
    assert kinds[0] == kinds[-1] == media_pb2.FRAME_KIND_IDLE


async def test_an_unknown_adapter_is_refused(serve: Serve, say: Say, engine: Make) -> None:
    """Before anything is animated."""
    async with serve(engine) as service:
        heard = await service.talk(say.init(generation=generation(adapter="anna")), half_close=False)
    assert heard.code is grpc.StatusCode.INVALID_ARGUMENT
    assert heard.reason == "ADAPTER_UNKNOWN"

"""Avatars kept by name, over gRPC: created, listed, named in init, switched to, deleted, and refused."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import numpy as np
import psutil
import pytest
from avatar.v1 import avatar_pb2, avatar_service_pb2, control_pb2, init_pb2
from avatar_client.channel import channel_options
from PIL import Image

from avatar_service.app import serving
from avatar_service.config import Settings
from avatar_service.engine.base import Notice, Portrait, PrepareOptions
from avatar_service.engine.fake import FakeAvatar, FakeEngine
from avatar_service.picture import MAX_BYTES
from tests.conftest import details_of, kind

if TYPE_CHECKING:
    from tests.conftest import Say, Serve, Service

Voice = Callable[..., bytes]
Request = avatar_service_pb2.StreamAvatarRequest
CODE = grpc.StatusCode
FRAMES = 8


def picture(level: int, size: tuple[int, int] = (64, 64)) -> bytes:
    """Return a plain picture of this width and height."""
    content = io.BytesIO()
    Image.new("L", size, level).save(content, "PNG")
    return content.getvalue()


def switch(avatar_id: str, **fields: Any) -> Request:
    """Return the request for another avatar."""
    return Request(control=control_pb2.Control(avatar_id=avatar_id, **fields))


async def create(service: Service, portrait: bytes, **fields: Any) -> avatar_pb2.Avatar:
    """Have an avatar kept, and return it."""
    answer = await service.stub.CreateAvatar(avatar_pb2.CreateAvatarRequest(portrait=portrait, **fields))
    return answer.avatar


async def listed(service: Service) -> list[avatar_pb2.Avatar]:
    """Return all avatars that are kept."""
    return list((await service.stub.ListAvatars(avatar_pb2.ListAvatarsRequest())).avatars)


async def delete(service: Service, avatar_id: str) -> None:
    """Delete an avatar."""
    await service.stub.DeleteAvatar(avatar_pb2.DeleteAvatarRequest(avatar_id=avatar_id))


async def refused(call: Any) -> tuple[grpc.StatusCode, str, str]:
    """Return the code, the reason and the field of a call that is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    details = details_of(caught.value)
    violations = details["BadRequest"].field_violations if "BadRequest" in details else ()
    return caught.value.code(), details["ErrorInfo"].reason, violations[0].field if violations else ""


class Shaped(FakeEngine):
    """Its avatars have the shape of their portraits; of a wide one it has something to say."""

    def prepare(self, portrait: Portrait, options: PrepareOptions) -> FakeAvatar:
        """Keep the portrait's shape, unless it is to be cropped to a square."""
        if options.crop:
            return super().prepare(portrait, options)
        notices = (Notice("WIDE", "it is wide"),) if portrait.shape[1] > portrait.shape[0] else ()
        return FakeAvatar(portrait, (portrait.shape[1], portrait.shape[0]), notices)


@pytest.fixture
async def shaped(serve: Serve) -> AsyncIterator[Service]:
    """A server with that engine."""
    async with serve(Shaped) as service, asyncio.timeout(60):
        yield service


# Create, list, delete ---------------------------------------------------------------------------------------------


async def test_what_was_created_is_listed_until_it_is_deleted(shaped: Service) -> None:
    """With its size, its warnings and what it holds; the oldest first."""
    first = await create(shaped, picture(9), display_name="Ada")
    second = await create(shaped, picture(9, (200, 100)), crop=False)
    assert await listed(shaped) == [first, second]
    assert (first.display_name, first.engine, first.width, first.height) == ("Ada", "fake", 128, 128)
    assert (second.width, second.height, [warning.reason for warning in second.warnings]) == (200, 100, ["WIDE"])
    assert second.memory_bytes == 200 * 100 * 3 + len(picture(9, (200, 100)))
    assert abs(datetime.now(UTC) - first.create_time.ToDatetime(UTC)) < timedelta(minutes=1)
    await delete(shaped, first.avatar_id)
    assert await listed(shaped) == [second]
    assert await refused(delete(shaped, first.avatar_id)) == (CODE.NOT_FOUND, "AVATAR_UNKNOWN", "")


@pytest.mark.parametrize(
    ("fields", "code", "reason", "field"),
    [
        ({"portrait": b""}, CODE.INVALID_ARGUMENT, "PORTRAIT_MISSING", "portrait"),
        ({"portrait": b"rubbish"}, CODE.INVALID_ARGUMENT, "PORTRAIT_FORMAT", "portrait"),
        ({"portrait": picture(1)[:60]}, CODE.INVALID_ARGUMENT, "PORTRAIT_DAMAGED", "portrait"),
        ({"portrait": bytes(MAX_BYTES + 1)}, CODE.RESOURCE_EXHAUSTED, "PORTRAIT_TOO_LARGE", ""),
        ({"engine": "imaginary"}, CODE.INVALID_ARGUMENT, "ENGINE", "engine"),
        ({"crop_scale": 3.0}, CODE.INVALID_ARGUMENT, "OUT_OF_RANGE", "crop_scale"),
        ({"crop_scale": float("nan")}, CODE.INVALID_ARGUMENT, "OUT_OF_RANGE", "crop_scale"),
        ({"crop": False, "paste_back": True}, CODE.INVALID_ARGUMENT, "PASTE_BACK_NEEDS_CROP", "paste_back"),
        ({"display_name": "x" * 129}, CODE.INVALID_ARGUMENT, "OUT_OF_RANGE", "display_name"),
        ({"display_name": "Ada\0"}, CODE.INVALID_ARGUMENT, "OUT_OF_RANGE", "display_name"),
        ({"display_name": "Ada\n2026 ERROR"}, CODE.INVALID_ARGUMENT, "OUT_OF_RANGE", "display_name"),
        ({"display_name": "\u202eadA"}, CODE.INVALID_ARGUMENT, "OUT_OF_RANGE", "display_name"),
    ],
)
async def test_what_cannot_be_kept_is_refused(
    shaped: Service, fields: dict[str, Any], code: grpc.StatusCode, reason: str, field: str
) -> None:
    """As ``init`` would say it, with the request's own field; nothing is kept of it."""
    assert await refused(create(shaped, **{"portrait": picture(1), **fields})) == (code, reason, field)
    assert await listed(shaped) == []


async def test_as_many_are_kept_as_the_operator_says(serve: Serve) -> None:
    """Beyond the number or the bytes RESOURCE_EXHAUSTED, without advice to try again."""
    full = (CODE.RESOURCE_EXHAUSTED, "AVATARS_FULL", "")
    async with serve(max_avatars=1) as service:
        kept = await create(service, picture(1))
        assert await refused(create(service, picture(2))) == full
        await delete(service, kept.avatar_id)
        await create(service, picture(2))
    async with serve(max_avatar_bytes=128 * 128 * 3) as service:
        assert await refused(create(service, picture(1))) == full
        assert await listed(service) == []


async def test_creating_touches_no_session(service: Service, say: Say, voice: Voice) -> None:
    """Good portraits and bad ones, perhaps more than may wait, while one speaks: it gets every frame, bit by bit."""
    halves = [say.audio(voice(FRAMES * 640, seed)) for seed in (1, 2)]
    expected = await service.talk(say.init(), *halves, say.over())
    talk = service.open()
    await talk.tell(say.init(), halves[0])
    await talk.frames(3)
    portraits = [b"rubbish" if number % 3 == 0 else picture(number) for number in range(12)]
    outcomes = await asyncio.gather(*(create(service, each) for each in portraits), return_exceptions=True)
    await talk.tell(halves[1], say.over())
    assert (await talk.rest()).pictures() == expected.pictures()
    failures = [details_of(each)["ErrorInfo"].reason for each in outcomes if isinstance(each, grpc.aio.AioRpcError)]
    assert {"PORTRAIT_FORMAT"} <= set(failures) <= {"PORTRAIT_FORMAT", "AVATARS_BUSY"}
    assert len(await listed(service)) == len(outcomes) - len(failures) > 0


# Init names one ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"crop": False}, {"crop_scale": 1.5}])
async def test_a_named_avatar_is_the_portrait_that_it_was_made_of(
    shaped: Service, say: Say, voice: Voice, options: dict[str, Any]
) -> None:
    """Bit by bit, warnings included, and in sessions side by side."""
    portrait = picture(77, (200, 100))
    kept = await create(shaped, portrait, **options)
    generation = init_pb2.GenerationParameters(**options)
    speech = say.audio(voice(FRAMES * 640))
    given = await shaped.talk(say.init(portrait=portrait, generation=generation), speech, say.over())
    named = say.init(portrait=b"", avatar_id=kept.avatar_id)
    for heard in await asyncio.gather(*(shaped.talk(named, speech, say.over()) for _ in range(3))):
        assert heard.code is CODE.OK
        assert heard.pictures() == given.pictures()
        assert [kind(each) for each in heard.responses].count("warning") == len(kept.warnings)


@pytest.mark.parametrize(
    ("fields", "code", "reason", "field"),
    [
        ({"avatar_id": "no such avatar"}, CODE.NOT_FOUND, "AVATAR_UNKNOWN", ""),
        ({"avatar_id": "x" * 10_000}, CODE.NOT_FOUND, "AVATAR_UNKNOWN", ""),
        ({"avatar_id": "../../etc/passwd"}, CODE.NOT_FOUND, "AVATAR_UNKNOWN", ""),
        ({}, CODE.INVALID_ARGUMENT, "PORTRAIT_MISSING", "init.portrait"),
        ({"avatar_id": "kept", "portrait": b"x"}, CODE.INVALID_ARGUMENT, "PORTRAIT_OR_AVATAR", "init.avatar_id"),
        ({"crop": True}, CODE.INVALID_ARGUMENT, "AVATAR_IS_PREPARED", "init.generation.crop"),
        ({"crop_scale": 1.5}, CODE.INVALID_ARGUMENT, "AVATAR_IS_PREPARED", "init.generation.crop_scale"),
        ({"paste_back": True}, CODE.INVALID_ARGUMENT, "AVATAR_IS_PREPARED", "init.generation.paste_back"),
    ],
)
async def test_a_name_that_does_not_suit_is_refused(
    service: Service, say: Say, *, fields: dict[str, Any], code: grpc.StatusCode, reason: str, field: str
) -> None:
    """Exactly one of portrait and avatar, one that is kept, and without what it was made with."""
    kept = await create(service, picture(1))
    options = {name: value for name, value in fields.items() if name not in {"avatar_id", "portrait"}}
    if options:
        fields = {"avatar_id": "kept", "generation": init_pb2.GenerationParameters(**options)}
    if fields.get("avatar_id") == "kept":
        fields = {**fields, "avatar_id": kept.avatar_id}
    heard = await service.talk(say.init(**{"portrait": b"", **fields}), half_close=False)
    assert (heard.code, heard.reason) == (code, reason)
    if field:
        assert heard.details["BadRequest"].field_violations[0].field == field
    assert len(heard.text) < 500
    await service.until_free(8)


async def test_sessions_outlive_their_avatar(service: Service, say: Say, voice: Voice) -> None:
    """One that shows it goes on to its last frame; the next one that names it is refused."""
    kept = await create(service, picture(50))
    init, speech = say.init(portrait=b"", avatar_id=kept.avatar_id), say.audio(voice(FRAMES * 640))
    expected = await service.talk(init, speech, say.over())
    talk = service.open()
    await talk.tell(init)
    await talk.until("ready")
    await delete(service, kept.avatar_id)
    await talk.tell(speech, say.over())
    assert (await talk.rest()).pictures() == expected.pictures()
    assert (await service.talk(init, half_close=False)).reason == "AVATAR_UNKNOWN"


# Switched to ------------------------------------------------------------------------------------------------------


async def switched(service: Service, say: Say, halves: list[bytes], *controls: Request, **fields: Any) -> list[Any]:
    """Return all that a session is told that controls something between two halves of speech."""
    talk = service.open()
    await talk.tell(say.init(**fields), say.audio(halves[0]))
    # The look-ahead holds back the last frames of the half, so the rest is made behind the control.
    await talk.frames(FRAMES - 3)
    await talk.tell(*controls)
    await talk.tell(say.audio(halves[1]), say.over())
    heard = await talk.rest()
    assert heard.code is CODE.OK, heard.text
    return heard.responses


def pixels(responses: list[Any]) -> list[bytes]:
    """Return the frames."""
    return [response.video.data for response in responses if kind(response) == "video"]


def warnings(responses: list[Any]) -> list[str]:
    """Return the reasons of the warnings."""
    return [response.event.warning.reason for response in responses if kind(response) == "warning"]


async def test_a_session_goes_on_with_another_avatar(service: Service, say: Say, voice: Voice) -> None:
    """In one stream without a gap: up to some frame one's own, from there on the other's, bit by bit."""
    halves = [voice(FRAMES * 640, seed) for seed in (1, 2)]
    portraits = picture(40), picture(200)
    other = await create(service, portraits[1])
    before, after = [pixels(await switched(service, say, halves, portrait=portrait)) for portrait in portraits]
    heard = await switched(service, say, halves, switch(other.avatar_id), portrait=portraits[0])
    assert warnings(heard) == []
    mine = pixels(heard)
    first = mine.index(after[mine_first(mine, before)])
    assert FRAMES - 3 <= first < 2 * FRAMES
    assert mine == before[:first] + after[first:]
    pts = [response.video.pts for response in heard if kind(response) == "video"]
    assert pts == [number * 3600 for number in range(2 * FRAMES)]


def mine_first(mine: list[bytes], before: list[bytes]) -> int:
    """Return the number of the first frame that differs."""
    return next(number for number, (one, other) in enumerate(zip(mine, before, strict=True)) if one != other)


@pytest.mark.parametrize("name", ["nobody", "", "deleted", "wide"])
async def test_a_switch_that_cannot_be_is_a_warning(shaped: Service, say: Say, voice: Voice, name: str) -> None:
    """Nothing else changes; what stands beside it in the message takes effect. An empty name is no switch."""
    halves = [voice(FRAMES * 640, seed) for seed in (1, 2)]
    deleted, wide = await create(shaped, picture(9)), await create(shaped, picture(9, (200, 100)), crop=False)
    await delete(shaped, deleted.avatar_id)
    avatar_id = {"deleted": deleted.avatar_id, "wide": wide.avatar_id}.get(name, name)
    expected = {"nobody": ["AVATAR_UNKNOWN"], "deleted": ["AVATAR_UNKNOWN"], "wide": ["AVATAR_SHAPE"], "": []}[name]
    undisturbed = await switched(shaped, say, halves, Request(control=control_pb2.Control(head_motion=0.5)))
    heard = await switched(shaped, say, halves, switch(avatar_id, head_motion=0.5))
    assert warnings(heard) == expected
    assert pixels(heard)[: FRAMES - 3] == pixels(undisturbed)[: FRAMES - 3]
    assert len(pixels(heard)) == 2 * FRAMES


async def test_a_switch_before_ready_holds_from_the_first_frame(service: Service, say: Say, voice: Voice) -> None:
    """It may follow init at once; of two the last one counts."""
    speech = say.audio(voice(FRAMES * 640))
    first, last = [await create(service, picture(level)) for level in (100, 200)]
    expected = await service.talk(say.init(portrait=picture(200)), speech, say.over())
    heard = await service.talk(
        say.init(portrait=picture(1)), switch(first.avatar_id), switch(last.avatar_id), speech, say.over()
    )
    assert heard.pictures() == expected.pictures()


async def test_a_live_stream_goes_on_with_another_avatar(service: Service, say: Say) -> None:
    """Frame by frame of one grid, with a keyframe where it changes and no event."""
    other = await create(service, picture(200))
    h264 = init_pb2.VideoFormat(codec=init_pb2.VIDEO_CODEC_H264)
    raw = init_pb2.VideoFormat(codec=init_pb2.VIDEO_CODEC_RAW_RGB)
    talk = service.open()
    async with asyncio.timeout(30):
        await talk.tell(say.init(portrait=picture(40), video=[h264, raw], mode=init_pb2.SESSION_MODE_LIVE))
        await talk.frames(6)
        await talk.tell(switch(other.avatar_id))
        await talk.frames(20)
        await talk.tell(say.over())
        videos = (await talk.rest()).videos
    coded, plain = ([video for video in videos if video.format == number] for number in (0, 1))
    corner = [int(np.frombuffer(video.data, np.uint8)[-3 * 128 * 20]) for video in plain]
    first = corner.index(200)
    assert corner == [40] * first + [200] * (len(corner) - first)
    assert first >= 3
    assert [number for number, video in enumerate(coded) if video.keyframe][:2] == [0, first]
    assert [video.pts for video in coded] == [3600 * number for number in range(len(coded))]


# Workers come and go ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
async def test_avatars_outlive_a_worker(connect: Callable[..., Service], say: Say, voice: Voice, workers: int) -> None:
    """All processes are killed; their replacements prepare them again, and show them from their own cache."""
    settings = Settings(host="127.0.0.1", port=0, engine="fake", workers=workers, capacity=2 * workers)
    speech = say.audio(voice(FRAMES * 640))
    async with serving(settings) as port, asyncio.timeout(60):
        target = f"127.0.0.1:{port}"
        async with grpc.aio.insecure_channel(target, options=channel_options()) as channel:
            service = connect(target, channel)
            kept = [await create(service, picture(level)) for level in (10, 200)]
            init = say.init(portrait=b"", avatar_id=kept[1].avatar_id)
            expected = await service.talk(init, speech, say.over())
            assert expected.code is CODE.OK
            for worker in psutil.Process().children():
                os.kill(worker.pid, signal.SIGKILL)
            await service.until_free(0)
            await service.until_free(2 * workers)
            assert await listed(service) == kept
            assert (await service.talk(init, speech, say.over())).pictures() == expected.pictures()
            while True:
                # Until its worker has come to the avatar again, a switch to it may be told to wait.
                changing = switch(kept[1].avatar_id)
                heard = await service.talk(say.init(portrait=picture(10)), changing, speech, say.over())
                if warnings(heard.responses) != ["AVATAR_NOT_READY"]:
                    break
            assert heard.pictures() == expected.pictures()

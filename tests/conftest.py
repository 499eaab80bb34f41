"""What most tests share: a tiny portrait, messages, and the real service on a free port, spoken to without a client."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import hypothesis
import numpy as np
import pytest
from avatar.v1 import avatar_service_pb2, avatar_service_pb2_grpc, event_pb2, init_pb2, media_pb2
from avatar_client.channel import channel_options
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from PIL import Image

from avatar_service.app import serving
from avatar_service.config import Settings
from avatar_service.engine.base import Avatar, Engine, Frame, Motion, MotionStep, Parameters, RenderStep
from avatar_service.engine.fake import FakeEngine, FakeState

Request = avatar_service_pb2.StreamAvatarRequest
Response = avatar_service_pb2.StreamAvatarResponse

# The same examples on every machine and at every run; and a machine may be slow.
hypothesis.settings.register_profile(
    "suite",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("suite")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport]:  # noqa: ARG001
    """Where all tools were installed on purpose, a test that skips for want of one has failed."""
    report = yield
    if report.skipped and "is not installed" in str(report.longrepr) and "AVATAR_TESTS_NEED_TOOLS" in os.environ:
        report.outcome = "failed"
    return report


@dataclass
class Heard:
    """All that the server said in one session.

    Attributes:
        responses: in order.
        code: of the call's status.
        text: of the call's status.
        details: of the call's status, by their type's name.
    """

    responses: list[Response] = field(default_factory=list)
    code: grpc.StatusCode | None = None
    text: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def kinds(self) -> list[str]:
        """What each response is: ready, video, status, or the kind of event."""
        return [kind(response) for response in self.responses]

    @property
    def videos(self) -> list[media_pb2.Video]:
        """The frames."""
        return [response.video for response in self.responses if response.HasField("video")]

    @property
    def statuses(self) -> list[event_pb2.SessionStatus]:
        """The statuses."""
        return [response.status for response in self.responses if response.HasField("status")]

    def events(self, name: str) -> list[Any]:
        """Return the events of one kind."""
        return [getattr(response.event, name) for response in self.responses if kind(response) == name]

    def pictures(self, segment_id: str | None = None) -> list[bytes]:
        """Return the encoded frames, of one segment or of all."""
        return [video.data for video in self.videos if segment_id in {None, video.segment_id}]

    @property
    def reason(self) -> str:
        """The stable reason of a failure."""
        return self.details["ErrorInfo"].reason

    def end(self, error: grpc.aio.AioRpcError) -> None:
        """Note how the call failed."""
        self.code, self.text, self.details = error.code(), error.details() or "", details_of(error)


def kind(response: Response) -> str:
    """Return what a response is: ready, video, status, or the kind of event."""
    name = response.WhichOneof("message")
    return response.event.WhichOneof("event") if name == "event" else name


def details_of(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    """Return the ``google.rpc`` details of a failed call, by their type's name."""
    packed = next((value for key, value in error.trailing_metadata() or () if key == "grpc-status-details-bin"), b"")
    found: dict[str, Message] = {}
    for detail in status_pb2.Status.FromString(packed).details:
        name = detail.TypeName().rpartition(".")[2]
        message = getattr(error_details_pb2, name)()
        assert detail.Unpack(message)
        found[name] = message
    return found


@dataclass(frozen=True)
class Say:
    """Makes the client's messages.

    Attributes:
        photo: the portrait of every init that names none.
    """

    photo: bytes

    def init(self, *, rate: int = 16_000, encoding: int = init_pb2.AUDIO_ENCODING_LINEAR16, **fields: Any) -> Request:
        """Open a session; raw RGB video unless ``video`` says otherwise."""
        fields.setdefault("portrait", self.photo)
        fields.setdefault("audio", init_pb2.AudioFormat(encoding=encoding, sample_rate_hz=rate))
        fields.setdefault("video", [init_pb2.VideoFormat(codec=init_pb2.VIDEO_CODEC_RAW_RGB)])
        if "seed" in fields:
            fields["generation"] = init_pb2.GenerationParameters(seed=fields.pop("seed"))
        return Request(init=init_pb2.Init(**fields))

    def audio(self, data: bytes, segment_id: str = "", seq: int | None = None) -> Request:
        """Speak."""
        return Request(audio=media_pb2.Audio(segment_id=segment_id, data=data, seq=seq))

    def pieces(self, data: bytes, segment_id: str = "", size: int = 65_536) -> list[Request]:
        """Speak in messages of at most ``size`` bytes."""
        return [self.audio(data[start : start + size], segment_id) for start in range(0, len(data), size)]

    def end(self, segment_id: str = "") -> Request:
        """Close a segment."""
        return Request(end_of_segment=media_pb2.EndOfSegment(segment_id=segment_id))

    def interrupt(self, segment_id: str = "") -> Request:
        """Stop speech."""
        return Request(interrupt=media_pb2.Interrupt(segment_id=segment_id))

    def over(self) -> Request:
        """Say that no more audio comes."""
        return Request(end_of_audio=media_pb2.EndOfAudio())


class Talk:
    """One call, message by message."""

    def __init__(
        self, stub: avatar_service_pb2_grpc.AvatarServiceStub, metadata: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self.call = stub.StreamAvatar(metadata=metadata)
        self.heard = Heard()
        self._responses = aiter(self.call)

    async def tell(self, *requests: Request) -> None:
        """Send requests."""
        for request in requests:
            await self.call.write(request)

    async def next(self) -> Response:
        """Return the next response."""
        response: Response = await anext(self._responses)
        self.heard.responses.append(response)
        return response

    async def until(self, *kinds: str) -> Response:
        """Read until a response of one of these kinds, and return it."""
        while kind(response := await self.next()) not in kinds:
            pass
        return response

    async def frames(self, count: int) -> list[media_pb2.Video]:
        """Read until so many more frames came, and return them."""
        return [(await self.until("video")).video for _ in range(count)]

    async def rest(self) -> Heard:
        """Read to the end of the call, and note how it ended."""
        try:
            while True:
                await self.next()
        except StopAsyncIteration:
            self.heard.code = await self.call.code()
        except grpc.aio.AioRpcError as error:
            self.heard.end(error)
        return self.heard


class Service:
    """A server under test, and a channel to it.

    Attributes:
        target: ``host:port``.
        channel: to it.
        stub: on that channel.
    """

    def __init__(self, target: str, channel: grpc.aio.Channel) -> None:
        self.target = target
        self.channel = channel
        self.stub = avatar_service_pb2_grpc.AvatarServiceStub(channel)

    def open(self, *metadata: tuple[str, str]) -> Talk:
        """Open a stream and say nothing yet."""
        return Talk(self.stub, metadata)

    async def talk(self, *requests: Request, half_close: bool = True) -> Heard:
        """Send all requests while reading, and return what was heard.

        A test of a refusal sends nothing behind what is refused, and leaves the stream open: an asyncio client that
        writes at the moment in which the server ends the call may get an INTERNAL of its own for the server's status.
        """
        talk = self.open()

        async def write() -> None:
            # A server that refused the stream takes no more requests; why, the reading side is told.
            with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await talk.tell(*requests)
                if half_close:
                    await talk.call.done_writing()

        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(write())
            heard = await talk.rest()
            writer.cancel()
        return heard

    async def free(self) -> int:
        """Return how many sessions would be admitted now."""
        request = avatar_service_pb2.GetCapabilitiesRequest()
        capabilities: avatar_service_pb2.GetCapabilitiesResponse = await self.stub.GetCapabilities(request)
        return capabilities.free_sessions

    async def until_free(self, slots: int) -> None:
        """Return once so many sessions would be admitted."""
        async with asyncio.timeout(10):
            while await self.free() != slots:
                pass


Serve = Callable[..., AbstractAsyncContextManager[Service]]


@asynccontextmanager
async def _serve(create: Callable[[], Engine] | None = None, **changes: Any) -> AsyncIterator[Service]:
    chosen = {"host": "127.0.0.1", "port": 0, "engine": "fake", "capacity": 4, "drain_grace_s": 0.5, **changes}
    if create is None and chosen["engine"] == "fake":
        create = FakeEngine
    async with (
        serving(Settings(**chosen), create) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=channel_options()) as channel,
    ):
        yield Service(f"127.0.0.1:{port}", channel)


@pytest.fixture
def serve() -> Serve:
    """Return what serves while its context lasts: an engine's maker, and settings that differ from the default."""
    return _serve


@pytest.fixture
def connect() -> type[Service]:
    """Return what speaks to a server that a test has started itself: the target and a channel to it."""
    return Service


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """The real service with the fake engine and room for eight."""
    async with _serve(capacity=8) as service:
        yield service


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A small PNG that is no two rows the same."""
    ramp = np.add.outer(np.arange(96), np.arange(96)).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(np.stack([ramp, 255 - ramp, ramp // 2], axis=2)).save(content, "PNG")
    return content.getvalue()


@pytest.fixture(scope="session")
def say(photo: bytes) -> Say:
    """Return what makes the client's messages."""
    return Say(photo)


@pytest.fixture(scope="session")
def voice() -> Callable[[int, int], bytes]:
    """Return what makes ``samples`` of noise as 16-bit integers, another noise for each ``seed``."""

    def make(samples: int, seed: int = 0) -> bytes:
        return np.random.default_rng(seed).integers(-9000, 9000, samples).astype("<i2").tobytes()

    return make


@pytest.fixture(scope="session")
def split() -> Callable[[bytes, Sequence[int], int], list[bytes]]:
    """Return what cuts bytes at places given in blocks of ``block`` bytes; any integers will do."""

    def cut(content: bytes, places: Iterable[int], block: int = 1) -> list[bytes]:
        blocks = len(content) // block
        edges = sorted({0, blocks, *(place % (blocks + 1) for place in places)})
        return [content[low * block : high * block] for low, high in pairwise(edges)]

    return cut


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of larger media beside the checkout; tests that need it are skipped where it is absent."""
    folder = Path(__file__).resolve().parents[1].parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"there is no folder {folder.name} beside the checkout")
    return folder


@dataclass(slots=True)
class Seeded(FakeState):
    """The fake engine's state, and the seed it began with."""

    seed: int = 0


class Faulty(FakeEngine):
    """Fails for the session whose seed is 13: in ``motion``, in ``render``, or by motion that is no number."""

    def __init__(self, stage: str, after: int = 0) -> None:
        super().__init__()
        self._stage = stage
        self._after = after

    def motion(self, steps: Sequence[MotionStep]) -> list[Motion]:
        """Refuse a batch with the bad session in it before anything has changed."""
        bad = [step.state.seed == 13 and step.first_frame >= self._after for step in steps]
        if self._stage == "motion" and any(bad):
            msg = "secret of /srv/engine.py"
            raise LookupError(msg)
        rows = super().motion(steps)
        for motion, is_bad in zip(rows, bad, strict=True):
            if is_bad:
                motion[:] = {"nan": np.nan, "render": 1e6}.get(self._stage, motion)
        short = self._stage == "length"
        return [motion[:0] if short and is_bad else motion for motion, is_bad in zip(rows, bad, strict=True)]

    def render(self, steps: Sequence[RenderStep]) -> list[Frame]:
        """Refuse a batch with a row of the bad session."""
        if any(step.motion[0] == 1e6 for step in steps):
            msg = "secret of /srv/engine.py"
            raise LookupError(msg)
        return super().render(steps)

    def open(self, avatar: Avatar, parameters: Parameters) -> object:
        """Return a state that knows its seed."""
        state = super().open(avatar, parameters)
        return Seeded(state.digest, seed=parameters.seed)


@pytest.fixture(scope="session")
def faulty() -> type[Faulty]:
    """The engine that fails for one seed."""
    return Faulty

"""The engine contract, around a model of nothing: rendering, preparing, and everything that can go wrong."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from avatar_service.assets import asset_path
from avatar_service.codec.base import Codec, VideoFormat
from avatar_service.engine.base import Parameters, PrepareOptions, RenderStep, Samples
from avatar_service.engine.registry import create_engine
from avatar_service.errors import InvalidArgumentError, SetupError
from avatar_service.frame import PixelFormat
from avatar_service.pcm import to_pcm, to_samples
from avatar_service.pool.messages import End, Failed, Feed, Open, Rendered, Result, SlotKey, Work
from avatar_service.pool.worker import Worker

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.engine.imtalker.stream.conftest import Cutter

Make = Callable[..., Any]
WHOLE = PrepareOptions(crop=False)
torch = pytest.importorskip("torch")


@pytest.fixture(scope="session")
def astronaut() -> NDArray[np.uint8]:
    """A photograph of 512 x 512 with one face in it."""
    return np.asarray(cv2.imread(str(asset_path("astronaut.png")), cv2.IMREAD_COLOR_RGB), np.uint8)


# Preparing -----------------------------------------------------------------------------------------------------------


def test_the_face_is_cropped_to(engine: Make, puppet: Any, astronaut: NDArray[np.uint8]) -> None:
    """The square is of the face, 1.6 times its box, and shows no more of the picture than that."""
    seen: list[NDArray[np.uint8]] = []
    encode = puppet.encode_portrait
    puppet.encode_portrait = lambda image: seen.append(image) or encode(image)
    engine().prepare(astronaut, PrepareOptions())
    engine().prepare(astronaut, PrepareOptions(crop_scale=1.5))
    engine().prepare(astronaut, WHOLE)
    sides = [image.shape[0] for image in seen]
    assert all(image.shape[0] == image.shape[1] for image in seen)
    assert 120 < sides[0] < 320
    assert sides[1] == pytest.approx(1.5 * sides[0], rel=0.05)
    assert sides[2] == 512


def test_a_portrait_without_a_face_is_refused(engine: Make) -> None:
    """With the reason that the portrait engine gives."""
    grey = np.full((200, 300, 3), 128, np.uint8)
    with pytest.raises(InvalidArgumentError) as caught:
        engine().prepare(grey, PrepareOptions())
    assert (caught.value.reason, caught.value.field) == ("NO_FACE", "init.portrait")
    assert engine().prepare(grey, WHOLE).frame_size == (64, 64)


def test_the_face_is_put_back_into_the_picture(engine: Make, astronaut: NDArray[np.uint8]) -> None:
    """The frame is the whole picture, and beyond the face nothing changes."""
    engine = engine()
    avatar = engine.prepare(astronaut, PrepareOptions(paste_back=True))
    assert avatar.frame_size == (512, 512)
    [frame] = engine.render([RenderStep(avatar, np.full(32, 9.0, np.float32))])
    changed = np.abs(frame.astype(int) - astronaut).max(axis=2) > 8
    assert 0.02 < changed.mean() < 0.5
    assert not changed[-100:].any()
    assert avatar.nbytes > astronaut.nbytes


def test_a_portrait_that_becomes_no_number_is_a_failure(engine: Make, puppet: Any, square: NDArray[np.uint8]) -> None:
    """It is found when it is prepared, not frame by frame."""
    encode = puppet.encode_portrait

    def broken(image: NDArray[np.uint8]) -> Any:
        identity = encode(image)
        identity.tensors[0][0] = torch.nan
        return identity

    puppet.encode_portrait = broken
    with pytest.raises(ArithmeticError):
        engine().prepare(square, WHOLE)


# Rendering -----------------------------------------------------------------------------------------------------------


def test_frames_are_what_the_steps_ask_for(engine: Make, square: NDArray[np.uint8]) -> None:
    """One for each step, in order, in its layout, each a fresh array; a batch draws what single steps draw."""
    engine = engine()
    avatars = [engine.prepare(picture, WHOLE) for picture in (square, 255 - square)]
    rows = np.random.default_rng(1).standard_normal((6, 32)).astype(np.float32)
    formats = [PixelFormat.RGB, PixelFormat.I420] * 3
    steps = [RenderStep(avatars[i % 2], row, layout) for i, (row, layout) in enumerate(zip(rows, formats, strict=True))]
    frames = engine.render(steps)
    assert [frame.shape for frame in frames] == [(64, 64, 3), (96, 64)] * 3
    for frame, step in zip(frames, steps, strict=True):
        assert frame.dtype == np.uint8
        assert frame.flags.c_contiguous
        assert np.array_equal(frame, engine.render([step])[0])
    assert not np.shares_memory(frames[0], frames[2])


def test_warming_up_runs_every_stage(engine: Make, puppet: Any) -> None:
    """It returns an avatar as users bring them, and generates and draws."""
    drawn: list[int] = []
    draw = puppet.render
    puppet.render = lambda identities, motion: drawn.append(len(motion)) or draw(identities, motion)
    avatar = engine(max_batch=4).warmup()
    assert avatar.frame_size == (64, 64)
    assert puppet.calls
    assert drawn == [4]


# Failing -------------------------------------------------------------------------------------------------------------


class Floor:
    """A worker with three sessions of the engine, fed and run to the end."""

    def __init__(self, engine: Any, square: NDArray[np.uint8], sound: Samples, sessions: int = 3) -> None:
        self.results: list[Result] = []
        self.worker = Worker(engine, lambda *_: None, self.results.extend)
        avatar: Future[Any] = Future()
        avatar.set_result(engine.prepare(square, WHOLE))
        for index in range(sessions):
            key = SlotKey(index, 0)
            work = Work(
                b"",
                video=(VideoFormat(codec=Codec.RAW_RGB),),
                parameters=Parameters(seed=index),
                chunk_duration_s=0.2,
                window_frames=1000,
                window_bytes=2**40,
            )
            order = Open(key, work)
            self.worker.receive(order)
            self.worker.prepared(order, avatar)
            self.worker.receive(Feed(key, 0, to_pcm(sound), 0.0))
            self.worker.receive(End(key, 0, 0.0))
        while self.worker.work(1.0):
            pass

    def frames(self, index: int) -> list[bytes]:
        """Return the frames of a session."""
        return [one.units[0].content for one in self.results if isinstance(one, Rendered) and one.key.index == index]

    @property
    def failures(self) -> dict[int, str]:
        """Reasons of the sessions that failed."""
        return {one.key.index: one.error.reason for one in self.results if isinstance(one, Failed)}


@pytest.fixture
def good(engine: Make, square: NDArray[np.uint8], spoken: Samples) -> list[list[bytes]]:
    """The frames of three sessions when nothing goes wrong."""
    floor = Floor(engine(max_batch=8), square, spoken[:20_000])
    assert not floor.failures
    return [floor.frames(index) for index in range(3)]


def test_no_number_in_one_session_leaves_the_others_bit_identical(
    engine: Make, puppet: Any, square: NDArray[np.uint8], spoken: Samples, good: list[list[bytes]]
) -> None:
    """And fails that one."""
    clip = puppet.clip

    def poisoned(noise: Any, *rest: Any, **kinds: Any) -> Any:
        made = clip(noise, *rest, **kinds)
        first = torch.from_numpy(poison)
        made[(noise[:, 0] == first).all(dim=1)] = torch.nan
        return made

    from avatar_service.engine.imtalker.noise import frame_noise

    poison = frame_noise(1, 1, 10, 1)[0]
    puppet.clip = poisoned
    floor = Floor(engine(max_batch=8), square, spoken[:20_000])
    assert floor.failures == {1: "ENGINE_FAILED"}
    assert floor.frames(0) == good[0]
    assert floor.frames(2) == good[2]
    assert floor.frames(1) == good[1][:10]


@pytest.mark.parametrize("stage", ["clip", "render"])
def test_memory_that_runs_out_for_a_batch_costs_no_session(
    engine: Make, puppet: Any, square: NDArray[np.uint8], spoken: Samples, good: list[list[bytes]], stage: str
) -> None:
    """What does not fit together is computed one by one."""
    whole = getattr(puppet, stage)

    def tight(first: Any, second: Any, *rest: Any, **kinds: Any) -> Any:
        if len(second) > 1:
            msg = "CUDA out of memory"
            raise torch.OutOfMemoryError(msg)
        return whole(first, second, *rest, **kinds)

    setattr(puppet, stage, tight)
    floor = Floor(engine(max_batch=8), square, spoken[:20_000])
    assert not floor.failures
    assert [floor.frames(index) for index in range(3)] == good


def test_memory_that_runs_out_for_one_session_costs_that_one(
    engine: Make, puppet: Any, square: NDArray[np.uint8], spoken: Samples, good: list[list[bytes]]
) -> None:
    """It is told to come back; the others see nothing."""
    from avatar_service.engine.imtalker.noise import frame_noise

    clip, large = puppet.clip, torch.from_numpy(frame_noise(1, 1, 10, 1)[0])

    def tight(noise: Any, *rest: Any, **kinds: Any) -> Any:
        if bool((noise[:, 0] == large).all(dim=1).any()):
            msg = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"
            raise RuntimeError(msg)
        return clip(noise, *rest, **kinds)

    puppet.clip = tight
    floor = Floor(engine(max_batch=8), square, spoken[:20_000])
    assert floor.failures == {1: "OUT_OF_MEMORY"}
    assert [floor.frames(0), floor.frames(2)] == [good[0], good[2]]


def test_memory_that_runs_out_when_preparing_is_said_so(engine: Make, puppet: Any, square: NDArray[np.uint8]) -> None:
    """The worker makes RESOURCE_EXHAUSTED of it."""

    def tight(_: Any) -> Any:
        msg = "CUDA out of memory"
        raise torch.OutOfMemoryError(msg)

    puppet.encode_portrait = tight
    with pytest.raises(MemoryError):
        engine().prepare(square, WHOLE)


def test_a_gpu_that_fails_ends_the_process(
    engine: Make, puppet: Any, square: NDArray[np.uint8], cutter: type[Cutter], spoken: Samples
) -> None:
    """Nothing computed with it can be trusted; the pool starts another process."""
    engine = engine()
    avatar = engine.prepare(square, WHOLE)
    steps = cutter(5, 5).steps(spoken, engine.open(avatar, Parameters()))

    def lost(*_: Any, **__: Any) -> Any:
        msg = "CUDA error: device-side assert triggered"
        raise torch.AcceleratorError(msg)

    puppet.clip = lost
    with pytest.raises(SystemExit, match="device-side assert"):
        engine.motion(steps[:1])


def test_a_frame_that_became_no_number_fails_its_session_only(
    engine: Make, puppet: Any, square: NDArray[np.uint8], spoken: Samples, good: list[list[bytes]]
) -> None:
    """Half precision can do that; no garbage is shown, and the others get every frame they should."""
    draw = puppet.render

    def overflowing(identities: Any, motion: Any) -> Any:
        made = draw(identities, motion)
        made[(motion[:, 0] - bad).abs() < 1e-6] = torch.nan
        return made

    engine = engine(max_batch=8)
    bad = fifth_row(engine, square, to_samples(to_pcm(spoken[:20_000])))
    puppet.render = overflowing
    floor = Floor(engine, square, spoken[:20_000])
    assert floor.failures == {1: "ENGINE_FAILED"}
    assert [floor.frames(0), floor.frames(2)] == [good[0], good[2]]
    assert floor.frames(1) == good[1][:4]


def fifth_row(engine: Any, square: NDArray[np.uint8], sound: Samples) -> float:
    """Return the first number of the fifth row of session 1."""
    from tests.engine.imtalker.stream.conftest import Cutter

    state = engine.open(engine.prepare(square, WHOLE), Parameters(seed=1))
    return float(Cutter(5, 5).speak(engine.motion, sound, state)[4, 0])


def test_an_unknown_adapter_is_refused(engine: Make, square: NDArray[np.uint8]) -> None:
    """With the names of those that there are."""
    engine = engine()
    with pytest.raises(InvalidArgumentError, match="no adapter 'anna'; this server has none") as caught:
        engine.open(engine.prepare(square, WHOLE), Parameters(adapter="anna"))
    assert (caught.value.reason, caught.value.field) == ("ADAPTER_UNKNOWN", "init.generation.adapter")


# Starting ------------------------------------------------------------------------------------------------------------


def test_missing_weights_are_a_setup_error_that_names_them(tmp_path: Path) -> None:
    """It says which file, and where to read on."""
    with pytest.raises(SetupError, match=r"(?s)renderer\.ckpt.*docs/imtalker\.md"):
        create_engine("imtalker", {"checkpoint": str(tmp_path)})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_a_setup_error(tmp_path: Path) -> None:
    """Before any weight is read."""
    with pytest.raises(SetupError, match="device=cuda cannot be used"):
        create_engine("imtalker", {"checkpoint": str(tmp_path), "device": "cuda"})

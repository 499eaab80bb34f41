"""One worker, driven by hand: schedule, step, deliver."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from avatar_service.assets import asset_path
from avatar_service.codec.base import Codec, VideoFormat
from avatar_service.engine.base import Avatar, Frame, Parameters, Portrait, PrepareOptions, Preset, RenderStep
from avatar_service.engine.fake import FakeAvatar, FakeEngine, FakeState, read_number
from avatar_service.engine.registry import create_engine
from avatar_service.errors import InternalError, InvalidArgumentError
from avatar_service.pool.messages import (
    Acknowledge,
    AvatarKey,
    Close,
    Cut,
    Discard,
    Failed,
    Open,
    Opened,
    Rendered,
    SlotKey,
    Switch,
    Unswitched,
    Work,
)

MakeBench = Callable[..., Any]
BAD = Parameters(seed=13)


def numbers(frames: list[Rendered]) -> list[tuple[int, int]]:
    """Return segment and index of each frame."""
    return [(frame.segment, frame.index) for frame in frames]


def test_an_open_slot_says_what_it_is(bench: MakeBench) -> None:
    """Sizes and codec strings of each format, in order."""
    made = bench()
    key = made.open(0, video=(VideoFormat(codec=Codec.JPEG, width=64), VideoFormat(codec=Codec.PNG)))
    assert made.results == [Opened(key, ((64, 64), (128, 128)), ("image/jpeg", "image/png"), ())]


def test_frames_come_in_order_and_in_every_format(bench: MakeBench) -> None:
    """Each frame once, each with a unit for each format; only a segment's first is forced to be a keyframe."""
    made = bench()
    key = made.open(0, video=(VideoFormat(codec=Codec.H264, keyframe_interval_s=60), VideoFormat(codec=Codec.PNG)))
    for segment in (0, 1):
        made.speak(key, 5, segment=segment)
    made.run()
    frames = made.frames(key)
    assert numbers(frames) == [(segment, index) for segment in (0, 1) for index in range(5)]
    assert [frame.units[0].keyframe for frame in frames] == [True, *[False] * 4] * 2
    assert all(len(frame.units) == 2 for frame in frames)


def test_nothing_is_made_before_the_portrait_is_prepared(bench: MakeBench) -> None:
    """Audio may come first; it waits for the avatar."""
    made = bench()
    key = made.open(0, prepare=False)
    made.speak(key, 3)
    assert made.run() == 0
    made.prepare()
    made.run()
    assert numbers(made.frames(key)) == [(0, 0), (0, 1), (0, 2)]


@pytest.mark.parametrize("window", [1, 3, 7])
def test_unacknowledged_frames_are_bounded(bench: MakeBench, window: int) -> None:
    """Rendering stops at the window and goes on with each acknowledgement."""
    made = bench()
    key = made.open(0, window_frames=window)
    made.speak(key, 20)
    made.run()
    assert len(made.frames(key)) == window
    for read in range(1, 6):
        made.worker.receive(Acknowledge(key, 1))
        made.run()
        assert len(made.frames(key)) == window + read


def test_motion_is_not_made_far_ahead_of_a_stopped_reader(bench: MakeBench) -> None:
    """What is rendered is bounded, and so is the motion behind it: a hop at most."""
    made = bench(FakeEngine(hop_frames=5))
    key = made.open(0, window_frames=3)
    made.speak(key, 100)
    made.run()
    assert len(made.worker._slots[0].rows) <= 5


def test_one_stopped_reader_stops_nobody_else(bench: MakeBench) -> None:
    """A slot without credit takes no part; the other gets all its frames."""
    made = bench()
    stopped, reading = made.open(0, window_frames=2), made.open(1)
    for key in (stopped, reading):
        made.speak(key, 30)
    made.run()
    assert (len(made.frames(stopped)), len(made.frames(reading))) == (2, 30)


def test_cut_drops_audio_and_motion(bench: MakeBench) -> None:
    """No frame of a cut segment is made, not even of motion that was known; the next segment is whole."""
    made = bench(FakeEngine(hop_frames=5))
    key = made.open(0)
    made.speak(key, 20, segment=0)
    made.speak(key, 4, segment=1)
    made.run(1)
    made.worker.receive(Cut(key, frozenset({0})))
    made.run()
    frames = numbers(made.frames(key))
    assert [index for segment, index in frames if segment == 1] == [0, 1, 2, 3]
    assert len([segment for segment, _ in frames if segment == 0]) <= 4


def test_closed_slots_make_nothing(bench: MakeBench) -> None:
    """After close, audio that waits is forgotten."""
    made = bench()
    key = made.open(0)
    made.speak(key, 5)
    made.worker.receive(Close(key))
    assert made.run() == 0
    assert repr(made.worker) == "<Worker fake with 0 slots>"


def test_messages_for_an_earlier_user_are_dropped(bench: MakeBench) -> None:
    """Feed, close and a late avatar of generation 0 do not touch generation 1 in the same slot."""
    made = bench()
    old = made.open(0, generation=0, prepare=False)
    late = list(made.waiting)
    made.waiting.clear()
    made.worker.receive(Close(old))
    new = made.open(0, generation=1)
    made.speak(new, 2)
    made.speak(old, 9)
    made.worker.receive(Close(old))
    made.waiting = late
    made.prepare()
    made.run()
    assert len(made.frames(new)) == 2
    assert made.frames(old) == []
    assert [result.key for result in made.results if isinstance(result, Opened)] == [new]


# Whose turn it is ------------------------------------------------------------------------------------------------


def test_a_first_frame_passes_look_ahead_of_others(bench: MakeBench) -> None:
    """A session that starts while another's file is being worked off is in the very next batch."""
    made = bench()
    whole = made.open(0)
    made.speak(whole, 500, at=0.0)
    made.run(3)
    late = made.open(1)
    made.speak(late, 1, at=1.0)
    made.run(1)
    assert len(made.frames(late)) == 1


def test_a_whole_file_never_delays_a_paced_session(bench: MakeBench) -> None:
    """With one micro-batch for every frame that falls due, each paced frame is made as soon as its audio is there."""
    made = bench()
    paced, whole = made.open(0), made.open(1)
    look_ahead_frames = 3  # 1600 samples, in whole frames
    made.speak(whole, 2_000, at=0.0)
    for number in range(200):
        made.feed(paced, 1, at=0.02 + number / 25)
        made.run(1)
        assert len(made.frames(paced)) == max(0, number + 1 - look_ahead_frames)
    assert len(made.frames(whole)) > 150


def test_the_preset_decides_how_much_audio_a_frame_waits_for(bench: MakeBench) -> None:
    """Side by side, a session with the quickest preset gets its first frame with less audio."""
    made = bench()
    quick = made.open(0, parameters=Parameters(preset=Preset.LOWEST_LATENCY))
    plain = made.open(1)
    for key in (quick, plain):
        made.feed(key, 3, at=0.0)  # 1920 samples: a frame and 1280, of which 800 or 1600 are needed
    made.run(4)
    assert (len(made.frames(quick)), len(made.frames(plain))) == (1, 0)


def test_whole_files_share_the_worker(bench: MakeBench) -> None:
    """Two files fed at once advance side by side."""
    made = bench()
    first, second = made.open(0), made.open(1)
    for key in (first, second):
        made.speak(key, 200)
    made.run(40)
    counts = Counter(result.key for result in made.results if isinstance(result, Rendered))
    assert sum(counts.values()) >= 80
    assert abs(counts[first] - counts[second]) <= 4


def test_results_of_a_step_are_delivered_at_once(bench: MakeBench) -> None:
    """The border is crossed once a batch, with at most the engine's batch."""
    made = bench(FakeEngine(hop_frames=4))
    keys = [made.open(index) for index in range(3)]
    for key in keys:
        made.speak(key, 12)
    opened = len(made.batches)
    steps = made.run()
    assert len(made.batches) - opened == steps
    assert max(len(batch) for batch in made.batches) == 4


@pytest.mark.parametrize("others", [1, 2, 5])
def test_company_changes_no_frame(bench: MakeBench, others: int) -> None:
    """A session gives the same units alone and among others."""
    alone, together = bench(), bench()
    alone.speak(alone.open(0, parameters=Parameters(seed=7)), 15, seed=1)
    alone.run()
    key = together.open(0, parameters=Parameters(seed=7))
    for index in range(1, others + 1):
        together.speak(together.open(index), 15 + index, seed=index + 1)
    together.speak(key, 15, seed=1)
    together.run()
    assert together.frames(key) == alone.frames(key)


# Failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("stage", ["motion", "render", "nan", "length"])
def test_a_failing_session_fails_alone(bench: MakeBench, faulty: Any, stage: str, after: int) -> None:
    """In a batch of several the guilty one is told once, without the cause's text; the others lose no bit."""
    made, healthy = bench(faulty(stage, after)), bench()
    good = [made.open(0), made.open(2)]
    bad = made.open(1, parameters=BAD)
    for key in (good[0], bad, good[1]):
        made.speak(key, 12, seed=key.index)
    made.run()
    (failed,) = [result for result in made.results if isinstance(result, Failed)]
    assert failed.key == bad
    assert isinstance(failed.error, InternalError)
    assert failed.error.reason == "ENGINE_FAILED"
    assert "secret" not in failed.error.message
    assert len(made.frames(bad)) == after
    for key in good:
        healthy.speak(healthy.open(key.index), 12, seed=key.index)
        healthy.run()
        assert made.frames(key) == healthy.frames(key)


class BadSecondFrame(FakeEngine):
    """Cannot draw the second frame of a session."""

    def render(self, steps: list[RenderStep]) -> list[Frame]:
        """Refuse frame 1."""
        if any(step.motion[1] == 1 for step in steps):
            raise ZeroDivisionError
        return super().render(steps)


def test_nothing_follows_a_failure(bench: MakeBench) -> None:
    """A slot that fails in the middle of a batch delivers no later frame of the same batch."""
    made = bench(BadSecondFrame(hop_frames=4))
    key = made.open(0)
    made.speak(key, 12)
    made.run()
    kinds = [type(result) for result in made.results if result.key == key]
    assert kinds == [Opened, Rendered, Failed]


class SmallAfterFirst(FakeEngine):
    """Draws a frame that is no picture from the second on, which no encoder takes."""

    def render(self, steps: list[RenderStep]) -> list[Frame]:
        """Return nonsense."""
        return [
            np.zeros((0, 0, 3), np.uint8) if step.motion[1] else super(SmallAfterFirst, self).render([step])[0]
            for step in steps
        ]


@pytest.mark.parametrize("codec", [Codec.H264, Codec.JPEG, Codec.PNG])
def test_a_failing_encoder_costs_its_session_only(bench: MakeBench, codec: Codec) -> None:
    """An encoder's error is told as the engine's, and the slot is gone."""
    made = bench(SmallAfterFirst())
    key = made.open(0, video=(VideoFormat(codec=codec, width=64),))
    made.speak(key, 5)
    made.run()
    assert len(made.frames(key)) == 1
    assert [result.error.reason for result in made.results if isinstance(result, Failed)] == ["ENGINE_FAILED"]
    made.speak(made.open(0, generation=1), 1)
    made.run()
    assert len(made.frames(SlotKey(0, 1))) == 1


def test_a_portrait_that_cannot_be_prepared_says_why(bench: MakeBench) -> None:
    """An error of ours passes as it is; anything else becomes the engine's failure."""
    for cause, reason in (
        (InvalidArgumentError("NO_FACE", "text", field="f"), "NO_FACE"),
        (OSError("x"), "ENGINE_FAILED"),
    ):
        made = bench()
        key = made.open(0, prepare=False)
        future: Future[Avatar] = Future()
        future.set_exception(cause)
        made.worker.prepared(made.waiting[0], future)
        assert [(type(result), result.key, result.error.reason) for result in made.results] == [(Failed, key, reason)]


# Switching avatars ------------------------------------------------------------------------------------------------


def picture(level: int, size: tuple[int, int] = (64, 64)) -> bytes:
    """Return a plain picture of this width and height."""
    content = io.BytesIO()
    Image.new("L", size, level).save(content, "PNG")
    return content.getvalue()


class Shaped(FakeEngine):
    """Its avatars have the shape of their portraits, and its state counts the switches."""

    def prepare(self, portrait: Portrait, options: PrepareOptions) -> FakeAvatar:
        """Keep the portrait's shape."""
        del options
        return FakeAvatar(portrait, (portrait.shape[1], portrait.shape[0]))

    def switch(self, state: FakeState, avatar: FakeAvatar) -> FakeState:
        """Return a state that differs."""
        return replace(super().switch(state, avatar), controls=state.controls + 1)


@given(
    frames=st.integers(0, 12),
    at=st.integers(0, 12),
    hop_frames=st.integers(1, 5),
    live=st.booleans(),
    others=st.integers(0, 2),
)
def test_a_switched_avatar_moves_on_from_where_it_was(
    bench: MakeBench, *, frames: int, at: int, hop_frames: int, live: bool, others: int
) -> None:
    """The frames are bit by bit those of one who had the other avatar from the start.

    From the next one made on, which is a keyframe; before, they are those of one who kept his own, and so are those of
    sessions beside it.
    """
    at = min(at, frames)
    made = bench(FakeEngine(hop_frames=hop_frames))
    other = picture(200)
    made.keep("other", other)
    video = (VideoFormat(codec=Codec.RAW_RGB), VideoFormat(codec=Codec.H264, width=64, keyframe_interval_s=60))
    fields = {"video": video, "live": live}
    switched, stays = made.open(0, **fields), made.open(1, **fields)
    another = made.open(2, portrait=other, **fields)
    beside = [made.open(3 + number, **fields) for number in range(others)]
    keys = [switched, stays, another, *beside]
    for key in keys:
        made.speak(key, frames)
    for tick in range(frames + 3):
        if tick == at:
            made.worker.receive(Switch(switched, AvatarKey("other")))
            shown = len(made.frames(switched))
        made.run(10_000 if live else 1, now=tick / 25)
    made.run(now=(frames + 2) / 25)
    mine, own, theirs, *rest = ([frame.units[0].content for frame in made.frames(key)] for key in keys)
    assert mine == own[:shown] + theirs[shown:]
    assert all(frames == own for frames in rest)
    keyframes, usual = ([frame.units[1].keyframe for frame in made.frames(key)] for key in (switched, stays))
    assert keyframes == [was or number == shown for number, was in enumerate(usual)]
    assert not any(isinstance(result, Failed | Unswitched) for result in made.results)


def test_a_face_that_is_switched_keeps_its_bearing(bench: MakeBench) -> None:
    """On the portrait engine: head and lips of the new face are, bit by bit, where its own session has them by then."""
    faces = []
    for mirrored in (False, True):
        content = io.BytesIO()
        image = Image.open(asset_path("astronaut.png"))
        (ImageOps.mirror(image) if mirrored else image).save(content, "PNG")
        faces.append(content.getvalue())
    made = bench(create_engine("portrait"))
    made.keep("mirrored", faces[1])
    video = (VideoFormat(codec=Codec.RAW_RGB, width=128),)
    keys = [made.open(number, portrait=face, video=video) for number, face in enumerate((*faces, faces[0]))]
    for key in keys:
        made.feed(key, 12)
    made.run()
    shown = len(made.frames(keys[2]))
    made.worker.receive(Switch(keys[2], AvatarKey("mirrored")))
    for key in keys:
        made.speak(key, 12, seed=1)
    made.run()
    own, theirs, mine = ([frame.units for frame in made.frames(key)] for key in keys)
    assert 0 < shown < len(mine) == 24
    assert mine == own[:shown] + theirs[shown:]
    assert all(one != other for one, other in zip(own, theirs, strict=True))


def test_the_engine_says_how_its_state_goes_on(bench: MakeBench) -> None:
    """The state that ``switch`` returns is the session's from then on."""
    made = bench(Shaped())
    key = made.open(0, portrait=picture(0, (512, 512)))
    made.keep("a", picture(9, (512, 512)))
    made.worker.receive(Switch(key, AvatarKey("a")))
    made.speak(key, 1)
    made.run()
    shown = np.frombuffer(made.frames(key)[0].units[0].content, np.uint8).reshape(512, 512, 3)
    assert read_number(shown, 3) == 1


@pytest.mark.parametrize(("size", "fits"), [((64, 64), True), ((202, 200), True), ((204, 200), False)])
def test_an_avatar_must_have_the_videos_shape(bench: MakeBench, size: tuple[int, int], fits: bool) -> None:
    """Within one per cent; then it is brought to the video's size, else nothing changes, not even a keyframe."""
    made = bench(Shaped())
    formats = (VideoFormat(codec=Codec.RAW_RGB, width=64), VideoFormat(codec=Codec.H264, keyframe_interval_s=60))
    key = made.open(0, video=formats)
    made.speak(key, 4)
    made.run(1)
    made.keep("a", picture(9, size))
    made.worker.receive(Switch(key, AvatarKey("a")))
    made.run()
    refused = [result for result in made.results if isinstance(result, Unswitched)]
    assert [result.error.reason for result in refused] == ([] if fits else ["AVATAR_SHAPE"])
    frames = made.frames(key)
    assert [len(frame.units[0].content) for frame in frames] == [64 * 64 * 3] * 4
    assert [frame.units[1].keyframe for frame in frames] == [True, fits, False, False]


class Stubborn(FakeEngine):
    """Cannot switch.

    Attributes:
        cause: what it raises instead.
    """

    cause: Exception

    def switch(self, state: FakeState, avatar: FakeAvatar) -> FakeState:
        """Fail."""
        del state, avatar
        raise self.cause


@pytest.mark.parametrize(
    ("cause", "reason"),
    [(None, "AVATAR_NOT_READY"), (MemoryError(), "OUT_OF_MEMORY"), (OSError("x"), "ENGINE_FAILED")],
)
def test_a_switch_that_fails_costs_nothing(bench: MakeBench, cause: Exception | None, reason: str) -> None:
    """Whatever the reason: it is told, and the frames go on."""
    engine = Stubborn()
    made = bench(engine)
    key = made.open(0)
    made.speak(key, 3)
    if cause is not None:
        engine.cause = cause
        made.keep("a", picture(9))
    made.worker.receive(Switch(key, AvatarKey("a")))
    made.run()
    refused = [result for result in made.results if isinstance(result, Unswitched)]
    assert [(result.key, result.error.reason) for result in refused] == [(key, reason)]
    assert len(made.frames(key)) == 3


def test_a_switch_before_the_first_avatar_waits_for_it(bench: MakeBench) -> None:
    """Of two the last one counts; the video keeps the size of the first avatar."""
    made = bench()
    made.keep("a", picture(9))
    made.keep("b", picture(99))
    key = made.open(0, prepare=False)
    for name in ("b", "a", "b"):
        made.worker.receive(Switch(key, AvatarKey(name)))
    made.prepare()
    made.speak(key, 3)
    other = made.open(1, portrait=picture(99))
    made.speak(other, 3)
    made.run()
    assert [frame.units for frame in made.frames(key)] == [frame.units for frame in made.frames(other)]


def test_a_switch_of_an_earlier_user_is_dropped(bench: MakeBench) -> None:
    """The slot's next user keeps his own avatar."""
    made = bench()
    made.keep("a", picture(9))
    old, new = made.open(0), made.open(0, generation=1)
    made.worker.receive(Switch(old, AvatarKey("a")))
    made.speak(new, 1)
    other = made.open(1)
    made.speak(other, 1)
    made.run()
    assert made.frames(new)[0].units == made.frames(other)[0].units


# Keeping avatars --------------------------------------------------------------------------------------------------


def test_a_kept_avatar_opens_a_slot_at_once(bench: MakeBench) -> None:
    """Nothing is prepared, however much else waits to be; one that is not kept is prepared from its portrait."""
    made = bench()
    key = made.keep("a", picture(9))
    made.open(0, prepare=False)
    named = made.open(1, portrait=picture(9), kept=key, prepare=False)
    made.open(2, portrait=picture(9), kept=AvatarKey("b"), prepare=False)
    assert [order.key for order in made.waiting] == [SlotKey(0, 0), SlotKey(2, 0)]
    assert made.results[1:] == [Opened(named, ((128, 128),), ("video/raw;format=rgb24",), ())]
    made.speak(named, 2)
    made.run()
    assert len(made.frames(named)) == 2


def test_a_discarded_avatar_is_shown_to_the_end(bench: MakeBench) -> None:
    """By slots that have it already; nobody finds it any more."""
    made = bench()
    key = made.keep("a", picture(9))
    shows = made.open(0, portrait=b"", kept=key)
    made.worker.receive(Discard(key))
    made.speak(shows, 3)
    made.run()
    assert len(made.frames(shows)) == 3
    made.open(1, portrait=picture(9), kept=key, prepare=False)
    assert len(made.waiting) == 1


def test_a_format_that_does_not_fit_the_frames_is_told(bench: MakeBench) -> None:
    """The shape is known only once the portrait is prepared."""
    made = bench()
    made.open(0, video=(VideoFormat(codec=Codec.PNG, width=128, height=64),))
    assert [result.error.reason for result in made.results] == ["VIDEO_SHAPE"]
    assert made.run() == 0


def test_opening_a_taken_slot_replaces_its_user(bench: MakeBench, photo: bytes) -> None:
    """The pool decides who holds a slot; the worker follows."""
    made = bench()
    old = made.open(0)
    made.speak(old, 5)
    made.worker.receive(Open(SlotKey(0, 1), Work(photo)))
    assert made.run() == 0


def test_unread_frames_are_bounded_by_their_bytes_too(bench: Callable[..., Any]) -> None:
    """Raw pictures fill the window long before its number of frames does; reading one lets one more be made."""
    driven = bench()
    key = driven.open(0, window_bytes=3 * 128 * 128 * 3)
    driven.speak(key, 20)
    driven.run()
    assert len(driven.frames(key)) == 3
    driven.worker.receive(Acknowledge(key, 1))
    driven.run()
    assert len(driven.frames(key)) == 4

"""One worker, driven by hand: schedule, step, deliver."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from avatar_service.codec.base import Codec, VideoFormat
from avatar_service.engine.base import Avatar, Frame, Parameters, Preset, RenderStep
from avatar_service.engine.fake import FakeEngine
from avatar_service.errors import InternalError, InvalidArgumentError
from avatar_service.pool.messages import Acknowledge, Close, Cut, Failed, Open, Opened, Rendered, SlotKey, Work

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
        made.worker.prepared(key, future)
        assert [(type(result), result.key, result.error.reason) for result in made.results] == [(Failed, key, reason)]


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

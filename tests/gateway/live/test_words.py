"""The JSON of the data channel."""

from __future__ import annotations

import contextlib
import json

import pytest
from avatar.v1.event_pb2 import (
    Degraded,
    Event,
    Idle,
    Interrupted,
    SegmentFinished,
    SegmentStarted,
    Underrun,
    Warning,  # noqa: A004 - the message's name
)
from avatar_client import EMOTION_KIND_HAPPY
from google.protobuf.duration_pb2 import Duration
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar_service.errors import InvalidArgumentError
from avatar_service.gateway.live.words import read, told

HUGE = "1" * 400
"""A whole number beyond every float."""


def test_an_interruption_is_one_word() -> None:
    """It has no control."""
    assert read('{"type": "interrupt"}') is None


def test_a_control_has_what_was_said_and_nothing_else() -> None:
    """What is left out stays as it is."""
    control = read(
        '{"type": "control", "pose": [0.1, -0.2, 0], "gaze": [0.3, 0], "emotion": "happy", "intensity": 0.5,'
        ' "head_motion": 2, "bitrate_kbps": 800, "force_keyframe": true, "avatar_id": "ada"}'
    )
    assert control is not None
    assert (control.pose.pitch, control.pose.yaw) == pytest.approx((0.1, -0.2))
    assert control.gaze.x == pytest.approx(0.3)
    assert (control.emotion.kind, control.emotion.intensity) == (EMOTION_KIND_HAPPY, 0.5)
    assert (control.head_motion, control.bitrate_kbps, control.force_keyframe) == (2.0, 800, True)
    assert control.avatar_id == "ada"
    empty = read('{"type": "control"}')
    assert empty is not None
    assert not empty.ListFields()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "message"),
        ("[1]", "message"),
        ("[" * 3000, "message"),
        ('{"type": 1}', "type"),
        ('{"type": "control", "paused": true}', "paused"),
        ('{"type": "control", "pose": [0, 0]}', "pose"),
        ('{"type": "control", "pose": [0, 0, 4]}', "pose"),
        ('{"type": "control", "pose": [0, 0, NaN]}', "pose"),
        (f'{{"type": "control", "pose": [0, 0, {HUGE}]}}', "pose"),
        (f'{{"type": "control", "emotion": "sad", "intensity": -{HUGE}}}', "intensity"),
        (f'{{"type": "control", "head_motion": {HUGE}}}', "head_motion"),
        (f'{{"type": "control", "bitrate_kbps": {HUGE}}}', "bitrate_kbps"),
        ('{"type": "control", "gaze": "left"}', "gaze"),
        ('{"type": "control", "emotion": "bored"}', "emotion"),
        ('{"type": "control", "emotion": ["happy"]}', "emotion"),
        ('{"type": "control", "emotion": "happy", "intensity": 2}', "intensity"),
        ('{"type": "control", "head_motion": true}', "head_motion"),
        ('{"type": "control", "bitrate_kbps": 1e9}', "bitrate_kbps"),
        ('{"type": "control", "avatar_id": 7}', "avatar_id"),
        ('{"type": "control", "avatar_id": "\\ud800"}', "avatar_id"),
    ],
)
def test_what_cannot_be_is_refused_by_name(text: str, field: str) -> None:
    """With the field that is wrong."""
    with pytest.raises(InvalidArgumentError) as caught:
        read(text)
    assert (caught.value.reason, caught.value.field) == ("BAD_MESSAGE", field)


@settings(max_examples=30, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_no_value_of_a_control_fails_otherwise(value: object) -> None:
    """Whatever JSON can say."""
    numbers = ("pose", "gaze", "intensity", "head_motion", "bitrate_kbps")
    for name in (*numbers, "emotion", "force_keyframe", "avatar_id"):
        word = {"type": "control", "emotion": "sad", name: value}
        with contextlib.suppress(InvalidArgumentError):
            assert read(json.dumps(word)) is not None


@pytest.mark.parametrize(
    ("event", "word"),
    [
        (
            Event(segment_started=SegmentStarted(segment_id="a", pts=90_000)),
            {"type": "segment_started", "segment_id": "a", "at_s": 1.0},
        ),
        (
            Event(segment_finished=SegmentFinished(segment_id="a", played=Duration(seconds=2), frames=50)),
            {"type": "segment_finished", "segment_id": "a", "played_s": 2.0, "frames": 50, "interrupted": False},
        ),
        (
            Event(interrupted=Interrupted(segment_ids=["a"], dropped=Duration(seconds=1))),
            {"type": "interrupted", "segment_ids": ["a"], "played_s": 0.0, "dropped_s": 1.0},
        ),
        (Event(idle=Idle(pts=45_000)), {"type": "idle", "at_s": 0.5}),
        (
            Event(underrun=Underrun(segment_id="a", pts=45_000)),
            {"type": "underrun", "segment_id": "a", "at_s": 0.5},
        ),
        (Event(degraded=Degraded(reason="OVERLOADED")), {"type": "degraded", "reason": "OVERLOADED"}),
        (Event(warning=Warning(reason="R", message="m")), {"type": "warning", "reason": "R", "detail": "m"}),
    ],
)
def test_every_event_has_its_words(event: Event, word: dict[str, object]) -> None:
    """Times in seconds."""
    assert told(event) == word

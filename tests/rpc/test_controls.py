"""Controls: what is understood arrives, and what is not becomes a warning and nothing else."""

from __future__ import annotations

import math

import pytest
from avatar.v1 import control_pb2, init_pb2

from avatar_service.engine.base import Controls, Emotion
from avatar_service.rpc.controls import control
from avatar_service.session.events import Control


def test_nothing_said_changes_nothing() -> None:
    """An empty message is no change and no mistake."""
    assert control(control_pb2.Control()) == Control()


def test_everything_arrives_as_it_was_said() -> None:
    """Zeros that were given are not mistaken for what was left out."""
    said = control_pb2.Control(
        pose=init_pb2.HeadPose(pitch=0.5, yaw=0.0, roll=-0.25),
        gaze=init_pb2.Gaze(x=0.0, y=0.5),
        emotion=control_pb2.Emotion(kind=control_pb2.EMOTION_KIND_SAD, intensity=0.0),
        head_motion=0.0,
        bitrate_kbps=0,
        force_keyframe=True,
        paused=False,
        avatar_id="ada",
    )
    controls = Controls((0.5, 0.0, -0.25), (0.0, 0.5), (Emotion.SAD, 0.0), 0.0)
    assert control(said) == Control(controls, 0, keyframe=True, paused=False, avatar_id="ada")


@pytest.mark.parametrize("kind", list(control_pb2.EmotionKind.values()))
def test_every_emotion_is_known(kind: int) -> None:
    """Unspecified is neutral; without an intensity it is full."""
    heard = control(control_pb2.Control(emotion=control_pb2.Emotion(kind=kind)))
    assert heard.warnings == ()
    assert heard.controls is not None
    emotion, intensity = heard.controls.emotion
    assert intensity == 1.0
    name = control_pb2.EmotionKind.Name(kind).removeprefix("EMOTION_KIND_").lower()
    assert emotion.value == name.replace("unspecified", "neutral")


@pytest.mark.parametrize(
    ("said", "named"),
    [
        (control_pb2.Control(head_motion=2.5), "control.head_motion is 2.5"),
        (control_pb2.Control(head_motion=math.nan), "control.head_motion is nan"),
        (control_pb2.Control(pose=init_pb2.HeadPose(yaw=9.0)), "control.pose.yaw is 9"),
        (control_pb2.Control(gaze=init_pb2.Gaze(y=math.inf)), "control.gaze.y is inf"),
        (control_pb2.Control(emotion=control_pb2.Emotion(intensity=1.5)), "control.emotion.intensity is 1.5"),
        (control_pb2.Control(bitrate_kbps=10), "control.bitrate_kbps is 10"),
        (control_pb2.Control(bitrate_kbps=2**32 - 1), "control.bitrate_kbps is 4294967295"),
    ],
)
def test_what_is_out_of_range_is_told_and_left_alone(said: control_pb2.Control, named: str) -> None:
    """The rest of the message holds."""
    said.force_keyframe = True
    heard = control(said)
    assert (heard.controls, heard.bitrate_kbps, heard.keyframe) == (None, None, True)
    [warning] = heard.warnings
    assert warning.reason == "CONTROL_OUT_OF_RANGE"
    assert warning.message.startswith(named)


@pytest.mark.parametrize(
    "said",
    [
        control_pb2.Control.FromString(b"\x98\x06\x01"),
        control_pb2.Control(emotion=control_pb2.Emotion(kind=99)),
        control_pb2.Control(pose=init_pb2.HeadPose.FromString(b"\x98\x06\x01")),
    ],
    ids=["field", "emotion", "field of a field"],
)
def test_what_is_not_known_is_told(said: control_pb2.Control) -> None:
    """A newer client's words are no failure."""
    [warning] = control(said).warnings
    assert warning.reason == "CONTROL_UNKNOWN"


def test_a_message_full_of_mistakes_is_answered_briefly() -> None:
    """Few warnings, however many fields."""
    unknown = b"".join(bytes([(number << 3) & 0x7F | 0x80, number >> 4, 1]) for number in range(20, 200))
    assert len(control(control_pb2.Control.FromString(unknown)).warnings) == 8

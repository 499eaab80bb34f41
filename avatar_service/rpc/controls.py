"""Owns the translation of ``control``: what is not understood becomes a warning and changes nothing. Keeps no state."""

from __future__ import annotations

import math
from typing import Final

from avatar.v1 import control_pb2, init_pb2
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from avatar_service.codec.base import MAX_BITRATE_KBPS, MIN_BITRATE_KBPS
from avatar_service.engine.base import Controls, Emotion
from avatar_service.session.events import Control, Warned

EMOTIONS: Final = {
    control_pb2.EMOTION_KIND_UNSPECIFIED: Emotion.NEUTRAL,
    control_pb2.EMOTION_KIND_NEUTRAL: Emotion.NEUTRAL,
    control_pb2.EMOTION_KIND_HAPPY: Emotion.HAPPY,
    control_pb2.EMOTION_KIND_SAD: Emotion.SAD,
    control_pb2.EMOTION_KIND_SURPRISED: Emotion.SURPRISED,
    control_pb2.EMOTION_KIND_ANGRY: Emotion.ANGRY,
}
_PI: Final = math.pi + 1e-6
_MOST_WARNINGS: Final = 8


def control(message: control_pb2.Control) -> Control:
    """Return what the message changes, and warnings of the rest of it."""
    reader = _Reader()
    reader.check_fields("control", message)
    has = message.HasField
    controls = Controls(
        pose=reader.pose(message.pose) if has("pose") else None,
        gaze=reader.gaze(message.gaze) if has("gaze") else None,
        emotion=reader.emotion(message.emotion) if has("emotion") else None,
        head_motion=reader.within("head_motion", message.head_motion, 0.0, 2.0) if has("head_motion") else None,
    )
    return Control(
        controls=None if controls == Controls() else controls,
        bitrate_kbps=reader.bitrate(message.bitrate_kbps) if has("bitrate_kbps") else None,
        keyframe=message.force_keyframe,
        paused=message.paused if has("paused") else None,
        avatar_id=message.avatar_id,
        warnings=tuple(reader.warnings[:_MOST_WARNINGS]),
    )


class _Reader:
    """Reads values, and notes what is wrong with them instead of failing."""

    def __init__(self) -> None:
        self.warnings: list[Warned] = []

    def check_fields(self, name: str, message: Message) -> None:
        for number in sorted(_unknown_fields(message)):
            self._unknown(f"this server does not know field {number} of {name}")

    def within(self, name: str, value: float, low: float, high: float) -> float | None:
        if low <= value <= high:  # NaN compares false
            return value
        msg = f"control.{name} is {value:.10g}; it must be from {low:.10g} to {high:.10g}"
        self.warnings.append(Warned("CONTROL_OUT_OF_RANGE", msg))
        return None

    def pose(self, pose: init_pb2.HeadPose) -> tuple[float, float, float] | None:
        self.check_fields("control.pose", pose)
        pitch, yaw, roll = (
            self.within(f"pose.{name}", getattr(pose, name), -_PI, _PI) for name in ("pitch", "yaw", "roll")
        )
        return None if pitch is None or yaw is None or roll is None else (pitch, yaw, roll)

    def gaze(self, gaze: init_pb2.Gaze) -> tuple[float, float] | None:
        self.check_fields("control.gaze", gaze)
        x, y = (self.within(f"gaze.{name}", getattr(gaze, name), -_PI, _PI) for name in ("x", "y"))
        return None if x is None or y is None else (x, y)

    def emotion(self, emotion: control_pb2.Emotion) -> tuple[Emotion, float] | None:
        self.check_fields("control.emotion", emotion)
        intensity = self.within("emotion.intensity", emotion.intensity, 0.0, 1.0) if _has_intensity(emotion) else 1.0
        kind = EMOTIONS.get(emotion.kind)
        if kind is None:
            self._unknown(f"control.emotion.kind is {emotion.kind}, which this server does not know")
        return None if kind is None or intensity is None else (kind, intensity)

    def bitrate(self, kbps: int) -> int | None:
        if kbps == 0:
            return 0
        allowed = self.within("bitrate_kbps", kbps, MIN_BITRATE_KBPS, MAX_BITRATE_KBPS)
        return None if allowed is None else kbps

    def _unknown(self, message: str) -> None:
        self.warnings.append(Warned("CONTROL_UNKNOWN", message))


def _has_intensity(emotion: control_pb2.Emotion) -> bool:
    return emotion.HasField("intensity")


def _unknown_fields(message: Message) -> set[int]:
    unknown = UnknownFieldSet(message)
    return {unknown[i].field_number for i in range(len(unknown))}

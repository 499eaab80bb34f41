"""Owns the JSON of the data channel: what a peer may ask for, and what it is told. Pure."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any, Final, cast

from avatar_client import (
    EMOTION_KIND_ANGRY,
    EMOTION_KIND_HAPPY,
    EMOTION_KIND_NEUTRAL,
    EMOTION_KIND_SAD,
    EMOTION_KIND_SURPRISED,
    Control,
    Emotion,
    Gaze,
    HeadPose,
)

from avatar_service.errors import InvalidArgumentError, ResourceExhaustedError
from avatar_service.gateway.live.audience import Word
from avatar_service.gateway.live.pairing import TICKS_PER_S

if TYPE_CHECKING:
    from avatar.v1 import event_pb2
    from avatar.v1.event_pb2 import Event
    from google.protobuf.duration_pb2 import Duration

MAX_CHARACTERS: Final = 4096
_MAX_HEAD_MOTION: Final = 2.0
_MAX_KBPS: Final = 20_000
_EMOTIONS: Final = {
    "neutral": EMOTION_KIND_NEUTRAL,
    "happy": EMOTION_KIND_HAPPY,
    "sad": EMOTION_KIND_SAD,
    "surprised": EMOTION_KIND_SURPRISED,
    "angry": EMOTION_KIND_ANGRY,
}
_FACE: Final = ("pose", "gaze", "emotion", "intensity", "head_motion", "avatar_id")
_CONTROLS: Final = (*_FACE, "bitrate_kbps", "force_keyframe")


def read(text: str | bytes) -> Control | None:
    """Return what a message asks for: a control, or ``None`` for an interruption.

    Raises:
        InvalidArgumentError: ``BAD_MESSAGE``.
    """
    if len(text) > MAX_CHARACTERS:
        raise _bad("message", f"a message has at most {MAX_CHARACTERS} characters")
    try:
        word = json.loads(text)
    except (ValueError, RecursionError):
        raise _bad("message", "a message is one JSON object") from None
    if not isinstance(word, dict):
        raise _bad("message", "a message is one JSON object")
    match word.pop("type", None):
        case "interrupt":
            return None
        case "control":
            return _control(word)
        case _:
            raise _bad("type", "type must be interrupt or control")


def _control(word: dict[str, Any]) -> Control:
    unknown = [name for name in word if name not in _CONTROLS]
    if unknown:
        raise _bad(unknown[0][:64], f"there is no such control; there are {', '.join(_CONTROLS)}")
    control = Control()
    if "pose" in word:
        pitch, yaw, roll = _numbers(word, "pose", 3, math.pi)
        control.pose.CopyFrom(HeadPose(pitch=pitch, yaw=yaw, roll=roll))
    if "gaze" in word:
        x, y = _numbers(word, "gaze", 2, math.pi)
        control.gaze.CopyFrom(Gaze(x=x, y=y))
    if "emotion" in word:
        kind = _EMOTIONS.get(word["emotion"]) if isinstance(word["emotion"], str) else None
        if kind is None:
            raise _bad("emotion", f"emotion must be one of {', '.join(_EMOTIONS)}")
        control.emotion.CopyFrom(Emotion(kind=kind, intensity=_number(word, "intensity", 1.0, 1.0)))
    if "head_motion" in word:
        control.head_motion = _number(word, "head_motion", 1.0, _MAX_HEAD_MOTION)
    if "bitrate_kbps" in word:
        control.bitrate_kbps = round(_number(word, "bitrate_kbps", 0.0, _MAX_KBPS))
    if "avatar_id" in word:
        control.avatar_id = _text(word, "avatar_id")
    control.force_keyframe = word.get("force_keyframe") is True
    return control


def _number(word: dict[str, Any], name: str, default: float, most: float) -> float:
    value = word.get(name, default)
    if not _is_number(value) or not 0 <= value <= most:
        raise _bad(name, f"{name} must be a number from 0 to {most:g}")
    return float(value)


def _text(word: dict[str, Any], name: str) -> str:
    value = word[name]
    if not isinstance(value, str) or not value.isascii():
        raise _bad(name, f"{name} must be a string of ASCII characters")
    return value


def _numbers(word: dict[str, Any], name: str, count: int, most: float) -> list[float]:
    value = word[name]
    if not isinstance(value, list) or len(value) != count or not all(_is_number(v) and abs(v) <= most for v in value):
        raise _bad(name, f"{name} must be an array of {count} angles in radians, each from -pi to pi")
    return [float(v) for v in value]


def _is_number(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) <= sys.float_info.max  # JSON's integers may be larger than any float


def _bad(field: str, message: str) -> InvalidArgumentError:
    return InvalidArgumentError("BAD_MESSAGE", message, field=field)


def written(word: Word) -> str:
    """Return a message of the data channel."""
    return json.dumps(word)


def refusal(error: InvalidArgumentError | ResourceExhaustedError) -> Word:
    """Return what a peer is told whose message cannot be taken."""
    field = error.field if isinstance(error, InvalidArgumentError) else ""
    return {"type": "error", "reason": error.reason, "detail": error.message, "field": field}


def told(event: Event) -> Word:
    """Return an event of the service in the words of the data channel."""
    name = event.WhichOneof("event") or ""
    match name:
        case "segment_started" | "underrun":
            placed = cast("event_pb2.SegmentStarted", getattr(event, name))
            return {"type": name, "segment_id": placed.segment_id, "at_s": placed.pts / TICKS_PER_S}
        case "idle":
            return {"type": name, "at_s": event.idle.pts / TICKS_PER_S}
        case "segment_finished":
            over = event.segment_finished
            figures = {"played_s": _seconds(over.played), "frames": over.frames, "interrupted": over.interrupted}
            return {"type": name, "segment_id": over.segment_id, **figures}
        case "interrupted":
            cut = event.interrupted
            figures = {"played_s": _seconds(cut.played), "dropped_s": _seconds(cut.dropped)}
            return {"type": name, "segment_ids": list(cut.segment_ids), **figures}
        case "warning":
            warning = cast("event_pb2.Warning", event.warning)  # mypy takes it for the built-in one
            return {"type": name, "reason": warning.reason, "detail": warning.message}
        case _:
            return {"type": name, "reason": getattr(getattr(event, name, None), "reason", "")}


def unsaid(segment_id: str) -> Word:
    """Return what is told of a text that was interrupted before the service heard of it."""
    figures = {"played_s": 0.0, "frames": 0, "interrupted": True}
    return {"type": "segment_finished", "segment_id": segment_id, **figures}


def _seconds(duration: Duration) -> float:
    return duration.ToTimedelta().total_seconds()

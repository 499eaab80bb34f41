"""Owns the translation of what a client says into our own types, and the checks that belong to it. Keeps no state."""

from __future__ import annotations

import math
from typing import Final

from avatar.v1 import avatar_pb2, avatar_service_pb2, init_pb2
from google.protobuf.duration_pb2 import Duration

from avatar_service.audio import AudioEncoding, AudioFormat
from avatar_service.codec.base import Codec, VideoFormat
from avatar_service.engine.base import Parameters, PrepareOptions, Preset
from avatar_service.errors import InvalidArgumentError
from avatar_service.rpc.controls import control
from avatar_service.session.events import ClientEvent, EndOfAudio, EndOfSegment, Init, Interrupt, Resume, Speech

MAX_FORMATS: Final = 2
_PI: Final = math.pi + 1e-6
"""A little more than pi, because pi as a 32-bit float is."""
_NS: Final = 1_000_000_000

ENCODINGS: Final = {
    init_pb2.AUDIO_ENCODING_LINEAR16: AudioEncoding.LINEAR16,
    init_pb2.AUDIO_ENCODING_FLOAT32: AudioEncoding.FLOAT32,
    init_pb2.AUDIO_ENCODING_MULAW: AudioEncoding.MULAW,
    init_pb2.AUDIO_ENCODING_ALAW: AudioEncoding.ALAW,
    init_pb2.AUDIO_ENCODING_OPUS: AudioEncoding.OPUS,
}
CODECS: Final = {
    init_pb2.VIDEO_CODEC_H264: Codec.H264,
    init_pb2.VIDEO_CODEC_VP8: Codec.VP8,
    init_pb2.VIDEO_CODEC_JPEG: Codec.JPEG,
    init_pb2.VIDEO_CODEC_PNG: Codec.PNG,
    init_pb2.VIDEO_CODEC_RAW_RGB: Codec.RAW_RGB,
}
PRESETS: Final = {
    init_pb2.PRESET_LOWEST_LATENCY: Preset.LOWEST_LATENCY,
    init_pb2.PRESET_BALANCED: Preset.BALANCED,
    init_pb2.PRESET_BEST_QUALITY: Preset.BEST_QUALITY,
}
PREFERENCES: Final = {
    init_pb2.DEGRADATION_PREFERENCE_UNSPECIFIED: False,
    init_pb2.DEGRADATION_PREFERENCE_DISABLED: False,
    init_pb2.DEGRADATION_PREFERENCE_MAINTAIN_RESOLUTION: True,
}
MODES: Final = {
    init_pb2.SESSION_MODE_UNSPECIFIED: False,
    init_pb2.SESSION_MODE_ON_AUDIO: False,
    init_pb2.SESSION_MODE_LIVE: True,
}


def client_event(request: avatar_service_pb2.StreamAvatarRequest) -> ClientEvent:
    """Return what the client says.

    Raises:
        InvalidArgumentError: ``EMPTY_MESSAGE``, ``OUT_OF_RANGE``, ``UNKNOWN_VALUE`` and what our own types refuse.
    """
    match request.WhichOneof("message"):
        case "audio":
            audio = request.audio
            return Speech(audio.segment_id, audio.data, audio.seq if audio.HasField("seq") else None)
        case "init":
            return _resume(request.init.resume) if request.init.HasField("resume") else _init(request.init)
        case "end_of_segment":
            return EndOfSegment(request.end_of_segment.segment_id)
        case "end_of_audio":
            return EndOfAudio()
        case "interrupt":
            return Interrupt(request.interrupt.segment_id)
        case "control":
            return control(request.control)
        case _:
            msg = "a request carries none of init, audio, end_of_segment, end_of_audio, interrupt, control"
            raise InvalidArgumentError("EMPTY_MESSAGE", msg, field="message")


def _resume(resume: init_pb2.Resume) -> Resume:
    return Resume(resume.token, resume.received_messages)


def _init(init: init_pb2.Init) -> Init:
    _check_avatar(init)
    if init.mode not in MODES:
        raise _unknown("init.mode", init.mode)
    if len(init.video) > MAX_FORMATS:
        msg = f"init.video has {len(init.video)} formats; give at most {MAX_FORMATS}"
        raise InvalidArgumentError("OUT_OF_RANGE", msg, field="init.video")
    generation = init.generation
    live = MODES[init.mode]
    parameters = _parameters(generation)
    chunk_s = _seconds(generation, "chunk_duration", _hop_s(parameters.preset, live=live))
    return Init(
        portrait=init.portrait,
        audio=_audio_format(init.audio),
        engine=init.engine,
        video=tuple(_video_format(video, f"init.video[{i}]") for i, video in enumerate(init.video)) or (VideoFormat(),),
        options=prepare_options(generation, "init.generation."),
        parameters=parameters,
        chunk_duration_s=_within("init.generation.chunk_duration", chunk_s, 0.1, 10.0),
        live=live,
        avatar_id=init.avatar_id,
        resumable=init.resumable,
        degradable=_is_degradable(init.degradation_preference, live=live),
    )


def _is_degradable(preference: init_pb2.DegradationPreference, *, live: bool) -> bool:
    if preference not in PREFERENCES:
        raise _unknown("init.degradation_preference", preference)
    if PREFERENCES[preference] and not live:
        msg = "on audio no frame is ever left out; ask for mode LIVE, or leave out degradation_preference"
        raise InvalidArgumentError("DEGRADATION_NEEDS_LIVE", msg, field="init.degradation_preference")
    return PREFERENCES[preference]


def _check_avatar(init: init_pb2.Init) -> None:
    """Check that an avatar comes without what it was made of."""
    if not init.avatar_id:
        return
    if init.portrait:
        msg = "init has a portrait and an avatar_id; give exactly one of them"
        raise InvalidArgumentError("PORTRAIT_OR_AVATAR", msg, field="init.avatar_id")
    for field, _ in init.generation.ListFields():
        if field.name in {"crop", "crop_scale", "paste_back"}:
            msg = f"{field.name} was settled when the avatar was created; leave it out with avatar_id"
            raise InvalidArgumentError("AVATAR_IS_PREPARED", msg, field=f"init.generation.{field.name}")


def _hop_s(preset: Preset, *, live: bool) -> float:
    """Return how much audio an engine may wait for, of a session that does not say so."""
    if preset is Preset.BEST_QUALITY:
        return 2.0
    return 0.2 if live else 1.0


def _audio_format(audio: init_pb2.AudioFormat) -> AudioFormat:
    encoding = ENCODINGS.get(audio.encoding)
    if encoding is None:
        raise _unknown("init.audio.encoding", audio.encoding)
    return AudioFormat(encoding, audio.sample_rate_hz, audio.channels or 1)


def _video_format(video: init_pb2.VideoFormat, field: str) -> VideoFormat:
    codec = CODECS.get(video.codec or init_pb2.VIDEO_CODEC_H264)
    if codec is None:
        codec_field = f"{field}.codec"
        raise _unknown(codec_field, video.codec)
    return VideoFormat(
        codec=codec,
        width=video.width,
        height=video.height,
        quality=video.quality or 85,
        bitrate_kbps=video.bitrate_kbps,
        keyframe_interval_s=_seconds(video, "keyframe_interval", 2.0),
        field=field,
    )


def prepare_options(
    message: init_pb2.GenerationParameters | avatar_pb2.CreateAvatarRequest, path: str = ""
) -> PrepareOptions:
    """Return how a portrait becomes an avatar.

    Args:
        message: that says so.
        path: of the message, with a dot at its end.

    Raises:
        InvalidArgumentError: ``PASTE_BACK_NEEDS_CROP`` or ``OUT_OF_RANGE``.
    """
    crop = message.crop if message.HasField("crop") else True
    if message.paste_back and not crop:
        msg = "paste_back needs crop: without a crop the frames are the whole picture already"
        raise InvalidArgumentError("PASTE_BACK_NEEDS_CROP", msg, field=f"{path}paste_back")
    return PrepareOptions(
        crop=crop,
        crop_scale=_within(f"{path}crop_scale", message.crop_scale or 1.0, 0.5, 2.0),
        paste_back=message.paste_back,
    )


def _parameters(generation: init_pb2.GenerationParameters) -> Parameters:
    pose, gaze = generation.pose_style, generation.gaze_style
    default = Parameters()
    preset = PRESETS.get(generation.preset or init_pb2.PRESET_BALANCED)
    if preset is None:
        raise _unknown("init.generation.preset", generation.preset)
    moves = generation.head_motion if generation.HasField("head_motion") else default.head_motion

    def angle(name: str, value: float) -> float:
        return _within(f"init.generation.{name}", value, -_PI, _PI)

    return Parameters(
        seed=generation.seed if generation.HasField("seed") else default.seed,
        nfe=int(_within("init.generation.nfe", generation.nfe or default.nfe, 5, 50)),
        cfg_scale=_within("init.generation.cfg_scale", generation.cfg_scale or default.cfg_scale, 1.0, 5.0),
        pose_style=(
            angle("pose_style.pitch", pose.pitch),
            angle("pose_style.yaw", pose.yaw),
            angle("pose_style.roll", pose.roll),
        ),
        gaze_style=(angle("gaze_style.x", gaze.x), angle("gaze_style.y", gaze.y)),
        preset=preset,
        head_motion=_within("init.generation.head_motion", moves, 0.0, 2.0),
        adapter=generation.adapter,
    )


def _within(field: str, value: float, low: float, high: float) -> float:
    if not low <= value <= high:  # NaN compares false
        msg = f"{field} is {value:.10g}; it must be from {low:.10g} to {high:.10g}"
        raise InvalidArgumentError("OUT_OF_RANGE", msg, field=field)
    return value


def _unknown(field: str, value: int) -> InvalidArgumentError:
    msg = f"{field} is {value}, which this server does not know" if value else f"{field} must be set"
    return InvalidArgumentError("UNKNOWN_VALUE", msg, field=field)


def _seconds(message: init_pb2.VideoFormat | init_pb2.GenerationParameters, name: str, default: float) -> float:
    if not message.HasField(name):
        return default
    duration: Duration = getattr(message, name)
    if not 0 <= duration.nanos < _NS:
        msg = f"{name} has {duration.nanos} nanos; a duration has from 0 to {_NS - 1}"
        raise InvalidArgumentError("OUT_OF_RANGE", msg, field=f"init.{name}")
    return duration.seconds + duration.nanos / _NS

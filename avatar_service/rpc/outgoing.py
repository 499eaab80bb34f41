"""Owns the translation of what a session says into protobuf. Keeps no state."""

from __future__ import annotations

from typing import Final

from avatar.v1 import avatar_service_pb2, event_pb2, media_pb2
from google.protobuf.duration_pb2 import Duration

from avatar_service import media
from avatar_service.audio import MAX_MESSAGE_BYTES
from avatar_service.config import Settings
from avatar_service.picture import MAX_BYTES
from avatar_service.pool.snapshot import FrameKind
from avatar_service.session.events import (
    Degraded,
    EncodedFrame,
    GoAway,
    Happening,
    Idle,
    Interrupted,
    Ready,
    Recovered,
    SegmentFinished,
    SegmentStarted,
    ServerEvent,
    State,
    StatusReport,
    Underrun,
    Warned,
)

_NS: Final = 1_000_000_000
_STATES: Final = {
    State.WAITING_FOR_AUDIO: event_pb2.SESSION_STATE_WAITING_FOR_AUDIO,
    State.PROCESSING: event_pb2.SESSION_STATE_PROCESSING,
    State.COMPLETE: event_pb2.SESSION_STATE_COMPLETE,
    State.ERROR: event_pb2.SESSION_STATE_ERROR,
}
_KINDS: Final = {
    FrameKind.SPEECH: media_pb2.FRAME_KIND_SPEECH,
    FrameKind.IDLE: media_pb2.FRAME_KIND_IDLE,
    FrameKind.TRANSITION: media_pb2.FRAME_KIND_TRANSITION,
}


def responses(event: ServerEvent, settings: Settings) -> list[avatar_service_pb2.StreamAvatarResponse]:
    """Return the messages that say ``event``: one, or one for each format of a frame."""
    match event:
        case EncodedFrame():
            return [_video(event, number) for number in range(len(event.units))]
        case Ready():
            return [avatar_service_pb2.StreamAvatarResponse(ready=_ready(event, settings))]
        case StatusReport():
            return [avatar_service_pb2.StreamAvatarResponse(status=session_status(event))]
        case GoAway(time_left_s):
            go_away = event_pb2.GoAway(time_left=_duration(time_left_s))
            return [avatar_service_pb2.StreamAvatarResponse(go_away=go_away)]
        case _:
            return [avatar_service_pb2.StreamAvatarResponse(event=_event(event))]


def _video(frame: EncodedFrame, number: int) -> avatar_service_pb2.StreamAvatarResponse:
    """Return one format of a frame. Filled in place, in a third of the time that a message within a message takes."""
    unit = frame.units[number]
    response = avatar_service_pb2.StreamAvatarResponse()
    video = response.video
    video.pts, video.duration = frame.pts, frame.duration
    video.keyframe = unit.keyframe
    video.segment_id, video.frame_index = frame.segment_id, frame.index
    video.format = number
    video.data = unit.content
    video.kind = _KINDS[frame.kind]
    return response


def _ready(ready: Ready, settings: Settings) -> event_pb2.Ready:
    video = [
        event_pb2.EffectiveVideo(codec=codec, width=width, height=height)
        for codec, (width, height) in zip(ready.codec_strings, ready.sizes, strict=True)
    ]
    return event_pb2.Ready(
        session_id=ready.session_id,
        engine=ready.engine,
        engine_version=ready.engine_version,
        fps=ready.fps,
        video=video,
        hop=_duration(ready.hop_s),
        look_ahead=_duration(ready.look_ahead_s),
        limits=limits(settings, live=ready.live),
        resume_token=ready.resume_token,
        received_messages=ready.received,
    )


def limits(settings: Settings, *, live: bool = False) -> event_pb2.Limits:
    """Return the bounds that every session is held to, or every LIVE one."""
    return event_pb2.Limits(
        max_audio_message_bytes=MAX_MESSAGE_BYTES,
        max_portrait_bytes=MAX_BYTES,
        max_buffered_audio=_duration(settings.buffered_s(live=live)),
        idle_timeout=_duration(settings.idle_timeout_s),
        slow_reader_timeout=_duration(settings.slow_reader_timeout_s),
        resume_window=_duration(settings.resume_within_s),
    )


def session_status(status: StatusReport) -> event_pb2.SessionStatus:
    """Return how a session stands."""
    return event_pb2.SessionStatus(
        state=_STATES[status.state],
        frames_generated=status.frames,
        buffered_audio=_duration(status.buffered_s),
        uptime=_duration(status.uptime_s),
        real_time_factor=status.real_time_factor,
        received_messages=status.received,
    )


def _event(event: Happening) -> event_pb2.Event:
    said = event_pb2.Event()
    match event:
        case SegmentStarted(segment_id, pts):
            said.segment_started.CopyFrom(event_pb2.SegmentStarted(segment_id=segment_id, pts=pts))
        case SegmentFinished(segment_id, played, frames, interrupted):
            finished = event_pb2.SegmentFinished(
                segment_id=segment_id, played=_played(played), frames=frames, interrupted=interrupted
            )
            said.segment_finished.CopyFrom(finished)
        case Interrupted(segment_ids, played, dropped):
            cut = event_pb2.Interrupted(segment_ids=segment_ids, played=_played(played), dropped=_played(dropped))
            said.interrupted.CopyFrom(cut)
        case Idle(pts):
            said.idle.CopyFrom(event_pb2.Idle(pts=pts))
        case Underrun(segment_id, pts):
            said.underrun.CopyFrom(event_pb2.Underrun(segment_id=segment_id, pts=pts))
        case Degraded(reason):
            said.degraded.CopyFrom(event_pb2.Degraded(reason=reason.value))
        case Recovered(reason):
            said.recovered.CopyFrom(event_pb2.Recovered(reason=reason.value))
        case Warned(reason, message):
            said = event_pb2.Event(warning=event_pb2.Warning(reason=reason, message=message))
    return said


def _duration(seconds: float) -> Duration:
    nanoseconds = round(seconds * _NS)
    return Duration(seconds=nanoseconds // _NS, nanos=nanoseconds % _NS)


def _played(samples: int) -> Duration:
    """Exact: one 16 kHz sample is 62500 ns."""
    nanoseconds = samples * (_NS // media.SAMPLE_RATE_HZ)
    return Duration(seconds=nanoseconds // _NS, nanos=nanoseconds % _NS)

"""Owns the two ends of a session's opening: what is asked of the worker, and what the client is told of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from avatar_service import media
from avatar_service.config import Settings
from avatar_service.engine.base import EngineSpec
from avatar_service.pool.messages import Opened, Work
from avatar_service.resampler import resampling_lag
from avatar_service.session.events import (
    ClientEvent,
    Control,
    EndOfAudio,
    EndOfSegment,
    Init,
    Interrupt,
    Ready,
    Speech,
    Warned,
)
from avatar_service.session.machine import Event
from avatar_service.session.session import Session

_EVENTS: Final[Mapping[type, Event]] = {
    Speech: Event.SPEECH,
    EndOfSegment: Event.END_OF_SEGMENT,
    EndOfAudio: Event.END_OF_AUDIO,
    Interrupt: Event.INTERRUPT,
    Control: Event.CONTROL,
}


def checked(first: ClientEvent, session: Session) -> Init:
    """Return what a client says first, if that opens a new session.

    Raises:
        FailedPreconditionError: ``OUT_OF_ORDER`` if it is anything else.
    """
    if not isinstance(first, Init):
        session.check(_EVENTS[type(first)])
    assert isinstance(first, Init), "the tables allow nothing else in a new session"
    return first


def work_of(init: Init, settings: Settings) -> Work:
    """Return the order for the worker."""
    return Work(
        portrait=init.portrait,
        options=init.options,
        parameters=init.parameters,
        chunk_duration_s=init.chunk_duration_s,
        video=init.video,
        window_frames=settings.window_frames,
        live=init.live,
    )


def ready_of(session_id: str, spec: EngineSpec, init: Init, opened: Opened) -> Ready:
    """Return what the session will really do."""
    lag = resampling_lag(init.audio.sample_rate_hz)
    spec = spec.under(init.parameters.preset)
    return Ready(
        session_id=session_id,
        engine=spec.name,
        engine_version=spec.version,
        fps=spec.fps,
        sizes=opened.sizes,
        codec_strings=opened.codec_strings,
        hop_s=spec.hop_within(init.chunk_duration_s) / spec.fps,
        look_ahead_s=(spec.look_ahead + lag) / media.SAMPLE_RATE_HZ,
        live=init.live,
    )


def warnings_of(opened: Opened) -> tuple[Warned, ...]:
    """Return what the client should know about its portrait."""
    return tuple(Warned(notice.reason, notice.message) for notice in opened.notices)

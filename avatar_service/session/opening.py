"""Owns the two ends of a session's opening: what is asked of the worker, and what the client is told of it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from avatar_service import media
from avatar_service.config import Settings
from avatar_service.engine.base import EngineSpec
from avatar_service.errors import InvalidArgumentError
from avatar_service.pool.avatars import KeptAvatar
from avatar_service.pool.messages import AvatarKey, Opened, Work
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

_SHOWN_CHARACTERS: Final = 64
"""Of what a client sent, in a text for it: statuses travel in headers, which are bounded."""


def check_engine(name: str, spec: EngineSpec) -> None:
    """Check that this server has the engine that a caller names; an empty name is its default.

    Raises:
        InvalidArgumentError: ``ENGINE``.
    """
    if name not in {"", spec.name}:
        msg = f"this server has no engine {name[:_SHOWN_CHARACTERS]!r}; it has {spec.name!r}"
        raise InvalidArgumentError("ENGINE", msg, field="init.engine")


def with_portrait(init: Init, find: Callable[[str], KeptAvatar]) -> Init:
    """Return ``init`` with the portrait that it is about: its own, or that of the avatar it names.

    Raises:
        NotFoundError: ``AVATAR_UNKNOWN``.
    """
    if not init.avatar_id:
        return init
    kept = find(init.avatar_id)
    return replace(init, portrait=kept.portrait, options=kept.options)


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
        kept=AvatarKey(init.avatar_id) if init.avatar_id else None,
        degradable=init.degradable,
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

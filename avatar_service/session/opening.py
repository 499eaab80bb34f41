"""Owns the two ends of a session's opening: what is asked of the worker, and what the client is told of it. Pure."""

from __future__ import annotations

from avatar_service import media
from avatar_service.config import Settings
from avatar_service.engine.base import EngineSpec
from avatar_service.pool.messages import Opened, Work
from avatar_service.resampler import resampling_lag
from avatar_service.session.events import Init, Ready, Warned


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

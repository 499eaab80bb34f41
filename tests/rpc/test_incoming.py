"""Incoming: what a client leaves out gets its default, and what it says arrives as it was said."""

from __future__ import annotations

import pytest
from avatar.v1 import avatar_service_pb2, init_pb2

from avatar_service.errors import InvalidArgumentError
from avatar_service.rpc.incoming import client_event
from avatar_service.session.events import Init


@pytest.mark.parametrize(("said", "heard"), [(None, 1.0), (0.0, 0.0), (1.5, 1.5), (2.0, 2.0)])
def test_head_motion(said: float | None, heard: float) -> None:
    """A head that shall keep still is not mistaken for one of which nothing was said."""
    generation = init_pb2.GenerationParameters(head_motion=said)
    audio = init_pb2.AudioFormat(encoding=init_pb2.AUDIO_ENCODING_LINEAR16, sample_rate_hz=16_000)
    init = init_pb2.Init(portrait=b"picture", audio=audio, generation=generation)
    event = client_event(avatar_service_pb2.StreamAvatarRequest(init=init))
    assert isinstance(event, Init)
    assert event.parameters.head_motion == heard


def opening(**fields: object) -> Init:
    """Return what an init says."""
    audio = init_pb2.AudioFormat(encoding=init_pb2.AUDIO_ENCODING_LINEAR16, sample_rate_hz=16_000)
    init = init_pb2.Init(portrait=b"picture", audio=audio, **fields)  # type: ignore[arg-type]
    event = client_event(avatar_service_pb2.StreamAvatarRequest(init=init))
    assert isinstance(event, Init)
    return event


@pytest.mark.parametrize(
    ("mode", "preset", "heard"),
    [
        (init_pb2.SESSION_MODE_ON_AUDIO, init_pb2.PRESET_BALANCED, 1.0),
        (init_pb2.SESSION_MODE_LIVE, init_pb2.PRESET_BALANCED, 0.2),
        (init_pb2.SESSION_MODE_LIVE, init_pb2.PRESET_BEST_QUALITY, 2.0),
        (init_pb2.SESSION_MODE_ON_AUDIO, init_pb2.PRESET_BEST_QUALITY, 2.0),
    ],
)
def test_how_long_an_engine_may_wait_depends_on_what_for(
    mode: init_pb2.SessionMode, preset: init_pb2.Preset, heard: float
) -> None:
    """A conversation waits less than a file, and quality may take its time; what is said counts."""
    generation = init_pb2.GenerationParameters(preset=preset)
    assert opening(mode=mode, generation=generation).chunk_duration_s == heard
    generation.chunk_duration.FromMilliseconds(700)
    assert opening(mode=mode, generation=generation).chunk_duration_s == 0.7


def test_an_adapter_is_asked_for_by_name() -> None:
    """None is the default."""
    assert opening().parameters.adapter == ""
    assert opening(generation=init_pb2.GenerationParameters(adapter="anna")).parameters.adapter == "anna"


MAINTAIN = init_pb2.DEGRADATION_PREFERENCE_MAINTAIN_RESOLUTION


@pytest.mark.parametrize(
    ("preference", "heard"),
    [
        (init_pb2.DEGRADATION_PREFERENCE_UNSPECIFIED, False),
        (init_pb2.DEGRADATION_PREFERENCE_DISABLED, False),
        (MAINTAIN, True),
    ],
)
def test_only_who_says_so_may_be_halved(preference: init_pb2.DegradationPreference, heard: bool) -> None:
    """By default a session is strict."""
    assert opening(mode=init_pb2.SESSION_MODE_LIVE, degradation_preference=preference).degradable is heard


@pytest.mark.parametrize("mode", [init_pb2.SESSION_MODE_UNSPECIFIED, init_pb2.SESSION_MODE_ON_AUDIO])
def test_on_audio_is_never_halved(mode: init_pb2.SessionMode) -> None:
    """Who asks for it is told what to do; who asks for nothing is served."""
    assert not opening(mode=mode, degradation_preference=init_pb2.DEGRADATION_PREFERENCE_DISABLED).degradable
    with pytest.raises(InvalidArgumentError, match="ask for mode LIVE, or leave out") as refused:
        opening(mode=mode, degradation_preference=MAINTAIN)
    assert (refused.value.reason, refused.value.field) == ("DEGRADATION_NEEDS_LIVE", "init.degradation_preference")


def test_a_preference_that_is_not_known_is_refused() -> None:
    """A newer client asks for something that this server cannot give."""
    with pytest.raises(InvalidArgumentError) as refused:
        opening(mode=init_pb2.SESSION_MODE_LIVE, degradation_preference=7)
    assert (refused.value.reason, refused.value.field) == ("UNKNOWN_VALUE", "init.degradation_preference")

"""Incoming: what a client leaves out gets its default, and what it says arrives as it was said."""

from __future__ import annotations

import pytest
from avatar.v1 import avatar_service_pb2, init_pb2

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

"""Requests: audio is split into whole samples within the service's limit."""

from __future__ import annotations

from avatar.v1.init_pb2 import (
    AUDIO_ENCODING_ALAW,
    AUDIO_ENCODING_FLOAT32,
    AUDIO_ENCODING_LINEAR16,
    AUDIO_ENCODING_MULAW,
    DEGRADATION_PREFERENCE_MAINTAIN_RESOLUTION,
    DEGRADATION_PREFERENCE_UNSPECIFIED,
    AudioFormat,
)
from avatar_client.requests import MAX_AUDIO_MESSAGE_BYTES, SessionRequest, audio_messages
from hypothesis import given
from hypothesis import strategies as st

_ENCODINGS = {
    AUDIO_ENCODING_LINEAR16: 2,
    AUDIO_ENCODING_FLOAT32: 4,
    AUDIO_ENCODING_MULAW: 1,
    AUDIO_ENCODING_ALAW: 1,
}


@given(
    encoding=st.sampled_from(sorted(_ENCODINGS)),
    channels=st.integers(0, 2),
    samples=st.integers(0, 70_000),
)
def test_split_audio_is_whole_samples_and_loses_nothing(encoding: int, channels: int, samples: int) -> None:
    """Every message holds whole samples and at most 64 KiB, and together they are the audio."""
    sample_bytes = _ENCODINGS[encoding] * max(1, channels)
    speech = bytes(range(256)) * (samples * sample_bytes // 256) + b"\1" * (samples * sample_bytes % 256)
    audio = AudioFormat(encoding=encoding, sample_rate_hz=16000, channels=channels)
    messages = [message.audio for message in audio_messages(speech, "a", audio)]
    assert b"".join(message.data for message in messages) == speech
    assert all(0 < len(message.data) <= MAX_AUDIO_MESSAGE_BYTES for message in messages)
    assert all(len(message.data) % sample_bytes == 0 for message in messages)
    assert all(message.segment_id == "a" for message in messages)


def test_part_of_a_sample_is_sent_for_the_server_to_refuse() -> None:
    """Half a sample at the end is neither dropped nor padded in silence."""
    audio = AudioFormat(encoding=AUDIO_ENCODING_LINEAR16, sample_rate_hz=16000)
    assert [len(message.audio.data) for message in audio_messages(b"abc", "", audio)] == [3]


def test_a_session_allows_half_the_frame_rate_if_its_caller_says_so() -> None:
    """And by default nothing."""
    for preference in (DEGRADATION_PREFERENCE_UNSPECIFIED, DEGRADATION_PREFERENCE_MAINTAIN_RESOLUTION):
        request = SessionRequest(b"picture", AudioFormat(), degradation_preference=preference)
        assert request.message().init.degradation_preference == preference
    assert SessionRequest(b"picture", AudioFormat()).message().init.degradation_preference == 0


def test_unset_parameters_stay_unset() -> None:
    """What the caller did not say is left to the server's defaults."""
    init = SessionRequest(b"picture", AudioFormat(sample_rate_hz=8000)).message().init
    assert not init.HasField("generation")
    assert not init.video
    assert init.engine == ""

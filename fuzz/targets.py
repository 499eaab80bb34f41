"""Owns the targets: each takes any bytes, and returns unless a promise was broken.

A promise is: nothing but the errors of ``avatar_service.errors`` that the caller may be told of, and an outcome as its
documentation says. What each target does with its first bytes is its own choice of parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import numpy as np
from avatar.v1 import avatar_service_pb2
from google.protobuf.message import DecodeError

from avatar_service import media
from avatar_service.audio import AudioEncoding, AudioFormat, SpeechDecoder
from avatar_service.errors import InvalidArgumentError, ResourceExhaustedError
from avatar_service.gateway import feed
from avatar_service.gateway.live import words
from avatar_service.gateway.live.offer import read_offer
from avatar_service.pcm import PCM_BYTES
from avatar_service.picture import MAX_PIXELS, decode_picture
from avatar_service.recording import read_recording
from avatar_service.rpc.incoming import client_event
from fuzz.http import answer

Target = Callable[[bytes], None]

MAX_S: Final = 10.0
"""Of a recording."""
RATES: Final = (8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 47_999, 48_000)
RAW: Final = (AudioEncoding.LINEAR16, AudioEncoding.FLOAT32, AudioEncoding.MULAW, AudioEncoding.ALAW)
CONTENT_TYPES: Final = ("audio/wav", "audio/pcm", "audio/pcm;rate=16000;channels=2", "audio/l16", "", "\0;rate=\xff")


def picture(content: bytes) -> None:
    """A portrait's file."""
    with suppress(InvalidArgumentError, ResourceExhaustedError):
        pixels = decode_picture(content)
        assert pixels.dtype == np.uint8
        assert pixels.shape[2:] == (3,)
        assert pixels.size <= 3 * MAX_PIXELS


def recording(content: bytes) -> None:
    """An audio file, in any of the formats that are read."""
    with suppress(InvalidArgumentError):
        found = read_recording(content, max_duration_s=MAX_S)
        assert found.samples.dtype == np.int16
        assert found.samples.size <= (MAX_S + 1) * found.sample_rate_hz


def chunk(content: bytes) -> None:
    """A chunk of the gateway: the first byte chooses its content type."""
    kind = CONTENT_TYPES[content[0] % len(CONTENT_TYPES)] if content else ""
    with suppress(InvalidArgumentError):
        found = feed.decode(content[1:], kind, 24_000)
        joined = feed.Joiner()
        count = joined.join(found).size + joined.flush().size
        assert count == -(-found.samples.size * 48_000 // found.rate_hz)


def speech(content: bytes) -> None:
    """Raw samples in two messages: the first three bytes choose their format and where they are cut."""
    if len(content) < 3:  # noqa: PLR2004 - see above
        return
    kind = AudioFormat(RAW[content[0] % 4], RATES[content[1] % len(RATES)], 1 + content[0] // 4 % 2)
    samples = content[3:]
    cut = kind.block_bytes * content[2]
    decoder = SpeechDecoder(kind)
    with suppress(InvalidArgumentError):
        pcm = decoder.decode(samples[:cut]) + decoder.decode(samples[cut:]) + decoder.flush()
        count = len(samples) // kind.block_bytes
        assert len(pcm) == PCM_BYTES * media.resampled_length(count, kind.sample_rate_hz)


def opus(content: bytes) -> None:
    """Packets of Opus: each has its length before it, in one byte; the first byte chooses the channels."""
    if not content:
        return
    decoder = SpeechDecoder(AudioFormat(AudioEncoding.OPUS, 48_000, 1 + content[0] % 2))
    place = 1
    with suppress(InvalidArgumentError):
        while place < len(content):
            end = place + 1 + content[place]
            decoder.decode(content[place + 1 : end])
            place = end
    decoder.flush()


def request(content: bytes) -> None:
    """A message of the service's one call."""
    with suppress(DecodeError, InvalidArgumentError, ResourceExhaustedError):
        client_event(avatar_service_pb2.StreamAvatarRequest.FromString(content))


def offer(content: bytes) -> None:
    """An SDP offer."""
    with suppress(InvalidArgumentError):
        found = read_offer(content)
        assert found.text.encode() == content


def word(content: bytes) -> None:
    """A message of the data channel, which is a text or bytes."""
    for text in (content, content.decode("utf-8", "replace")):
        with suppress(InvalidArgumentError):
            words.read(text)


def form(content: bytes) -> None:
    """A multipart form, and all else that a body may be: the first byte chooses whose."""
    status, body = answer(content[:1], content[1:])
    assert status < 500 or status == 503, (status, body)  # noqa: PLR2004 - a failure, and that no service is there


TARGETS: Final[dict[str, Target]] = {
    target.__name__: target for target in (picture, recording, chunk, speech, opus, request, offer, word, form)
}

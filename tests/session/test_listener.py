"""The way in: what a client's event means for the session and for its worker."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from avatar_service.audio import AudioEncoding, AudioFormat
from avatar_service.engine.base import Controls, PrepareOptions
from avatar_service.engine.fake import FakeEngine
from avatar_service.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError
from avatar_service.pool import messages
from avatar_service.pool.avatars import KeptAvatar
from avatar_service.pool.messages import Acknowledge, AvatarKey, Command, Cut, End, Feed, SlotKey, Switch
from avatar_service.pool.pool import Lease
from avatar_service.session.events import Control, EndOfAudio, EndOfSegment, Init, Interrupt, Speech
from avatar_service.session.listener import Listener
from avatar_service.session.session import Session

KEY = SlotKey(3, 1)


@pytest.fixture
def commands() -> list[Command]:
    """What the worker was told."""
    return []


@pytest.fixture
def session() -> Session:
    """A session that has had its init."""
    session = Session(FakeEngine().spec, 0.0)
    session.init(Init(b"", AudioFormat(AudioEncoding.LINEAR16, 16_000)))
    return session


def find(avatar_id: str) -> KeptAvatar:
    """Return the one avatar that is kept."""
    if avatar_id != "ada":
        raise NotFoundError("AVATAR_UNKNOWN", "text")
    return KeptAvatar("ada", "", b"", PrepareOptions(), (128, 128), (), 0, datetime.now(UTC))


def listener(session: Session, commands: list[Command], rate: int = 16_000) -> Listener:
    """Return a listener whose worker only writes down what it is told."""
    lease = Lease(KEY, commands.append, lambda _key, _sink: None, lambda _key: None, find)
    return Listener(session, AudioFormat(AudioEncoding.LINEAR16, rate), lease)


def test_speech_is_fed_and_counted(session: Session, commands: list[Command]) -> None:
    """Samples are counted at once, and go to the worker when they allow a frame, with the last one's arrival."""
    heard = listener(session, commands)
    for number in range(1, 8):
        heard.apply(Speech("a", b"\x00\x40" * 320), float(number))
        assert session.buffered == 320 * number
        assert len(commands) == number // 7  # a frame of 640 samples and a look-ahead of 1600
    (feed,) = commands
    assert isinstance(feed, Feed)
    assert (feed.key, feed.segment, feed.arrived) == (KEY, 0, 7.0)
    assert feed.pcm == b"\x00\x40" * 320 * 7


def test_empty_speech_opens_a_segment_and_feeds_nothing(session: Session, commands: list[Command]) -> None:
    """No samples are no message."""
    heard = listener(session, commands)
    heard.apply(Speech("a", b""), 0.0)
    assert commands == []
    heard.apply(EndOfSegment("a"), 1.0)
    assert commands == [End(KEY, 0, 1.0)]


@pytest.mark.parametrize("end", [EndOfSegment(""), EndOfAudio()])
def test_the_resampler_s_rest_comes_before_the_end(
    session: Session, commands: list[Command], end: EndOfSegment | EndOfAudio
) -> None:
    """Ending a segment brings its exact length."""
    heard = listener(session, commands, rate=44_100)
    heard.apply(Speech("a", bytes(2 * 4_410)), 0.0)
    heard.apply(end, 1.0)
    assert [type(command) for command in commands] == [Feed, End]
    assert session.buffered == 1_600
    assert sum(len(command.pcm) for command in commands if isinstance(command, Feed)) == 2 * 1_600


def test_a_new_segment_starts_from_silence(session: Session, commands: list[Command]) -> None:
    """The same speech gives the same samples in every segment of a session."""
    heard = listener(session, commands, rate=44_100)
    speech = np.random.default_rng(0).integers(-9_000, 9_000, 4_410).astype("<i2").tobytes()
    for name in ("a", "b"):
        heard.apply(Speech(name, speech), 0.0)
        heard.apply(EndOfSegment(name), 0.0)
    fed = [command for command in commands if isinstance(command, Feed)]
    first, second = fed
    assert first.pcm == second.pcm
    assert (first.segment, second.segment) == (0, 1)


def test_an_interrupt_cuts_and_acknowledges(session: Session, commands: list[Command]) -> None:
    """The worker forgets the segments, and gets back the credit of frames that nobody will read."""
    heard = listener(session, commands)
    heard.apply(Speech("a", bytes(1_280)), 0.0)
    heard.apply(Interrupt(""), 0.0)
    assert commands == [Cut(KEY, frozenset({0})), Acknowledge(KEY, 0)]


def test_what_is_held_back_dies_with_its_segment(session: Session, commands: list[Command]) -> None:
    """Samples that allowed no frame before an interrupt are not heard in the next segment."""
    heard = listener(session, commands)
    heard.apply(Speech("a", b"\x00\x40" * 640), 0.0)
    heard.apply(Interrupt(""), 0.0)
    del commands[:]
    heard.apply(Speech("b", bytes(2 * 320)), 0.0)
    heard.apply(EndOfSegment("b"), 0.0)
    feed, _ = commands
    assert isinstance(feed, Feed)
    assert feed.pcm == bytes(640)


def test_late_speech_of_a_cut_segment_goes_nowhere(session: Session, commands: list[Command]) -> None:
    """Neither the worker nor the count hears of it, not even if it is rubbish."""
    heard = listener(session, commands)
    heard.apply(Speech("a", bytes(1_280)), 0.0)
    heard.apply(Interrupt("a"), 0.0)
    del commands[:]
    heard.apply(Speech("a", bytes(1_280)), 0.0)
    heard.apply(EndOfSegment("a"), 0.0)
    assert commands == []
    assert session.buffered == 0


def test_refused_audio_reaches_nobody(session: Session, commands: list[Command]) -> None:
    """What cannot be decoded is neither fed nor counted."""
    heard = listener(session, commands)
    with pytest.raises(InvalidArgumentError):
        heard.apply(Speech("a", b"odd"), 0.0)
    heard.apply(EndOfAudio(), 0.0)
    with pytest.raises(FailedPreconditionError):
        heard.apply(Speech("b", bytes(2)), 0.0)
    assert [type(command) for command in commands] == [End]
    assert session.buffered == 0


def test_ending_twice_is_harmless(session: Session, commands: list[Command]) -> None:
    """The worker is told once."""
    heard = listener(session, commands)
    heard.apply(Speech("a", bytes(1_280)), 0.0)
    for _ in range(2):
        heard.apply(EndOfAudio(), 0.0)
    assert [type(command) for command in commands] == [Feed, End]


def test_a_switch_stands_among_the_rest(session: Session, commands: list[Command]) -> None:
    """Behind the audio before it, and before what is controlled with it."""
    heard = listener(session, commands)
    heard.apply(Speech("a", bytes(2 * 320)), 0.0)
    heard.apply(Control(avatar_id="ada", keyframe=True), 1.0)
    feed, *rest = commands
    assert isinstance(feed, Feed)
    assert rest == [Switch(KEY, AvatarKey("ada")), messages.Control(KEY, keyframe=True)]


def test_a_switch_to_nobody_is_told_and_no_more(session: Session, commands: list[Command]) -> None:
    """The rest of the message goes on; an empty name asks for nobody else."""
    heard = listener(session, commands)
    heard.apply(Control(avatar_id="bob", keyframe=True), 0.0)
    assert session.has_news
    heard.apply(Control(keyframe=True), 0.0)
    assert commands == [messages.Control(KEY, keyframe=True)] * 2


def test_a_control_stands_behind_the_audio_before_it(session: Session, commands: list[Command]) -> None:
    """Samples that allowed no frame yet are passed on first, so that the worker sees the order of the stream."""
    heard = listener(session, commands)
    heard.apply(Speech("a", bytes(2 * 320)), 0.0)
    heard.apply(Control(Controls(head_motion=0.5), keyframe=True), 1.0)
    feed, control = commands
    assert isinstance(feed, Feed)
    assert control == messages.Control(KEY, Controls(head_motion=0.5), keyframe=True)

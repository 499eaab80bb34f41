"""Owns the way in: what a client's event means for the session and, from that, for its worker. Never waits."""

from __future__ import annotations

from avatar_service.audio import AudioFormat, SpeechDecoder
from avatar_service.errors import NotFoundError
from avatar_service.pcm import PCM_BYTES, Pcm
from avatar_service.pool.pool import Lease
from avatar_service.session.events import (
    ClientEvent,
    Control,
    EndOfAudio,
    EndOfSegment,
    Init,
    Interrupt,
    Resume,
    Speech,
    Warned,
)
from avatar_service.session.machine import Event
from avatar_service.session.segment import Segment
from avatar_service.session.sequence import Sequence
from avatar_service.session.session import Session


class Listener:
    """Takes the events behind ``init``.

    Args:
        session: is told first, and refuses what is illegal.
        audio_format: of all speech in the session.
        lease: is told what follows.
    """

    def __init__(self, session: Session, audio_format: AudioFormat, lease: Lease) -> None:
        self._session = session
        self._audio_format = audio_format
        self._decoder = SpeechDecoder(audio_format)
        self._sequence = Sequence()
        self._lease = lease
        self._held: list[Pcm] = []

    def follow(self, lease: Lease) -> None:
        """Tell another slot what follows."""
        self._lease = lease

    def apply(self, event: ClientEvent, now: float) -> None:
        """Take one event that arrived at ``now``.

        Raises:
            AvatarError: if the event is illegal now or its audio is not what ``init`` promised.
        """
        match event:
            case Speech(segment_id, content, sequence):
                if sequence is None or self._sequence.is_new(sequence, segment_id, content):
                    self._hear(segment_id, content, now)
            case Init() | Resume():
                self._session.check(Event.INIT)
            case EndOfSegment(segment_id):
                self._end(self._session.ending(segment_id), now)
            case EndOfAudio():
                self._end(self._session.end_of_audio(), now)
            case Interrupt(segment_id):
                cut, dropped_frames = self._session.interrupt(segment_id, now)
                if self._session.open_segment is None:
                    self._held.clear()
                self._lease.cut(cut)
                self._lease.acknowledge(dropped_frames)
            case Control():
                self._control(self._session.control(event), now)

    def _hear(self, segment_id: str, content: bytes, now: float) -> None:
        segment, is_new = self._session.speech(segment_id)
        if segment is None:
            return
        if is_new:
            self._decoder = SpeechDecoder(self._audio_format)
        self._feed(segment, self._decoder.decode(content), now)

    def _end(self, segment: Segment | None, now: float) -> None:
        if segment is None:
            return
        self._feed(segment, self._decoder.flush(), now)
        self._pass_on(segment, now)
        self._session.ended(segment, now)
        self._lease.end(segment.number, now)

    def _control(self, control: Control, now: float) -> None:
        """Pass a change on, behind all audio that came before it."""
        current = self._session.open_segment
        if current is not None:
            self._pass_on(current, now)
        if control.avatar_id:
            self._switch(control.avatar_id)
        self._lease.control(
            control.controls, bitrate_kbps=control.bitrate_kbps, keyframe=control.keyframe, paused=control.paused
        )

    def _switch(self, avatar_id: str) -> None:
        try:
            self._lease.switch(avatar_id)
        except NotFoundError as error:
            self._session.tell(Warned(error.reason, error.message))

    def _feed(self, segment: Segment, pcm: Pcm, now: float) -> None:
        """Count the samples, and hold them until they allow a frame more: fewer messages cross to the worker."""
        if not pcm:
            return
        self._held.append(pcm)
        if self._session.fed(segment, len(pcm) // PCM_BYTES, now):
            self._pass_on(segment, now)

    def _pass_on(self, segment: Segment, now: float) -> None:
        if self._held:
            self._lease.feed(segment.number, b"".join(self._held), now)
            self._held.clear()

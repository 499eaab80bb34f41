"""Owns the making of a take: access units and speech in, fragments out, in every format. Publishes nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from avatar_service.errors import InternalError
from avatar_service.gateway.hls import h264
from avatar_service.gateway.hls.cutter import Cut, Cutter, Part
from avatar_service.gateway.hls.fragment import Run, Sample, fragment
from avatar_service.gateway.hls.initial import initialisation
from avatar_service.gateway.hls.playlist import PART_S, SEGMENT_S
from avatar_service.gateway.hls.sound import SoundTrack, Speech
from avatar_service.gateway.hls.tracks import SOUND_RATE_HZ, SOUND_TRACK, VIDEO_TRACK
from avatar_service.gateway.publisher import Cue, Publisher
from avatar_service.gateway.segments import Segments
from avatar_service.media import ticks_per_frame

if TYPE_CHECKING:
    from collections.abc import Iterable

    from avatar_client import Ready, Video

_Units = tuple[bytes, ...]

KEYFRAME_S: Final = SEGMENT_S
"""What the service is to be asked for, so that a segment is one group of pictures."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One format as the service really encodes it.

    Attributes:
        codec: RFC 6381 string.
        width: pixels.
        height: pixels.
    """

    codec: str
    width: int
    height: int


class Take:
    """What one session makes, over all its calls; each call is a ``begin_call``, frames and speech, an ``end_call``.

    Args:
        segments: where the fragments go.
        publisher: who is told of them.

    Attributes:
        shapes: of the formats; empty before the first call.
        fps: frames per second; 0 before the first call.
    """

    def __init__(self, segments: Segments, publisher: Publisher) -> None:
        self._segments = segments
        self._publisher = publisher
        self._sound = SoundTrack(SOUND_TRACK)
        self._cutter: Cutter[_Units] = Cutter(1, 1)
        self._parameter_sets: list[tuple[bytes, ...]] = []
        self._units: dict[int, bytes] = {}
        self._sequence = 0
        self._frames = 0
        self.shapes: tuple[Shape, ...] = ()
        self.fps = 0

    @property
    def frames(self) -> int:
        """Frames made so far."""
        return self._frames

    @property
    def unwatched_s(self) -> float:
        """Seconds since somebody last watched."""
        return self._publisher.unwatched_s

    @property
    def part_frames(self) -> int:
        """The longest that a frame may be shown, counted in frames."""
        return self._cutter.part_frames

    def begin_call(self, ready: Ready) -> None:
        """Go on with what a new call makes.

        Raises:
            InternalError: ``FORMAT_CHANGED`` if that is something else than before.
        """
        shapes = tuple(Shape(video.codec, video.width, video.height) for video in ready.video)
        if not self.shapes:
            self.shapes, self.fps = shapes, ready.fps
            self._cutter = Cutter(round(PART_S * ready.fps), round(SEGMENT_S * ready.fps))
        elif (shapes, ready.fps) != (self.shapes, self.fps):
            raise _changed()
        self._cutter.holds_back = False

    def hear(self, speech: Speech) -> None:
        """Take what is spoken next, before the frames that it belongs to."""
        self._sound.push(speech)

    def show(self, video: Video, length: int = 1) -> None:
        """Take one access unit.

        Args:
            video: the next one.
            length: how long it is shown, counted in frames: more than 1 for a keyframe with frames left out before it.

        Raises:
            InternalError: ``FORMAT_CHANGED`` if it does not continue what came before.
            OSError: if the disk is full.
        """
        self._units[video.format] = video.data
        if len(self._units) < len(self.shapes):
            return
        units = tuple(self._units[number] for number in range(len(self.shapes)))
        self._units = {}
        if video.keyframe:
            self._check_parameters(units)
        try:
            cuts = self._cutter.add(units, keyframe=video.keyframe, length=length)
        except ValueError:
            raise _changed() from None
        self._frames += 1
        self._make(cuts)

    def near_end(self) -> None:
        """Hold each part back until a frame follows: the encoder has the end of the sound until the last part ends."""
        self._cutter.holds_back = True

    def end_call(self, *, is_last: bool) -> None:
        """End what a call made: the sound is padded to the end of the last frame.

        Args:
            is_last: no call follows, so the take is over.

        Raises:
            OSError: if the disk is full.
        """
        self._units = {}
        if self.fps:
            self._sound.pad(self._samples(self._cutter.length))
        if is_last:
            self._sound.finish()
        self._make(self._cutter.flush())
        if is_last:
            self._publisher.end()

    def _samples(self, frames: int) -> int:
        return frames * SOUND_RATE_HZ // self.fps

    def _check_parameters(self, units: _Units) -> None:
        """Write the initialisation segments at the first keyframe; afterwards its parameters must stay."""
        found = [h264.parameter_sets(unit) for unit in units]
        if not self._parameter_sets:
            self._parameter_sets = found
            self._segments.begin(
                [
                    initialisation(unit, shape.width, shape.height, self.fps)
                    for unit, shape in zip(units, self.shapes, strict=True)
                ]
            )
        elif found != self._parameter_sets:
            raise _changed()

    def _make(self, cuts: Iterable[Cut[_Units]]) -> None:
        for cut in cuts:
            if not isinstance(cut, Part):
                self._segments.close()
                self._publisher.add(None)
                continue
            sound = self._sound.until(self._samples(cut.start + cut.length))
            self._sequence += 1
            self._segments.add_part(
                [
                    fragment(self._sequence, [self._video(cut, number), *([sound] if sound else [])])
                    for number in range(len(self.shapes))
                ]
            )
            self._publisher.add(Cue(cut.segment, cut.index, cut.start / self.fps, cut.length / self.fps))

    def _video(self, part: Part[_Units], number: int) -> Run:
        ticks = ticks_per_frame(self.fps)
        samples = tuple(
            Sample(h264.length_prefixed(units[number]), length * ticks, keyframe=part.independent and position == 0)
            for position, (units, length) in enumerate(zip(part.frames, part.lengths, strict=True))
        )
        return Run(VIDEO_TRACK, part.start * ticks, samples)


def _changed() -> InternalError:
    return InternalError("FORMAT_CHANGED", "the service went on with another video format than it had begun with")

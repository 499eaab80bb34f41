"""Owns the two state machines of a session, as tables. Pure: it says what is allowed, and nothing else.

Lifecycle is how far the call has come; activity is whether a segment is open at the moment. An event that a table
does not list is illegal: it raises, and changes neither state.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from avatar_service.errors import FailedPreconditionError


class Event(enum.Enum):
    """What can happen to a session."""

    INIT = "init"
    READY = "ready"
    SPEECH = "audio"
    END_OF_SEGMENT = "end_of_segment"
    INTERRUPT = "interrupt"
    """Cuts the open segment, among others perhaps."""
    INTERRUPT_EARLIER = "interrupt of an earlier segment"
    """Leaves the open segment, if there is one, as it is."""
    END_OF_AUDIO = "end_of_audio"
    CONTROL = "control"
    FINISHED = "finished"

    __hash__ = object.__hash__  # every message is looked up, and an enum's own hash costs as much as the rest of that


class Lifecycle(enum.Enum):
    """How far the call has come."""

    NEW = "new"
    """Nothing was received."""
    OPENING = "opening"
    """The portrait is being prepared; audio may come already."""
    OPEN = "open"
    """Frames are made."""
    ENDING = "ending"
    """No more audio will come; the last frames are made."""
    CLOSED = "closed"
    """The last frame is out."""

    __hash__ = object.__hash__


class Activity(enum.Enum):
    """What the client is doing."""

    SILENT = "silent"
    """No segment is open."""
    SPEAKING = "speaking"
    """A segment is open."""

    __hash__ = object.__hash__


LIFECYCLE: Final[Mapping[Lifecycle, Mapping[Event, Lifecycle]]] = {
    Lifecycle.NEW: {
        Event.INIT: Lifecycle.OPENING,
    },
    Lifecycle.OPENING: {
        Event.READY: Lifecycle.OPEN,
        Event.SPEECH: Lifecycle.OPENING,
        Event.END_OF_SEGMENT: Lifecycle.OPENING,
        Event.INTERRUPT: Lifecycle.OPENING,
        Event.INTERRUPT_EARLIER: Lifecycle.OPENING,
        Event.CONTROL: Lifecycle.OPENING,
        Event.END_OF_AUDIO: Lifecycle.ENDING,
    },
    Lifecycle.OPEN: {
        Event.SPEECH: Lifecycle.OPEN,
        Event.END_OF_SEGMENT: Lifecycle.OPEN,
        Event.INTERRUPT: Lifecycle.OPEN,
        Event.INTERRUPT_EARLIER: Lifecycle.OPEN,
        Event.CONTROL: Lifecycle.OPEN,
        Event.END_OF_AUDIO: Lifecycle.ENDING,
    },
    Lifecycle.ENDING: {
        Event.READY: Lifecycle.ENDING,
        Event.INTERRUPT_EARLIER: Lifecycle.ENDING,
        Event.END_OF_AUDIO: Lifecycle.ENDING,
        Event.CONTROL: Lifecycle.ENDING,
        Event.FINISHED: Lifecycle.CLOSED,
    },
    Lifecycle.CLOSED: {},
}

ACTIVITY: Final[Mapping[Activity, Mapping[Event, Activity]]] = {
    Activity.SILENT: {
        Event.INIT: Activity.SILENT,
        Event.READY: Activity.SILENT,
        Event.SPEECH: Activity.SPEAKING,
        Event.END_OF_SEGMENT: Activity.SILENT,
        Event.INTERRUPT_EARLIER: Activity.SILENT,
        Event.END_OF_AUDIO: Activity.SILENT,
        Event.CONTROL: Activity.SILENT,
        Event.FINISHED: Activity.SILENT,
    },
    Activity.SPEAKING: {
        Event.READY: Activity.SPEAKING,
        Event.SPEECH: Activity.SPEAKING,
        Event.END_OF_SEGMENT: Activity.SILENT,
        Event.INTERRUPT: Activity.SILENT,
        Event.INTERRUPT_EARLIER: Activity.SPEAKING,
        Event.END_OF_AUDIO: Activity.SILENT,
        Event.CONTROL: Activity.SPEAKING,
    },
}

_ADVICE: Final = {
    Lifecycle.NEW: "the first message must be init",
    Lifecycle.OPENING: "init was sent already",
    Lifecycle.OPEN: "init was sent already",
    Lifecycle.ENDING: "end_of_audio was sent already; open a new stream",
    Lifecycle.CLOSED: "the session is over; open a new stream",
}


class Machine:
    """The driver: the only place where the two states change.

    Attributes:
        lifecycle: how far the call has come.
        activity: what the client is doing.
    """

    def __init__(self) -> None:
        self.lifecycle = Lifecycle.NEW
        self.activity = Activity.SILENT

    def __repr__(self) -> str:
        return f"<Machine {self.lifecycle.value}, {self.activity.value}>"

    def advance(self, event: Event) -> None:
        """Take one event.

        Raises:
            FailedPreconditionError: ``OUT_OF_ORDER`` if the event is illegal now; the states stay as they are.
        """
        self.lifecycle, self.activity = self._after(event)

    def check(self, event: Event) -> None:
        """Raise as ``advance`` would, but change nothing."""
        self._after(event)

    def _after(self, event: Event) -> tuple[Lifecycle, Activity]:
        lifecycle = LIFECYCLE[self.lifecycle].get(event)
        activity = ACTIVITY[self.activity].get(event)
        if lifecycle is None or activity is None:
            msg = f"{event.value} is not allowed here: {_ADVICE[self.lifecycle]}"
            raise FailedPreconditionError("OUT_OF_ORDER", msg, subject="session")
        return lifecycle, activity

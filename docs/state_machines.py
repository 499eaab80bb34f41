"""Draws docs/state-machines.md from the tables of ``avatar_service.session.machine``: ``make diagram``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TypeVar

from avatar_service.session.machine import ACTIVITY, LIFECYCLE, Activity, Event, Lifecycle

PAGE: Final = Path(__file__).parent / "state-machines.md"

State = TypeVar("State", Lifecycle, Activity)

_HEAD: Final = """# The state machines of a session

<!-- Drawn by docs/state_machines.py; `make diagram` draws it anew. -->

A session has two small machines, which are tables in
[machine.py](../avatar_service/session/machine.py). An event must be legal in both; one that is not is answered by
OUT_OF_ORDER, and changes neither. `ready` and `finished` are the server's own; the others are messages of the client.
`interrupt` cuts the segment that is open, `interrupt of an earlier segment` leaves it as it is.
"""


def page() -> str:
    """Return the whole document."""
    return "\n".join(
        [
            _HEAD,
            "## Lifecycle: how far the call has come\n",
            *_diagram(LIFECYCLE, Lifecycle.NEW, Lifecycle.CLOSED),
            "\n## Activity: whether a segment is open\n",
            *_diagram(ACTIVITY, Activity.SILENT, None),
            "\n## Every event in every state\n",
            "Where both machines allow the event, the states behind it; `-` where it is refused.\n",
            *_table(),
            "",
        ]
    )


def _diagram(table: Mapping[State, Mapping[Event, State]], first: State, last: State | None) -> Iterator[str]:
    """Yield a diagram, with one arrow for all events that lead from one state to another."""
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {first.value}"
    for state, events in table.items():
        arrows: dict[State, list[str]] = {}
        for event, after in events.items():
            arrows.setdefault(after, []).append(event.value)
        for after, names in arrows.items():
            yield f"    {state.value} --> {after.value}: {'<br>'.join(names)}"
    if last is not None:
        yield f"    {last.value} --> [*]"
    yield "```"


def _table() -> Iterator[str]:
    """Yield the product of both machines, as far as it can be reached, in Markdown."""
    states = reachable()
    yield "| event | " + " | ".join(f"{lifecycle.value}, {activity.value}" for lifecycle, activity in states) + " |"
    yield "|---" * (len(states) + 1) + "|"
    for event in Event:
        cells = (_after(lifecycle, activity, event) for lifecycle, activity in states)
        yield f"| {event.value} | " + " | ".join(cells) + " |"


def _after(lifecycle: Lifecycle, activity: Activity, event: Event) -> str:
    after = LIFECYCLE[lifecycle].get(event), ACTIVITY[activity].get(event)
    if after[0] is None or after[1] is None:
        return "-"
    return f"{after[0].value}, {after[1].value}"


def reachable() -> list[tuple[Lifecycle, Activity]]:
    """Return the pairs of states that events can lead to, in the order in which they are found."""
    found = [(Lifecycle.NEW, Activity.SILENT)]
    for lifecycle, activity in found:
        for event, after in LIFECYCLE[lifecycle].items():
            pair = (after, ACTIVITY[activity].get(event))
            if pair[1] is not None and pair not in found:
                found.append((after, pair[1]))
    return found


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

"""The state machines: every state times every event."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from state_machines import reachable

from avatar_service.errors import FailedPreconditionError
from avatar_service.session.machine import ACTIVITY, LIFECYCLE, Activity, Event, Lifecycle, Machine

PATHS: dict[tuple[Lifecycle, Activity], list[Event]] = {
    (Lifecycle.NEW, Activity.SILENT): [],
    (Lifecycle.OPENING, Activity.SILENT): [Event.INIT],
    (Lifecycle.OPENING, Activity.SPEAKING): [Event.INIT, Event.SPEECH],
    (Lifecycle.OPEN, Activity.SILENT): [Event.INIT, Event.READY],
    (Lifecycle.OPEN, Activity.SPEAKING): [Event.INIT, Event.READY, Event.SPEECH],
    (Lifecycle.ENDING, Activity.SILENT): [Event.INIT, Event.END_OF_AUDIO],
    (Lifecycle.CLOSED, Activity.SILENT): [Event.INIT, Event.END_OF_AUDIO, Event.FINISHED],
}
"""The shortest way to every pair of states that can be reached."""


def reach(state: tuple[Lifecycle, Activity]) -> Machine:
    """Return a machine in this state."""
    machine = Machine()
    for event in PATHS[state]:
        machine.advance(event)
    assert (machine.lifecycle, machine.activity) == state
    return machine


@pytest.mark.parametrize("event", list(Event), ids=lambda event: event.name)
@pytest.mark.parametrize("state", list(PATHS), ids=lambda state: f"{state[0].name}-{state[1].name}")
def test_every_event_in_every_state_does_what_the_tables_say(state: tuple[Lifecycle, Activity], event: Event) -> None:
    """A listed event leads to the tables' states; any other raises and changes nothing."""
    machine = reach(state)
    after = (LIFECYCLE[state[0]].get(event), ACTIVITY[state[1]].get(event))
    if None not in after:
        machine.check(event)
        assert (machine.lifecycle, machine.activity) == state
        machine.advance(event)
        assert (machine.lifecycle, machine.activity) == after
        return
    for refuse in (machine.check, machine.advance):
        with pytest.raises(FailedPreconditionError) as caught:
            refuse(event)
        assert (caught.value.reason, caught.value.subject) == ("OUT_OF_ORDER", "session")
        assert event.value in caught.value.message
        assert (machine.lifecycle, machine.activity) == state


@given(events=st.lists(st.sampled_from(list(Event)), max_size=30))
def test_only_the_listed_pairs_of_states_are_reached(events: list[Event]) -> None:
    """No walk, illegal events among them, leads anywhere else; a closed session stays closed."""
    machine = Machine()
    for event in events:
        before = machine.lifecycle
        try:
            machine.advance(event)
        except FailedPreconditionError:
            assert machine.lifecycle is before
        assert (machine.lifecycle, machine.activity) in PATHS
        assert list(Lifecycle).index(machine.lifecycle) >= list(Lifecycle).index(before)


def test_these_are_all_pairs_of_states() -> None:
    """What the tables allow to be reached, and nothing else: so every event was tried in every state there is."""
    assert set(reachable()) == set(PATHS)


def test_no_row_of_a_table_is_idle() -> None:
    """Each is followed from some pair of states that can be reached."""
    followed = {
        (state, event)
        for lifecycle, activity in PATHS
        for event in LIFECYCLE[lifecycle].keys() & ACTIVITY[activity].keys()
        for state in (lifecycle, activity)
    }
    rows = {(state, event) for table in (LIFECYCLE, ACTIVITY) for state, events in table.items() for event in events}
    assert followed == rows


@pytest.mark.parametrize("second", list(Event), ids=lambda event: event.name)
@pytest.mark.parametrize("state", list(PATHS), ids=lambda state: f"{state[0].name}-{state[1].name}")
def test_every_event_behind_every_transition_does_what_the_tables_say(
    state: tuple[Lifecycle, Activity], second: Event
) -> None:
    """However a state was come to, by whichever event: what follows depends on the state alone."""
    for first in LIFECYCLE[state[0]].keys() & ACTIVITY[state[1]].keys():
        machine = reach(state)
        machine.advance(first)
        other = reach((machine.lifecycle, machine.activity))
        outcomes = []
        for each in (machine, other):
            try:
                each.advance(second)
            except FailedPreconditionError as error:
                outcomes.append((each.lifecycle, each.activity, error.message))
            else:
                outcomes.append((each.lifecycle, each.activity, ""))
        assert outcomes[0] == outcomes[1]


RULES = [
    (Lifecycle.NEW, {Event.INIT}),
    (Lifecycle.CLOSED, set()),
]


@pytest.mark.parametrize(("lifecycle", "allowed"), RULES)
def test_a_session_begins_with_init_and_ends_for_good(lifecycle: Lifecycle, allowed: set[Event]) -> None:
    """Nothing but init opens a session, and nothing follows its end."""
    assert set(LIFECYCLE[lifecycle]) == allowed


def test_init_comes_once() -> None:
    """No state but the first takes an init."""
    assert [state for state, events in LIFECYCLE.items() if Event.INIT in events] == [Lifecycle.NEW]


def test_no_speech_after_the_end_of_audio() -> None:
    """What is legal while ending is interrupting, and saying again that it ends."""
    assert not {Event.SPEECH, Event.END_OF_SEGMENT} & set(LIFECYCLE[Lifecycle.ENDING])
    assert Event.END_OF_AUDIO in LIFECYCLE[Lifecycle.ENDING]


def test_states_show_in_repr() -> None:
    """A log line with a machine in it says where it stands."""
    assert repr(reach((Lifecycle.OPEN, Activity.SPEAKING))) == "<Machine open, speaking>"

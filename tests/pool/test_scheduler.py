"""The choice of what runs next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from avatar_service.pool.scheduler import Candidate, schedule

_CANDIDATES = st.lists(
    st.builds(Candidate, st.floats(0, 100), st.integers(0, 7), st.integers(0, 24)), max_size=40, unique=True
)


@given(candidates=_CANDIDATES, max_batch=st.integers(1, 8))
def test_earliest_deadlines_go_first(candidates: list[Candidate], max_batch: int) -> None:
    """The batch is full if it can be, in order, and nothing left out is due sooner."""
    batch = schedule(candidates, max_batch)
    assert len(batch) == min(max_batch, len(candidates))
    assert batch == sorted(batch)
    left = set(candidates) - set(batch)
    assert not left or not batch or max(c.deadline for c in batch) <= min(c.deadline for c in left)


@given(candidates=_CANDIDATES, seed=st.randoms())
def test_the_choice_is_reproducible(candidates: list[Candidate], seed: object) -> None:
    """The order in which the candidates are named plays no part, ties included."""
    shuffled = list(candidates)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    assert schedule(shuffled, 4) == schedule(candidates, 4)


def test_a_late_session_s_first_frame_passes_look_ahead_work() -> None:
    """What is due now goes before work of an earlier session that is ahead of its time."""
    ahead = [Candidate(1.0 + i / 25, 0, i) for i in range(10)]
    assert schedule([*ahead, Candidate(0.5, 1, 0)], 2) == [Candidate(0.5, 1, 0), ahead[0]]

"""Owns the figures: how far a mouth that was seen agrees with the one that was wanted. Pure: arrays in, numbers out.

Times are seconds on the sound's clock. A lag is positive where the picture comes after what it should show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Values: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]

LAG_STEP_S: Final = 0.01
FARTHEST_LAG_S: Final = 0.24
_STEPS: Final = round(FARTHEST_LAG_S / LAG_STEP_S)
LAGS_S: Final[Values] = np.arange(-_STEPS, _STEPS + 1) / _STEPS * FARTHEST_LAG_S
FEWEST: Final = 8
"""Frames without which there is nothing to correlate."""


@dataclass(frozen=True)
class Curve:
    """What is wanted, on an even clock.

    Attributes:
        values: ``[n]``; number ``k`` belongs to the middle of its step, ``(k + 0.5) / rate_hz`` seconds.
        rate_hz: steps per second.
    """

    values: Values
    rate_hz: float

    def at(self, times: Values) -> Values:
        """Return the values at ``times``, linear in between and constant beyond the ends."""
        middles = (np.arange(len(self.values)) + 0.5) / self.rate_hz
        return np.interp(times, middles, self.values)


@dataclass(frozen=True)
class Comparison:
    """One film beside what it should show.

    Attributes:
        times: of the frames, each in the middle of its showing, ``[n]`` seconds.
        seen: what was measured in them, ``[n]``.
        wanted: what was wanted.
        counted: which frames take part, ``[n]``.
    """

    times: Values
    seen: Values
    wanted: Curve
    counted: Mask

    def r(self, lag_s: float) -> float:
        """Return Pearson's r of the seen and what was wanted ``lag_s`` before."""
        return correlation(self.seen[self.counted], self.wanted.at(self.times - lag_s)[self.counted])

    @cached_property
    def by_lag(self) -> Values:
        """R at each of ``LAGS_S``."""
        return np.array([self.r(float(lag)) for lag in LAGS_S])


def correlation(left: Values, right: Values) -> float:
    """Return Pearson's r; 0 where one of both never changes, as a mouth that does not move agrees with nothing."""
    if len(left) < FEWEST or min(np.ptp(left), np.ptp(right)) < 1e-9:
        return 0.0
    return float(np.corrcoef(left, right)[0, 1])


def mean_r(comparisons: Sequence[Comparison], lag_s: float) -> float:
    """Return the mean of all r at one lag, which is the same for all."""
    return float(np.mean([one.r(lag_s) for one in comparisons]))


def common_lag(comparisons: Sequence[Comparison], farthest_s: float = FARTHEST_LAG_S) -> float:
    """Return the one lag at which the mean r of all is highest; of several such the shortest.

    One lag for all: were each film given its own best one, chance would raise every r.
    """
    allowed = np.abs(LAGS_S) <= farthest_s + LAG_STEP_S / 2
    lags = LAGS_S[allowed]
    means = np.mean([one.by_lag for one in comparisons], axis=0)[allowed]
    best = lags[means >= means.max() - 1e-9]
    return float(best[np.argmin(np.abs(best))])


@dataclass(frozen=True, slots=True)
class Closures:
    """Frames with closed lips: wanted and seen, seen alone, wanted alone."""

    hit: int
    false: int
    missed: int

    def __add__(self, other: Closures) -> Closures:
        return Closures(self.hit + other.hit, self.false + other.false, self.missed + other.missed)

    @property
    def precision(self) -> float:
        """Share of the closed frames that should be closed."""
        return self.hit / max(self.hit + self.false, 1)

    @property
    def recall(self) -> float:
        """Share of the frames that should be closed that are."""
        return self.hit / max(self.hit + self.missed, 1)

    @property
    def f1(self) -> float:
        """The harmonic mean of both: ``2 hit / (2 hit + false + missed)``."""
        return 2 * self.hit / max(2 * self.hit + self.false + self.missed, 1)


def closures(seen: Mask, wanted: Mask, counted: Mask) -> Closures:
    """Count closed frames one by one, without any tolerance in time."""
    return Closures(
        hit=int((seen & wanted & counted).sum()),
        false=int((seen & ~wanted & counted).sum()),
        missed=int((~seen & wanted & counted).sum()),
    )


def events(mask: Mask) -> list[slice]:
    """Return the runs of true values, in order."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [slice(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def met(seen: Mask, wanted: Mask, counted: Mask) -> tuple[int, int]:
    """Return how many of the wanted closures show one closed frame at least, and how many there are."""
    runs = events(wanted & counted)
    return sum(bool(seen[run].any()) for run in runs), len(runs)


def open_fraction(gaps: Values, rest: float, margin: float, counted: Mask) -> float:
    """Return the share of the counted frames whose gap is more than ``margin`` above the gap at rest."""
    return float((gaps[counted] > rest + margin).mean()) if counted.any() else 0.0


def drift_frames(first: Comparison, last: Comparison, fps: int) -> int:
    """Return by how many frames the lag of the last part differs from that of the first."""
    return round((common_lag([last]) - common_lag([first])) * fps)

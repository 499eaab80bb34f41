"""Owns the plot beside the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from benchmarks.lipsync import drift, real, silence, synthetic
from benchmarks.lipsync.agreement import LAGS_S, Comparison, Values, events
from benchmarks.lipsync.ruler import Ruler

mpl.use("Agg")
from matplotlib import pyplot as plt

SHOWN_S: Final = 6.0


def draw(
    path: Path,
    rulers: Mapping[str, Ruler],
    scenes: Sequence[synthetic.Scene],
    clips: Sequence[real.Scene],
    quiet: Sequence[silence.Scene],
    long: drift.Scene,
) -> None:
    """Draw what was seen beside what was wanted, and what limits the figures."""
    figure, axes = plt.subplots(4, 2, figsize=(15, 16), layout="constrained")
    (gaps, widths), (real_gaps, real_widths), (lags, drifts), (ruler, silent) = axes
    _speech(gaps, scenes[0], scenes[0].opening, "gap between the inner lips")
    _closures(gaps, scenes[0])
    _speech(widths, scenes[0], scenes[0].width, "width of the mouth")
    for axis, what in ((real_gaps, "opening"), (real_widths, "width")):
        _real(axis, clips, what)
    _lags(lags, scenes, clips)
    _drift(drifts, long)
    _rulers(ruler, rulers)
    _silence(silent, quiet)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def _speech(axis: Axes, scene: synthetic.Scene, comparison: Comparison, what: str) -> None:
    """Draw what was seen, and what was wanted on the scale that fits it best."""
    times = comparison.times
    shown = times < SHOWN_S
    wanted = comparison.wanted.at(times)
    axis.plot(times[shown], comparison.seen[shown], ".-", label="seen in the video")
    axis.plot(times[shown], _scaled(wanted, comparison.seen)[shown], "--", label="wanted, to scale")
    axis.set(title=f"{scene.portrait} by {scene.script.name}: {what}", xlabel="s", ylabel="outer-eye distances")
    axis.legend(loc="upper right")


def _closures(axis: Axes, scene: synthetic.Scene) -> None:
    axis.axhline(scene.ruler.shut + synthetic.SHUT_MARGIN, color="grey", linestyle=":", label="shut")
    times = scene.film.times
    for run in events(scene.to_be_shut(0.0) & (times < SHOWN_S)):
        axis.axvspan(times[run][0] - 0.02, times[run][-1] + 0.02, color="tab:red", alpha=0.15)
    axis.text(0.01, 0.02, "shaded: m, b, p   dotted: shut below", transform=axis.transAxes, fontsize=8)


def _scaled(wanted: Values, seen: Values) -> Values:
    """Return the values on the scale on which they come nearest to what was seen."""
    if np.ptp(wanted) == 0:
        return np.full_like(wanted, seen.mean())
    slope, offset = np.polyfit(wanted, seen, 1)
    return np.asarray(slope * wanted + offset)


def _real(axis: Axes, clips: Sequence[real.Scene], what: str) -> None:
    axis.set(title=f"real speakers: {what}", xlabel="s", ylabel="outer-eye distances")
    start = 0.0
    for scene in clips:
        comparison: Comparison = getattr(scene, what)
        times, real_mouth = comparison.times, comparison.wanted.values
        own = (np.arange(len(real_mouth)) + 0.5) / comparison.wanted.rate_hz
        axis.plot(start + own, real_mouth, color="tab:orange", label=None if start else "the speaker's own mouth")
        axis.plot(start + times, comparison.seen, color="tab:blue", label=None if start else "seen in the video")
        start += float(times[-1]) + 0.5
    if clips:
        axis.legend(loc="upper right")
    else:
        axis.text(0.5, 0.5, "no clips beside the checkout", transform=axis.transAxes, ha="center")


def _lags(axis: Axes, scenes: Sequence[synthetic.Scene], clips: Sequence[real.Scene]) -> None:
    sets = {
        "opening, held-out voices": [scene.opening for scene in scenes],
        "width, held-out voices": [scene.width for scene in scenes],
        "control: other speech": [scene.strange for scene in scenes],
        "opening, real speakers": [scene.opening for scene in clips],
        "width, real speakers": [scene.width for scene in clips],
    }
    for label, comparisons in sets.items():
        if comparisons:
            axis.plot(1000 * LAGS_S, np.mean([one.by_lag for one in comparisons], axis=0), label=label)
    axis.axvline(0, color="grey", linewidth=0.5)
    axis.set(title="mean r by lag", xlabel="lag of the picture, ms", ylabel="r")
    axis.legend()


def _drift(axis: Axes, long: drift.Scene) -> None:
    for comparison, label in ((long.first, "first part"), (long.last, "last part")):
        axis.plot(1000 * LAGS_S, comparison.by_lag, label=label)
    axis.axvline(0, color="grey", linewidth=0.5)
    seconds = long.recital.part_s * long.recital.parts
    axis.set(title=f"one session of {seconds} s: r by lag", xlabel="lag of the picture, ms", ylabel="r")
    axis.legend()


def _rulers(axis: Axes, rulers: Mapping[str, Ruler]) -> None:
    for name, one in rulers.items():
        axis.plot(one.commanded, one.measured, ".-", label=f"{name}: r {one.r:.2f}")
    axis.plot([0, 0.15], [0, 0.15], color="grey", linestyle=":")
    axis.set(title="what the detector sees", xlabel="gap that was drawn", ylabel="gap that is measured")
    axis.legend()


def _silence(axis: Axes, quiet: Sequence[silence.Scene]) -> None:
    for scene in quiet:
        axis.plot(scene.film.starts, scene.film.gaps - scene.rest, linewidth=0.8)
    axis.axhline(silence.OPEN_MARGIN, color="grey", linestyle=":")
    axis.set(title="silence and room noise, alone and after speech", xlabel="s", ylabel="gap above that at rest")

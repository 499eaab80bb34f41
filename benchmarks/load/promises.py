"""Owns what is reported of each part, and the bounds that were promised for it on two cores."""

from __future__ import annotations

from typing import Any, Final

FIGURES: Final = {
    "sessions": ("sessions", "late_frames", "lateness_ms_p99"),
    "mix": ("mix_frames_missing", "mix_late_frames"),
    "overload": ("overload_p99_ratio", "refusal_ms_max", "overload_answers_wrong"),
    "degradation": ("strict_sessions", "degradable_sessions", "degraded_p99_ms"),
    "front": ("relay_vs_echo",),
    "churn": ("churn_sessions", "churn_rss_mib", "churn_fds", "churn_tasks", "churn_threads", "churn_directories"),
    "soak": ("soak_rss_slope_mib_per_h",),
    "kills": ("kills", "kill_frames_lost_elsewhere"),
    "resume": ("resume_s_p95",),
    "restarts": ("restarts_cut",),
    "peers": ("stopped_client_s_max", "killed_client_s_max"),
    "bad_inputs": ("bad_inputs", "bad_inputs_wrong", "answers_lost", "good_sessions_failed", "good_frames_lost"),
}
"""What is reported of each part."""

AT_LEAST: Final = {"sessions": 10, "relay_vs_echo": 0.80}
AT_MOST: Final = {
    "late_frames": 0,
    "lateness_ms_p99": 40,
    "mix_frames_missing": 0,
    "overload_p99_ratio": 1.10,
    "refusal_ms_max": 50,
    "overload_answers_wrong": 0,
    "churn_fds": 0,
    "churn_tasks": 0,
    "churn_threads": 0,
    "churn_directories": 0,
    "soak_rss_slope_mib_per_h": 1,
    "kill_frames_lost_elsewhere": 0,
    "resume_s_p95": 3,
    "restarts_cut": 0,
    "stopped_client_s_max": 12,
    "killed_client_s_max": 1,
    "bad_inputs_wrong": 0,
    "answers_lost": 0,
    "good_sessions_failed": 0,
    "good_frames_lost": 0,
}


def report(runs: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of all runs, ``None`` for those that no run gave, and the names of those that ``missed``."""
    found = {name: runs.get(part, {}).get(name) for part, names in FIGURES.items() for name in names}
    low = [name for name, bound in AT_LEAST.items() if found[name] is not None and found[name] < bound]
    high = [name for name, bound in AT_MOST.items() if found[name] is not None and found[name] > bound]
    return {**found, "missed": [*low, *high]}

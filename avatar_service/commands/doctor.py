"""Owns `doctor`: what is installed, what it would run on, and how many sessions that holds. Mends nothing."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from avatar_service import __version__
from avatar_service.assets import ASSETS, is_intact
from avatar_service.engine.base import Engine
from avatar_service.engine.registry import ENGINE_NAMES, create_engine
from avatar_service.errors import AvatarError, SetupError
from avatar_service.pool.measure import frame_seconds

_LIBRARIES = ("numpy", "opencv-python-headless", "av", "grpcio", "torch", "transformers", "safetensors", "triton")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        subject: what was looked at.
        text: what was found.
        good: whether the engine can serve with it.
    """

    subject: str
    text: str
    good: bool = True

    def __str__(self) -> str:
        return f"{'ok' if self.good else '!!'}  {self.subject}: {self.text}"


@dataclass(frozen=True, slots=True)
class Question:
    """What to look at.

    Attributes:
        engine: name in the registry.
        options: of that engine.
        head_room: share of the measured speed that is kept free.
        measured: whether to run it, which may take a minute; else its speed is not known.
    """

    engine: str = "portrait"
    options: Mapping[str, str] | None = None
    head_room: float = 0.45
    measured: bool = True


def examine(question: Question) -> Iterator[Finding]:
    """Yield what is found, line by line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding(
        "avatar-service", f"{__version__}, Python {platform.python_version()} on {sys.platform}, {cores} cores"
    )
    yield Finding("libraries", ", ".join(f"{name} {_installed(name)}" for name in _LIBRARIES))
    damaged = [asset.name for asset in ASSETS if not is_intact(asset)]
    mend = "python -m avatar_service.assets fetches them"
    yield Finding(
        "files of others", f"{', '.join(damaged)} missing or damaged; {mend}" if damaged else "all intact", not damaged
    )
    if importlib.util.find_spec("torch"):
        yield Finding("accelerator", _accelerator())
    yield Finding("engines", ", ".join(ENGINE_NAMES))
    yield from _engine(question)


def _engine(question: Question) -> Iterator[Finding]:
    try:
        engine = create_engine(question.engine, question.options)
    except (SetupError, TypeError) as error:
        yield Finding(question.engine, str(error), good=False)
        return
    spec = engine.spec
    yield Finding(question.engine, f"version {spec.version} on {spec.device}, {spec.fps} frames a second")
    for subject, text in _traits(engine):
        yield Finding(subject, text)
    if not question.measured:
        yield Finding("sessions", "not measured; leave out --no-measure to know")
        return
    try:
        avatar = engine.warmup()
        cost_s = frame_seconds(engine, avatar)
    except (AvatarError, SetupError, MemoryError, ArithmeticError) as error:
        yield Finding("sessions", f"the engine failed at its first frames: {error}", good=False)
        return
    speed = 1 / cost_s
    sessions = int((1 - question.head_room) * speed / spec.fps)
    text = (
        f"measured {speed:.1f} frames a second in batches of {spec.max_batch}, encoding included: "
        f"{sessions} at once in real time with {question.head_room:.0%} kept free"
    )
    if not sessions:
        text += "; too slow for LIVE, but ON_AUDIO sessions and animate work"
    yield Finding("sessions", f"{text}; an avatar holds {avatar.nbytes / 1e6:.1f} MB")


def _traits(engine: Engine) -> Iterator[tuple[str, str]]:
    """Yield what an engine with a network says of it."""
    traits: Mapping[str, str] = getattr(engine, "traits", {})
    yield from traits.items()


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def _accelerator() -> str:
    # The base install has no torch: only who has it is asked what it sees.
    from avatar_service.engine.imtalker.device import described  # noqa: PLC0415

    return described()

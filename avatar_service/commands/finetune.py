"""Owns `finetune`: from a folder of features of one's own speaker to an adapter file."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from avatar_service.errors import SetupError


@dataclass(frozen=True, slots=True)
class Course:
    """What is trained, and how.

    Attributes:
        folder: of takes, in the public layout.
        output: file to write.
        checkpoint: where the weights are.
        device: to train on.
        rank: of the adapter.
        steps: of training.
        batch: examples of each.
        learning_rate: at its highest.
        seed: of all chance.
    """

    folder: Path
    output: Path
    checkpoint: str = "checkpoints"
    device: str = "auto"
    rank: int = 16
    steps: int = 1000
    batch: int = 8
    learning_rate: float = 3e-4
    seed: int = 1


def run(course: Course, every: int = 50) -> Iterator[str]:
    """Train, write the file, and yield lines that say how far it is.

    Args:
        course: what is trained.
        every: steps from one line to the next.

    Raises:
        SetupError: if the weights, the takes or an option cannot be used, or torch is not installed.
        OSError: if the file cannot be written.
    """
    # An install without the extra has no torch, and shall be told how to get it.
    try:
        import avatar_service.engine.imtalker.adapter as adapters  # noqa: PLC0415
        from avatar_service.engine.imtalker import finetuning  # noqa: PLC0415
        from avatar_service.engine.imtalker.device import chosen_device, use_threads  # noqa: PLC0415
        from avatar_service.engine.imtalker.loading import loaded  # noqa: PLC0415
        from avatar_service.engine.imtalker.options import Options  # noqa: PLC0415
        from avatar_service.engine.imtalker.takes import read_takes  # noqa: PLC0415
    except ModuleNotFoundError as error:
        message = f"training needs {error.name}: pip install 'avatar-service[imtalker]'"
        raise SetupError(message) from None
    takes = read_takes(course.folder, finetuning.EXAMPLE)
    frames = sum(len(take.motion) for take in takes)
    yield f"{len(takes)} takes, {frames / 25:.0f} s"
    device = chosen_device(course.device)
    use_threads(0)
    generator = loaded(Options(checkpoint=course.checkpoint, dtype="float32"), device).generator
    adapter = adapters.fresh_adapter(generator.flow, course.rank, seed=course.seed)
    plan = finetuning.Plan(course.steps, course.batch, course.learning_rate, course.seed)
    losses = finetuning.finetune(generator, takes, adapter, plan)
    done = 0
    while part := list(itertools.islice(losses, every)):
        done += len(part)
        yield f"step {done} of {course.steps}: loss {mean(part):.4f}"
    adapters.save_adapter(adapter, course.output)
    yield f"{course.output}: {len(adapter.down)} layers, rank {course.rank}"

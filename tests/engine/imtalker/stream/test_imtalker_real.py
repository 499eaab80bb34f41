"""The engine around the real networks, small ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from avatar_service.engine.base import Parameters, PrepareOptions, RenderStep, Samples
from avatar_service.engine.imtalker.engine import ImtalkerEngine
from avatar_service.engine.imtalker.noise import frame_noise
from avatar_service.engine.imtalker.tuning import Tuning

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from avatar_service.engine.imtalker.model import Model
    from tests.engine.imtalker.stream.conftest import Cutter

WHOLE = PrepareOptions(crop=False)


def engine_of(model: Model, **tuning: Any) -> ImtalkerEngine:
    """Return an engine."""
    return ImtalkerEngine(model, Tuning(**tuning), {})


def test_a_segment_in_one_hop_is_the_offline_path(
    small_model: Model, square: NDArray[np.uint8], cutter: type[Cutter], spoken: Samples
) -> None:
    """With the same noise, a whole utterance of up to a clip's length moves exactly as the reference moves it."""
    engine = engine_of(small_model, gated=False, look_ahead_frames=0, hop_frames=50)
    avatar, sound = engine.prepare(square, WHOLE), spoken[8_000 : 8_000 + 49 * 640 - 100]
    rows = cutter(50, 0).speak(engine.motion, sound, engine.open(avatar, Parameters(seed=3, nfe=6, cfg_scale=2.5)))
    noise = torch.from_numpy(frame_noise(3, 1, 0, 50))[None]
    features = small_model.features(torch.from_numpy(sound))
    offline = small_model.sample(avatar.identity, features, nfe=6, cfg_scale=2.5, noise=noise).numpy()
    assert rows.shape == offline.shape == (49, 32)
    assert np.abs(rows - offline).max() < 1e-4 * np.abs(offline).max()


def test_more_look_ahead_comes_nearer_to_the_offline_path(
    small_model: Model, square: NDArray[np.uint8], cutter: type[Cutter], spoken: Samples
) -> None:
    """The stream is a stand-in for the whole, and what it does not hear yet is what is missing."""
    sound = spoken[: 640 * 100]
    distances = []
    for ahead in (0, 10):
        engine = engine_of(small_model, gated=False, look_ahead_frames=ahead)
        avatar = engine.prepare(square, WHOLE)
        rows = cutter(10, ahead).speak(engine.motion, sound, engine.open(avatar, Parameters(seed=3)))
        noise = torch.from_numpy(frame_noise(3, 1, 0, 100)).reshape(2, 50, 32)
        features = small_model.features(torch.from_numpy(sound))
        offline = small_model.sample(avatar.identity, features, nfe=10, cfg_scale=2.0, noise=noise).numpy()
        distances.append(float(np.sqrt(np.mean((rows - offline) ** 2))))
    assert distances[1] < distances[0]


def test_batches_give_what_single_steps_give(
    small_model: Model, square: NDArray[np.uint8], cutter: type[Cutter], spoken: Samples
) -> None:
    """Motion within 1e-4, and frames within a step of a byte, of several portraits at once."""
    engine = engine_of(small_model, max_batch=8)
    avatars = [engine.prepare(picture, WHOLE) for picture in (square, 255 - square, square[::-1])]
    wishes = [Parameters(seed=1), Parameters(seed=2, cfg_scale=1.0), Parameters(seed=3, gaze_style=(0.2, 0.1))]

    def states() -> list[Any]:
        return [engine.open(avatar, wish) for avatar, wish in zip(avatars, wishes, strict=True)]

    alone = [cutter(5, 5).speak(engine.motion, spoken[:16_000], state) for state in states()]
    queues = [cutter(5, 5).steps(spoken[:16_000], state) for state in states()]
    made = [engine.motion([*steps]) for steps in zip(*queues, strict=True)]
    together = [np.concatenate(rows) for rows in zip(*made, strict=True)]
    for one, other in zip(alone, together, strict=True):
        assert np.abs(one[:5] - other[:5]).max() <= 1e-4
        assert np.abs(one - other).max() <= 1e-3, "rounding is handed on from hop to hop"
    steps = [RenderStep(avatar, rows[12]) for avatar, rows in zip(avatars, alone, strict=True)]
    for frame, step in zip(engine.render(steps), steps, strict=True):
        assert np.abs(frame.astype(int) - engine.render([step])[0]).max() <= 1


def test_the_engine_warms_up_and_says_what_it_is(small_model: Model) -> None:
    """Traits are for the doctor."""
    engine = engine_of(small_model)
    assert engine.warmup().frame_size == (small_model.side, small_model.side)
    assert engine.spec.version == "1.2"
    assert engine.spec.device == "cpu"
    assert engine.traits["weights"] == f"generation 2, frames of {small_model.side} pixels"
    assert "flow float32" in engine.traits["precision"]

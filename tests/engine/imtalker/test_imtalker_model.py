"""The model's door, with small networks: batches, clips, seeds, styles, bytes, dtypes."""

from __future__ import annotations

import copy
from typing import Final

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
import torch
from numpy.typing import NDArray
from torch import Tensor

from avatar_service.engine.imtalker.model import Context, Identity, Model, Precision, Style
from avatar_service.engine.imtalker.model.checkpoint import Checkpoint
from avatar_service.engine.imtalker.model.generator import CLIP
from avatar_service.engine.imtalker.model.speech import STEP
from tests.engine.imtalker import small

ALONE: Final = 1e-4
"""How far a session in a batch may be from the same session alone."""


def drawn(*shape: int, seed: int = 0) -> Tensor:
    """Return numbers that are the same each time."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def photo(seed: int, side: int = 90) -> NDArray[np.uint8]:
    """Return a picture like no other."""
    rough = np.random.default_rng(seed).integers(0, 256, (9, 9, 3))
    return np.kron(rough, np.ones((side // 9, side // 9, 1))).astype(np.uint8)


@pytest.fixture(scope="module")
def identities(small_model: Model) -> list[Identity]:
    """Three portraits."""
    return [small_model.encode_portrait(photo(seed)) for seed in range(3)]


@pytest.fixture(params=[1, 2])
def either(request: pytest.FixtureRequest) -> Model:
    """A small model of either generation."""
    generation: int = request.param
    sizes = small.renderer(generation), small.generator(generation)
    return Model(small.checkpoint(generation), renderer=sizes[0], generator=sizes[1])


def test_a_batch_of_sessions_renders_what_each_renders_alone(small_model: Model, identities: list[Identity]) -> None:
    """Whatever else is in a batch changes no frame."""
    small_model = copy.copy(small_model)
    motion = drawn(3, 32)
    alone = torch.cat([small_model.render(one, row[None]) for one, row in zip(identities, motion, strict=True)])
    small_model.batch = 2
    together = small_model.render(identities, motion)
    assert together.shape == (3, 3, small.SIDE, small.SIDE)
    assert float((together - alone).abs().max()) < ALONE
    assert float((together[0] - together[1]).abs().mean()) > 10 * ALONE


def test_one_portrait_renders_many_frames(small_model: Model, identities: list[Identity]) -> None:
    """One identity serves a whole batch of motion."""
    many = copy.copy(small_model)
    many.batch = 4
    alone = small_model.render(identities[0], drawn(4, 32))
    assert float((many.render(identities[0], drawn(4, 32)) - alone).abs().max()) < ALONE


def test_bytes_are_the_frames_cut_off(small_model: Model, identities: list[Identity]) -> None:
    """As the reference, pixels are rounded down; RGB, row by row."""
    frames = small_model.render(identities[0], drawn(2, 32))
    pixels = small_model.frames(identities[0], drawn(2, 32))
    assert pixels.dtype == torch.uint8
    assert torch.equal(pixels, (frames * 255).floor().to(torch.uint8).permute(0, 2, 3, 1))


def test_an_identity_knows_its_size(identities: list[Identity]) -> None:
    """Joined ones hold as much as their parts, in order."""
    joined = Identity.join(identities)
    assert joined.nbytes == sum(one.nbytes for one in identities)
    assert torch.equal(joined.keys[1][2], identities[2].keys[1][0])
    assert torch.equal(joined.fine[0][1], identities[1].fine[0][0])


def test_a_clip_of_sessions_is_what_each_generates_alone(either: Model) -> None:
    """Sessions with different speech, style, context, reference and guidance share one call."""
    noise, speech, style = (drawn(3, CLIP, 32, seed=seed) for seed in range(3))
    context = Context(drawn(3, 10, 32, seed=3), drawn(3, 10, 32, seed=4))
    reference, guidance = drawn(3, 32, seed=5), torch.tensor([1.0, 2.0, 3.5])
    together = either.clip(noise, speech, style, context, reference, nfe=4, cfg_scale=guidance)
    for one in range(3):
        row = slice(one, one + 1)
        before = Context(context.motion[row], context.condition[row])
        told = (noise[row], speech[row], style[row], before, reference[row])
        alone = either.clip(*told, nfe=4, cfg_scale=float(guidance[one]))
        assert float((together[row] - alone).abs().max() / alone.abs().max()) < ALONE


def test_no_guidance_is_guidance_by_one(small_model: Model) -> None:
    """At a scale of 1 the second evaluation is left out, and changes nothing."""
    told = [drawn(1, CLIP, 32, seed=seed) for seed in range(3)]
    context, reference = Context.empty(1, told[0]), drawn(1, 32)
    short = small_model.clip(*told, context, reference, nfe=4, cfg_scale=1.0)
    long = small_model.clip(*told, context, reference, nfe=4, cfg_scale=torch.ones(1))
    assert torch.allclose(short, long, atol=ALONE, rtol=ALONE)


def test_an_utterance_is_its_clips_one_after_the_other(small_model: Model, identities: list[Identity]) -> None:
    """The offline loop is what a caller makes of clips: 10 frames of context, the last clip filled with its end."""
    features, noise = drawn(CLIP + 7, small.HEARD), drawn(2, CLIP, 32, seed=1)
    whole = small_model.sample(identities[0], features, nfe=4, cfg_scale=2.0, noise=noise)
    speech, still = small_model.speech(features)[None], torch.zeros(1, CLIP, 32)
    context, reference = Context.empty(1, speech), identities[0].reference
    first = small_model.clip(noise[:1], speech[:, :CLIP], still, context, reference, nfe=4, cfg_scale=2.0)
    context = context.then(first, speech[:, :CLIP])
    rest = torch.cat([speech[:, CLIP:], speech[:, -1:].expand(-1, CLIP - 7, -1)], dim=1)
    second = small_model.clip(noise[1:], rest, still, context, reference, nfe=4, cfg_scale=2.0)
    assert torch.allclose(whole, torch.cat([first, second[:, :7]], dim=1)[0], atol=ALONE, rtol=ALONE)


def test_a_context_keeps_the_last_ten_frames() -> None:
    """Fewer new frames than that push out as many old ones."""
    rows = torch.arange(14.0)[None, :, None].expand(-1, -1, 2)
    context = Context(rows[:, :10], rows[:, :10]).then(rows[:, 10:], rows[:, 10:])
    assert context.motion[0, :, 0].tolist() == list(range(4, 14))
    assert context.condition[0, :, 1].tolist() == list(range(4, 14))


def test_a_seed_makes_the_motion(small_model: Model, identities: list[Identity]) -> None:
    """The same seed gives the same motion, and another one another."""
    features = drawn(60, small.HEARD)
    one, again, other = (small_model.sample(identities[0], features, nfe=3, seed=seed) for seed in (7, 7, 8))
    assert torch.equal(one, again)
    assert not torch.allclose(one, other)


@pytest.mark.parametrize("given", [{}, {"seed": 1, "noise": torch.zeros(1, CLIP, 32)}])
def test_noise_comes_from_one_place(small_model: Model, identities: list[Identity], given: dict[str, Tensor]) -> None:
    """Neither or both is an error."""
    with pytest.raises(ValueError, match="either a seed or noise"):
        small_model.sample(identities[0], drawn(5, small.HEARD), **given)  # type: ignore[arg-type]


def test_a_short_style_is_followed_by_embedded_zeros(small_model: Model) -> None:
    """What ends early is padded before it is embedded; what is too long is cut; nothing is nothing."""
    pose = drawn(8, 3)
    padded = small_model.style(Style(pose=torch.cat([pose, torch.zeros(2, 3)])), 10)
    assert torch.equal(small_model.style(Style(pose=pose), 10), padded)
    assert torch.equal(small_model.style(Style(pose=pose), 5), small_model.style(Style(pose=pose[:5]), 5))
    assert not small_model.style(Style(), 4).any()


def test_speech_has_a_row_for_each_frame_begun(small_model: Model) -> None:
    """25 rows a second; the last sample is repeated to the end of its frame."""
    assert small_model.features(drawn(STEP * 3 + 1)).shape == (4, small.HEARD)
    assert small_model.features(drawn(1)).shape == (1, small.HEARD)


def test_windows_of_speech_are_heard_as_one_batch(small_model: Model) -> None:
    """Each window's features are its own."""
    windows = drawn(2, 5 * STEP)
    together = small_model.features_normalised(windows)
    alone = torch.cat([small_model.features_normalised(row[None]) for row in windows])
    assert torch.allclose(together, alone, atol=ALONE)


def test_a_picture_of_any_size_is_a_portrait(small_model: Model) -> None:
    """It is resized to what the encoders take."""
    assert small_model.encode_portrait(photo(1, 900)).reference.shape == (1, 32)


def test_motion_is_read_off_pictures(small_model: Model, identities: list[Identity]) -> None:
    """A portrait's own motion is its reference."""
    motion = small_model.motion_of(np.stack([photo(0), photo(1)]))
    assert torch.allclose(motion[0], identities[0].reference[0], atol=ALONE)
    assert not torch.allclose(motion[0], motion[1], atol=ALONE)


PARTS = ("motion", "transfer", "synthesis", "speech", "flow")


@pytest.mark.parametrize(("dtype", "limit"), [(torch.bfloat16, 3e-2), (torch.float16, 1e-2)], ids=["bf16", "fp16"])
@pytest.mark.parametrize("part", PARTS)
def test_each_part_bears_half_precision(
    small_model: Model, small_checkpoint: Checkpoint, part: str, dtype: torch.dtype, limit: float
) -> None:
    """One part at a time in half precision, with the same inputs: its relative error is within the limit."""
    precision = Precision(**{part: dtype})
    half = Model(small_checkpoint, dtype=precision, renderer=small.renderer(2), generator=small.generator(2))
    ours, theirs = part_of(half, part), part_of(small_model, part)
    error = (ours - theirs).square().mean().sqrt() / theirs.square().mean().sqrt()
    assert 0 < float(error) < limit


def test_what_does_not_bear_a_dtype_stays_float32() -> None:
    """The portrait never is in half precision by one word, and speech is in no brain floats."""
    full, half, brain = torch.float32, torch.float16, torch.bfloat16
    assert Precision.of(half) == Precision(full, half, half, half, half, half)
    assert Precision.of(brain) == Precision(full, brain, brain, brain, full, brain)


@torch.inference_mode()
def part_of(model: Model, part: str) -> Tensor:
    """Return what one part of the model makes of fixed inputs."""
    renderer, dtype = model.renderer, getattr(model.precision, part)
    if part == "speech":
        return model.features_normalised(drawn(1, 20 * STEP))
    if part == "flow":
        still = torch.zeros(1, CLIP, 32)
        context = Context.empty(1, still)
        return model.clip(drawn(1, CLIP, 32), still, still, context, drawn(1, 32), nfe=2, cfg_scale=1.0)
    if part == "motion":
        adapted = renderer.adapter(drawn(2, 32).to(dtype), drawn(2, 32, seed=1).to(dtype))
        return renderer.motion_decoder(adapted)[-1].float()
    sides, widths = renderer.sizes.sides, renderer.sizes.widths
    cells = [sides[min(level, 3)] for level in range(6)]
    maps = [drawn(1, width, side, side, seed=width).to(dtype) for width, side in zip(widths, cells, strict=True)]
    if part == "synthesis":
        return renderer.synthesis(maps).float()
    level = renderer.transfer.levels[3]
    return level(maps[3], *level.memory(maps[3].flip(2), maps[3].flip(3))).float()

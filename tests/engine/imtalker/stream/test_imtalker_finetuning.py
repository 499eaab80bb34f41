"""Training of adapters, on a small synthetic set."""

from __future__ import annotations

from statistics import mean

import pytest

torch = pytest.importorskip("torch")

from avatar_service.engine.imtalker.adapter import fresh_adapter
from avatar_service.engine.imtalker.finetuning import EXAMPLE, Plan, examples, finetune, flow_loss
from avatar_service.engine.imtalker.takes import Take
from tests.engine.imtalker.stream.small import small_generator


def take(seed: int, frames: int = 120) -> Take:
    """Return a speaker who moves as a fixed matrix says, smoothly."""
    random = torch.Generator().manual_seed(seed)
    loud = torch.randn(frames, 16, generator=random)
    features = 2 * torch.nn.functional.avg_pool1d(loud.T[None], 5, 1, 2)[0].T
    moves = torch.randn(16, 32, generator=torch.Generator().manual_seed(0))
    poses = 0.1 * torch.randn(frames, 3, generator=random)
    return Take(str(seed), 0.5 * features @ moves, features, poses, poses, poses[:, :2])


TAKES = [take(seed) for seed in range(3)]


def test_the_loss_falls_also_on_a_take_that_was_not_learned() -> None:
    """On the same examples, times and noise, before and after."""
    generator = small_generator()
    adapter, plan = fresh_adapter(generator.flow, 8), Plan(steps=60, batch=8, learning_rate=3e-2)

    def judged(seen: list[Take]) -> float:
        from avatar_service.engine.imtalker.adapter import adapted

        random = torch.Generator().manual_seed(5)
        with torch.no_grad(), adapted(generator.flow, adapter):
            return mean(float(flow_loss(generator, examples(generator, seen, 16, random), plan, random)) for _ in "ab")

    other = [take(77)]
    before, before_other = judged(TAKES), judged(other)
    losses = list(finetune(generator, TAKES, adapter, plan))
    assert len(losses) == 60
    assert mean(losses[-10:]) < 0.95 * mean(losses[:10])
    assert judged(TAKES) < 0.95 * before
    assert judged(other) < 0.95 * before_other


def test_the_generator_itself_stays_as_it_is() -> None:
    """Only the adapter's tensors change, all of them, and they need no gradient any more."""
    generator = small_generator()
    weights = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    adapter = fresh_adapter(generator.flow, 2)
    before = [tensor.clone() for tensor in adapter.tensors]
    list(finetune(generator, TAKES, adapter, Plan(steps=3, batch=2, learning_rate=1e-2)))
    assert all(torch.equal(tensor, weights[name]) for name, tensor in generator.state_dict().items())
    assert all(not torch.equal(new, old) for new, old in zip(adapter.tensors, before, strict=True))
    assert not any(tensor.requires_grad for tensor in adapter.tensors)


def test_a_seed_gives_one_adapter() -> None:
    """Examples, times and noise are all the chance there is."""

    def trained(seed: int) -> list[float]:
        generator = small_generator()
        return list(finetune(generator, TAKES, fresh_adapter(generator.flow, 2), Plan(steps=4, batch=2, seed=seed)))

    assert trained(1) == trained(1)
    assert trained(1) != trained(2)


def test_examples_are_stretches_of_takes() -> None:
    """Motion and its reference are real rows of one take, and style is embedded only where it is known."""
    generator = small_generator()
    bare = Take("bare", TAKES[0].motion, TAKES[0].features)
    given = examples(generator, [bare], 4, torch.Generator().manual_seed(1))
    assert given.motion.shape == (4, EXAMPLE, 32)
    starts = [int((bare.motion == rows[0]).all(dim=1).nonzero()) for rows in given.motion]
    assert len(set(starts)) > 1
    for rows, reference, start in zip(given.motion, given.reference, starts, strict=True):
        assert torch.equal(rows, bare.motion[start : start + EXAMPLE])
        assert bool((rows == reference).all(dim=1).any())
    assert not given.style.any()
    assert examples(generator, TAKES, 1, torch.Generator()).style.any()


def test_what_is_left_out_is_left_out() -> None:
    """Without speech in the clip, its features do not matter; the context's still do."""
    generator = small_generator()
    given = examples(generator, TAKES, 2, torch.Generator().manual_seed(1))

    def loss(speech: torch.Tensor, plan: Plan) -> float:
        told = type(given)(given.motion, speech, given.style, given.reference)
        return float(flow_loss(generator, told, plan, torch.Generator().manual_seed(2)))

    clip, context = given.speech.clone(), given.speech.clone()
    clip[:, 10:] += 1
    context[:, :10] += 1
    deaf, hearing = Plan(without_speech=1.0, without_context=0.0), Plan(without_speech=0.0, without_context=0.0)
    assert loss(clip, deaf) == loss(given.speech, deaf)
    assert loss(context, deaf) != loss(given.speech, deaf)
    assert loss(clip, hearing) != loss(given.speech, hearing)
    beginning = Plan(without_context=1.0)
    assert loss(context, beginning) == loss(given.speech, beginning)

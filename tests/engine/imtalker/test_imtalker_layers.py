"""The rewrites that make the networks quick, against what they rewrite."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar_service.engine.imtalker.model import shares
from avatar_service.engine.imtalker.model.attention import Windows
from avatar_service.engine.imtalker.model.decoder import Styled
from avatar_service.engine.imtalker.model.layers import Conv, Upsampled, normalised, normed
from avatar_service.engine.imtalker.model.renderer import Renderer
from avatar_service.engine.imtalker.model.transfer import Transfer, tokens
from avatar_service.engine.imtalker.model.weights import Weights
from tests.engine.imtalker import small
from tests.engine.imtalker.small import Drawn

EXACT = 1e-5


def drawn(*shape: int, seed: int = 0) -> Tensor:
    """Return numbers that are the same each time."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def close(ours: Tensor, theirs: Tensor) -> bool:
    """Say whether two tensors are the same but for rounding."""
    return torch.allclose(ours, theirs, atol=EXACT, rtol=EXACT)


def test_a_folded_normalisation_is_the_normalisation() -> None:
    """A batch normalisation in eval mode goes into the convolution before it."""
    given: dict[str, Tensor] = {}
    weight, bias = normalised(Drawn(given), drawn(6, 5, 3, 3), drawn(6, seed=1))
    norm = nn.BatchNorm2d(6).eval()
    norm.load_state_dict({**given, "num_batches_tracked": torch.tensor(0)})
    x = drawn(2, 5, 7, 7, seed=2)
    expected = norm(functional.conv2d(x, drawn(6, 5, 3, 3), drawn(6, seed=1), padding=1))
    assert close(functional.conv2d(x, weight, bias, padding=1), expected)


def test_a_layer_takes_the_layer_normalisation_before_it_in() -> None:
    """Weight and bias of the normalisation go into the layer."""
    given: dict[str, Tensor] = {}
    layer = normed(Drawn(given, "norm."), Drawn(given, "fc."), 12, 7)
    x = drawn(3, 12)
    inner = functional.layer_norm(x, (12,), given["norm.weight"], given["norm.bias"])
    assert close(layer(functional.layer_norm(x, (12,))), functional.linear(inner, given["fc.weight"], given["fc.bias"]))


@pytest.mark.parametrize("slope", [None, 0.0, 0.2])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_packed_convolution_gives_what_it_gave_before(slope: float | None, stride: int) -> None:
    """With and without something added, at every activation and stride, and at another size than it was packed for."""
    weight, bias = drawn(16, 8, 3, 3), drawn(16)
    plain, packed = (Conv(weight, bias, 12, stride=stride, slope=slope) for _ in range(2))
    packed.pack()
    for side in (12, 20):
        x = drawn(2, 8, side, side)
        plus = drawn(2, 16, side // stride, side // stride, seed=1)
        assert close(packed(x), plain(x))
        assert close(packed(x, plus), plain(x, plus))


@pytest.mark.parametrize("generation", [1, 2])
def test_every_convolution_is_packed_for_the_maps_that_it_meets(generation: int) -> None:
    """Packed for another size, it would lay its weights out anew at every call."""
    sizes, met = small.renderer(generation), []
    renderer = Renderer(Drawn({}), sizes, torch.device("cpu"))
    for layer in renderer.modules():
        if isinstance(layer, Conv):
            layer.register_forward_pre_hook(lambda layer, given: met.append((layer.side, given[0].shape[-1])))
    with torch.inference_mode():
        identity = renderer.encode(drawn(1, 3, sizes.portrait_side, sizes.portrait_side))
        renderer(identity, drawn(1, 32))
    assert len(met) > 100
    assert all(planned == side for planned, side in met)


@pytest.mark.parametrize("times", [2, 4])
def test_a_convolution_of_a_magnified_map_is_computed_on_the_small_one(times: int) -> None:
    """Repeating pixels, then convolving, is what the phases give; borders included."""
    weight, bias, x = drawn(3, 5, 3, 3), drawn(3), drawn(2, 5, 6, 4)
    large = functional.interpolate(x, scale_factor=times, mode="nearest")
    assert close(Upsampled(weight, bias, 6, times=times)(x), functional.conv2d(large, weight, bias, padding=1))


@pytest.mark.parametrize("up", [False, True])
def test_scaling_channels_modulates_a_convolution(up: bool) -> None:
    """Each sample has weights of its own in StyleGAN 2; scaled inputs and outputs give the same."""
    given: dict[str, Tensor] = {}
    layer = Styled(Drawn(given), small.renderer(2), 6, 5, 4, up=up)
    x, motion = drawn(2, 6, 4, 4), drawn(2, 32, seed=1)
    style = functional.linear(motion, given["conv.modulation.weight"] / math.sqrt(32), given["conv.modulation.bias"])
    for sample in range(2):
        weight = given["conv.weight"][0] / math.sqrt(9 * 6) * style[sample][None, :, None, None]
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        one = x[sample : sample + 1]
        if up:
            grown = functional.conv_transpose2d(one, weight.transpose(0, 1), stride=2)
            kernel = given["conv.blur.kernel"].expand(5, 1, 4, 4)
            y = functional.conv2d(grown, kernel, padding=1, groups=5)
        else:
            y = functional.conv2d(one, weight, padding=1)
        expected = math.sqrt(2) * functional.leaky_relu(y + given["activate.bias"], 0.2)
        assert close(layer(x, motion)[sample : sample + 1], expected)


@pytest.mark.parametrize("pixels", [4, 8])
def test_the_foremost_key_is_that_of_the_mean_over_heads(pixels: int) -> None:
    """Tile by tile it is what the whole square of shares says, and the attended values are the library's."""
    level = Transfer(Drawn({}), 16, 4)
    motion, other, features = (drawn(2, 16, pixels, pixels, seed=seed) * 3 for seed in range(3))
    keys, values = level.memory(other, features)
    moved, first = level.foremost(motion, keys, values)
    queries = level.query(tokens(motion)).unflatten(2, (4, -1)).transpose(1, 2)
    whole = torch.softmax(queries @ keys.transpose(2, 3) / math.sqrt(4), dim=-1)
    assert torch.equal(first, whole.mean(1).argmax(-1))
    assert close(moved, level(motion, keys, values))


def test_shares_of_far_apart_scores_are_no_denormal_numbers() -> None:
    """A key that nothing attends to has a share of practically nothing, which costs no time."""
    scores = shares.normalise_(torch.tensor([[0.0, -1000.0, -130.0]]))
    assert scores[0, 0] == 1
    assert bool((scores[0, 1:] < 1e-18).all())
    assert bool((scores >= torch.finfo(torch.float32).tiny).all())


def whole_attention(given: dict[str, Tensor], x: Tensor, shift: int) -> Tensor:
    """Return a Swin block's attention, window by window, as the public code writes it down."""
    side, channels, heads, window = x.shape[1], x.shape[3], 2, 4
    rolled = torch.roll(x, (-shift, -shift), (1, 2))
    normalise = {name: (given[f"norm_{name}.weight"], given[f"norm_{name}.bias"]) for name in ("q", "kv")}
    parts = {}
    for name, norm in (("q", "q"), ("k", "kv"), ("v", "kv")):
        inner = functional.layer_norm(rolled, (channels,), *normalise[norm])
        parts[name] = functional.linear(inner, given[f"attn.{name}.weight"], given[f"attn.{name}.bias"])
    out = torch.zeros_like(x)
    table = given["attn.relative_position_bias_table"][given["attn.relative_position_index"]].permute(2, 0, 1)
    for index in range((side // window) ** 2):
        row, column = (place * window for place in divmod(index, side // window))
        at = (slice(None), slice(row, row + window), slice(column, column + window))
        q, k, v = (parts[name][at].flatten(1, 2).unflatten(2, (heads, -1)).transpose(1, 2) for name in "qkv")
        bias = table + (given["attn_mask"][index] if shift else 0.0)
        moved = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(channels // heads) + bias, -1) @ v
        out[at] = moved.transpose(1, 2).flatten(2).unflatten(1, (window, window))
    moved = functional.linear(out, given["attn.proj.weight"], given["attn.proj.bias"])
    return torch.roll(moved, (shift, shift), (1, 2))


@pytest.mark.parametrize("shift", [0, 2])
def test_windows_attend_as_swin_has_it(shift: int) -> None:
    """Row by row, with everything folded, it is the block that the public code writes down."""
    given: dict[str, Tensor] = {}
    block = Windows(Drawn(given), 8, 12, 2, 4, shift)
    x = drawn(2, 12, 12, 8)
    y = x + whole_attention(given, x, shift)
    inner = functional.layer_norm(y, (8,), given["norm_ffn.weight"], given["norm_ffn.bias"])
    hidden = functional.gelu(functional.linear(inner, given["mlp.0.weight"], given["mlp.0.bias"]))
    expected = y + functional.linear(hidden, given["mlp.2.weight"], given["mlp.2.bias"])
    assert close(block(x.permute(0, 3, 1, 2)), expected.permute(0, 3, 1, 2))


def test_the_mask_of_shifted_windows_is_the_public_one() -> None:
    """Where the roll joined opposite borders, scores get -100; all of a map's windows are checked."""
    given: dict[str, Tensor] = {}
    Windows(Drawn(given), 8, 12, 2, 4, 2)
    mask = given["attn_mask"]
    assert mask.shape == (9, 16, 16)
    assert not mask[0].any()
    assert (mask[-1] == -100).sum() == 16 * 16 - 4 * 4 * 4


def test_a_tensor_is_given_out_as_a_copy() -> None:
    """What a network does to its weights is not done to the file."""
    held = {"a.weight": torch.ones(3)}
    Weights(held, "file").at("a").take("weight", 3).zero_()
    assert held["a.weight"].sum() == 3

"""The net's arithmetic, against the same written out, and the weights that ship."""

from __future__ import annotations

from importlib import resources

import numpy as np

from avatar_service.engine.portrait.hearing import HEARD
from avatar_service.engine.portrait.net import OUTPUTS, WEIGHTS, net


def test_the_shipped_net_keeps_its_bounds() -> None:
    """At most 110,000 parameters in at most 500 KB, for two look-aheads."""
    assert net().parameters <= 110_000
    file = resources.files("avatar_service.engine.portrait").joinpath(WEIGHTS)
    assert len(file.read_bytes()) <= 500 * 1024
    assert [read_out.blocks for read_out in net().read_outs] == [2, 4]


def test_a_step_is_a_gated_recurrent_unit() -> None:
    """Gate by gate as in Cho et al. 2014, with the reset gate behind the product."""
    random = np.random.default_rng(0)
    block = random.standard_normal(HEARD).astype(np.float32)
    memories = net().silence()
    memories[:] = random.uniform(-1, 1, memories.shape)
    units, before = net().units, memories[0].astype(float)

    def sigmoid(values: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-values))

    (heard, heard_bias), (inward, inward_bias), (onward, onward_bias) = net().heard, net().inward, net().onward
    into = inward @ np.maximum(heard @ block + heard_bias, 0) + inward_bias
    on = onward @ before + onward_bias
    reset, update = sigmoid(into[:units] + on[:units]), sigmoid(into[units : 2 * units] + on[units : 2 * units])
    new = np.tanh(into[2 * units :] + reset * on[2 * units :])
    after = net().remember(memories, block)
    np.testing.assert_allclose(after[0], (1 - update) * new + update * before, atol=1e-4)
    np.testing.assert_array_equal(after[1:], memories[:-1])


def test_a_face_is_a_number_from_0_to_1_for_each_output() -> None:
    """For either look-ahead, also for memories that never were."""
    memories = np.random.default_rng(0).uniform(-1, 1, net().silence().shape).astype(np.float32)
    for read_out in net().read_outs:
        face = net().face(memories, read_out)
        assert face.shape == (len(OUTPUTS),)
        assert ((face >= 0) & (face <= 1)).all()

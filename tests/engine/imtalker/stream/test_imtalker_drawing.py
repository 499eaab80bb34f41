"""Batches of few sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 11])
def test_filling_a_batch_up_changes_nothing(puppet: Any, square: Any, count: int) -> None:
    """The pictures are those of the rows that were asked for, in order."""
    from avatar_service.engine.imtalker.drawing import SIZES, Drawing

    sizes: list[int] = []
    draw = puppet.render
    puppet.render = lambda identities, motion: sizes.append(len(motion)) or draw(identities, motion)
    identities = [puppet.encode_portrait(picture) for picture in [square, 255 - square] * count][:count]
    motion = torch.randn(count, 32)
    plain, fixed = (Drawing(puppet, fixed=fixed).drawn(identities, motion) for fixed in (False, True))
    assert plain.shape == (count, 64, 64, 3)
    assert plain.dtype == np.uint8
    assert np.array_equal(plain, fixed)
    assert sizes[0] == count
    assert sizes[1] in SIZES
    assert sizes[1] < 2 * count


def test_bytes_are_cut_off_not_rounded(puppet: Any, square: Any) -> None:
    """As the reference makes them, and full white stays white."""
    from avatar_service.engine.imtalker.drawing import Drawing

    shades = torch.tensor([0.0, 0.5, 0.9999, 1.0])
    puppet.render = lambda _, motion: shades.reshape(1, 1, 2, 2).expand(len(motion), 3, 2, 2)
    [drawn] = Drawing(puppet).drawn([puppet.encode_portrait(square)], torch.zeros(1, 32))
    assert drawn[..., 0].ravel().tolist() == [0, 127, 254, 255]

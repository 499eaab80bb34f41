"""Owns what of a portrait its frames need: computed once, shared by sessions, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Identity:
    """A portrait as the renderer sees it; tensors of ``n`` identities (1 of a fresh one), on the model's device.

    Attributes:
        reference: the portrait's own motion ``[n, 32]``: where the generator starts from.
        adapting: what the identity adds to the adapter's first layer ``[n, 512]``.
        keys: of the motion transfer, coarse to fine (8, 16, 32, 64 px): ``[n, heads, pixels, channels / heads]``.
        values: likewise.
        fine: identity features at 128 and 256 px, pooled to 64 x 64: ``[n, 4096, channels]``.
    """

    reference: Tensor
    adapting: Tensor
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    fine: tuple[Tensor, ...]

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All of them, in the order of the fields."""
        return (self.reference, self.adapting, *self.keys, *self.values, *self.fine)

    @property
    def nbytes(self) -> int:
        """Memory that they hold."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors)

    @classmethod
    def join(cls, identities: Sequence[Identity]) -> Identity:
        """Return one record of all of them, in order: a row for each frame of a batch."""
        if len(identities) == 1:
            return identities[0]
        columns = [torch.cat(column) for column in zip(*(identity.tensors for identity in identities), strict=True)]
        levels = len(identities[0].keys)
        keys, values, fine = columns[2 : 2 + levels], columns[2 + levels : 2 + 2 * levels], columns[2 + 2 * levels :]
        return cls(columns[0], columns[1], tuple(keys), tuple(values), tuple(fine))

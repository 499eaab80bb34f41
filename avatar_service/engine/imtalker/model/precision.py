"""Owns with which numbers each part of the model computes."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Precision:
    """The dtype of each part. The scores that the arg-max goes by are summed in float32 whatever stands here.

    Attributes:
        portrait: identity and motion encoder; once per portrait, and every arg-max hangs on them.
        motion: adapter and motion decoder; per frame.
        transfer: the attention of the motion transfer: its projections, and all of its coarse levels.
        synthesis: from aligned features to the frame; 85 % of the work.
        speech: wav2vec2.
        flow: the motion generator.
    """

    portrait: torch.dtype = torch.float32
    motion: torch.dtype = torch.float32
    transfer: torch.dtype = torch.float32
    synthesis: torch.dtype = torch.float32
    speech: torch.dtype = torch.float32
    flow: torch.dtype = torch.float32

    @classmethod
    def of(cls, dtype: torch.dtype) -> Precision:
        """Return what serves well when most work shall be done in ``dtype``: the portrait stays float32.

        So does speech where ``dtype`` is bfloat16, whose 8 bits of mantissa were measured to make it err by 6 %.
        """
        speech = torch.float32 if dtype == torch.bfloat16 else dtype
        return cls(torch.float32, dtype, dtype, dtype, speech, dtype)

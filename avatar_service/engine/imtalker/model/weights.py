"""Owns the tensors of a checkpoint while networks are built of them: nothing missing, nothing left over, no NaN."""

from __future__ import annotations


class WeightsError(Exception):
    """A model file that cannot be used: names the file, says what is wrong and what to do."""

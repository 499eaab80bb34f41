"""Owns the coarse grid on which every displacement lives: sampling, inverting and refining of fields.

A field is ``[NODES, NODES, 2]`` float32: a displacement (x, y) in frame pixels at every node. Nothing here knows
what a field means.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import cv2
import numpy as np

from avatar_service.engine.portrait.arrays import Floats, floats, taken

CELLS: Final = 64
"""Cells along one side of the frame; against a grid of 128 the picture differs by 52 dB or more: invisible."""

NODES: Final = CELLS + 2
"""Nodes along one side: the cell centres and one ring outside, so that refining never extrapolates."""


class Box(NamedTuple):
    """Whole pixels ``[top:bottom, left:right]``."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Columns in the box."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Rows in the box."""
        return self.bottom - self.top

    def clipped(self, width: int, height: int) -> Box:
        """Return the part inside a picture of that size."""
        left, right = (min(max(edge, 0), width) for edge in (self.left, self.right))
        top, bottom = (min(max(edge, 0), height) for edge in (self.top, self.bottom))
        return Box(left, top, right, bottom)

    def moved(self, right: int, down: int) -> Box:
        """Return the box somewhere else."""
        return Box(self.left + right, self.top + down, self.right + right, self.bottom + down)

    def grown(self, margin: int) -> Box:
        """Return the box with a margin on every side."""
        return Box(self.left - margin, self.top - margin, self.right + margin, self.bottom + margin)

    def even(self) -> Box:
        """Return the smallest box around it whose edges are even: it can be cut out of subsampled chroma."""
        return Box(self.left & ~1, self.top & ~1, self.right + 1 & ~1, self.bottom + 1 & ~1)

    @property
    def rows(self) -> slice:
        """The box's rows of a picture."""
        return slice(self.top, self.bottom)

    @property
    def columns(self) -> slice:
        """The box's columns of a picture."""
        return slice(self.left, self.right)


@dataclass(frozen=True)
class Grid:
    """The grid over a square frame.

    Attributes:
        size: side of the frame in pixels, a multiple of 64.
    """

    size: int

    @property
    def step(self) -> int:
        """Pixels from node to node."""
        return self.size // CELLS

    @cached_property
    def points(self) -> Floats:
        """Pixel coordinates (x, y) of the nodes, ``[NODES, NODES, 2]``."""
        line = (np.arange(NODES) - 0.5) * self.step - 0.5
        return floats(np.dstack(np.meshgrid(line, line)))

    def sample(self, field: Floats, displacement: Floats) -> Floats:
        """Return the field as seen from every node moved by ``displacement``."""
        places = displacement * np.float32(1 / self.step)
        places += _NUMBERS[:NODES]
        return taken(field, places, cv2.BORDER_REPLICATE)

    def inverse(self, fields: Floats, passes: int) -> Floats:
        """Return the backward fields of one or two forward ones over a part of the grid: ``B <- -F(x + B)``.

        The fields ``[n, rows, columns, 2]`` lie one below the other, so that a pass is one look for all of them. They
        must leave the outermost nodes of the part where they are, or look into one another there.
        """
        columns = fields.shape[2]
        opposite = fields.reshape(-1, columns, 2) * np.float32(-1 / self.step)
        numbers = _NUMBERS[: len(opposite), :columns]
        backward = opposite
        for _ in range(passes):
            backward = taken(opposite, floats(cv2.add(numbers, backward)), cv2.BORDER_REPLICATE)
        return (backward * np.float32(self.step)).reshape(fields.shape)

    def node_near(self, x: float, y: float) -> tuple[int, int]:
        """Return (row, column) of the node nearest to a pixel."""
        column, row = (min(max(round((value + 0.5) / self.step + 0.5), 0), NODES - 1) for value in (x, y))
        return row, column

    def refine(self, field: Floats, box: Box, scale: float = 1.0, offset: tuple[float, float] = (0.0, 0.0)) -> Floats:
        """Return ``field * scale + offset`` at every pixel of ``box``, ``[box.height, box.width, 2]``.

        Linear between the nodes; a view. Scale and offset are applied to the few nodes, which costs next to nothing.
        """
        step = self.step
        first_column, first_row = (box.left + step // 2) // step, (box.top + step // 2) // step
        last_column, last_row = (box.right + step // 2) // step + 2, (box.bottom + step // 2) // step + 2
        part = field[first_row:last_row, first_column:last_column] * np.float32(scale) + floats(offset)
        rows, columns = part.shape[:2]
        fine = cv2.resize(part, (columns * step, rows * step), interpolation=cv2.INTER_LINEAR)
        # Node n sits in the middle of the fine pixels [n * step, (n + 1) * step); frame pixel 0 is fine pixel `step`.
        left, top = box.left - (first_column - 1) * step, box.top - (first_row - 1) * step
        return floats(fine[top : top + box.height, left : left + box.width])


_NUMBERS: Final[Floats] = floats(np.dstack(np.meshgrid(np.arange(NODES), np.arange(2 * NODES))))
"""(column, row) of every node of two fields, one below the other."""

"""Owns the media of a take: initialisation, segments and their parts in every format, on disk but for the open segment.

A part is a piece of its segment's bytes, so it needs no file of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from avatar_service.gateway.store import Folder

_KEPT: Final = 6
"""Segments of a format that are kept in memory: those that parts are listed of, and some that are read again."""


class Segments:
    """The media of one take.

    Args:
        folder: for the files.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._formats = 0
        self._open: list[list[bytes]] = []
        self._sizes: list[list[list[int]]] = []
        self._kept: dict[tuple[int, int], bytes] = {}

    @property
    def count(self) -> int:
        """Closed segments."""
        return len(self._sizes)

    def begin(self, initialisations: list[bytes]) -> None:
        """Store the initialisation segment of each format."""
        self._formats = len(initialisations)
        self._open = [[] for _ in initialisations]
        for number, content in enumerate(initialisations):
            self._folder.write(_initial(number), content)

    def add_part(self, contents: list[bytes]) -> None:
        """Append a part to the open segment, in each format."""
        for parts, content in zip(self._open, contents, strict=True):
            parts.append(content)

    def close(self) -> None:
        """Store the open segment.

        Raises:
            OSError: if the disk is full.
        """
        number = self.count
        for index, parts in enumerate(self._open):
            content = b"".join(parts)
            self._folder.write(_name(index, number), content)
            self._keep((index, number), content)
        self._sizes.append([[len(part) for part in parts] for parts in self._open])
        self._open = [[] for _ in self._open]

    def initialisation(self, index: int) -> bytes:
        """Return the initialisation segment of format ``index``.

        Raises:
            FileNotFoundError: if there is none.
        """
        return self._folder.read(_initial(index))

    def segment(self, index: int, number: int) -> bytes:
        """Return segment ``number`` of format ``index``.

        Raises:
            FileNotFoundError: if there is none.
        """
        content = self._kept.get((index, number))
        if content is None:
            content = self._folder.read(_name(index, number))
            self._keep((index, number), content)
        return content

    def paths(self, index: int) -> list[Path]:
        """Return where the initialisation and the closed segments of format ``index`` lie."""
        names = [_initial(index), *(_name(index, number) for number in range(self.count))]
        return [self._folder.path(name) for name in names]

    def part(self, index: int, number: int, part: int) -> bytes:
        """Return a part of segment ``number`` of format ``index``.

        Raises:
            LookupError: if there is none.
            FileNotFoundError: if the files are gone.
        """
        if number == self.count:
            return self._open[index][part]
        sizes = self._sizes[number][index]
        start = sum(sizes[:part])
        return self.segment(index, number)[start : start + sizes[part]]

    def _keep(self, key: tuple[int, int], content: bytes) -> None:
        self._kept[key] = content
        while len(self._kept) > _KEPT * self._formats:
            del self._kept[next(iter(self._kept))]


def _initial(index: int) -> str:
    return f"v{index}-init.mp4"


def _name(index: int, number: int) -> str:
    return f"v{index}-{number:06d}.m4s"
